"""Verification results of a run."""

from fw_gear_dicom_send.account import VerificationSummary
from fw_gear_dicom_send.models import Container, FileEntry
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.verification import Verdict, Verifications
from tests.support import wording

ENTRY = FileEntry(Container("acquisition", "a"), "a.zip", "p/a.zip")
NOT_OFFERED = Reason(Kind.NOT_OFFERED, "C-FIND")
FAILED = Reason(Kind.QUERY_FAILED, "status 0xC000")


def of(*verdicts: Verdict | Reason | None, method: str = "C-FIND") -> Verifications:
    """Return the states of images: None is sent with an unknown state."""
    made = Verifications(method)
    for verdict in verdicts:
        number = made.add(is_sent=verdict is not Verdict.NOT_SENT)
        if verdict:
            made.note(ENTRY, number, verdict)
    return made


def test_all_verified_names_the_method() -> None:
    """Images that were not sent do not count."""
    summary = of(*[Verdict.VERIFIED] * 3, Verdict.NOT_SENT).summary()
    assert summary.text == "3 of 3 images verified by C-FIND"
    assert summary.is_whole
    summary = of(Verdict.VERIFIED, method="storage commitment").summary()
    assert summary.text == "1 of 1 image verified by storage commitment"


def test_a_single_cause_is_shown_directly() -> None:
    """The line has the number of verified images and the cause for the others."""
    summary = of(*[NOT_OFFERED] * 300).summary()
    assert summary.text == f"0 of 300 images verified: {wording.NOT_SUPPORTED} C-FIND"
    assert not summary.is_whole
    assert of(Verdict.VERIFIED, Verdict.ABSENT).summary().text == (
        "1 of 2 images verified: not on the server"
    )


def test_several_causes_have_their_numbers() -> None:
    """Missing images come first, then the most frequent cause."""
    summary = of(NOT_OFFERED, FAILED, FAILED, Verdict.ABSENT, Verdict.VERIFIED).summary()
    assert summary == VerificationSummary("C-FIND", 5, 1, 1, ((FAILED, 2), (NOT_OFFERED, 1)))
    assert summary.text == (
        "1 of 5 images verified: not on the server (1); status 0xC000 (2); "
        f"{wording.NOT_SUPPORTED} C-FIND (1)"
    )


def test_each_image_has_a_cell() -> None:
    """It is empty for an image that was not sent, and never `yes` without a response."""
    known = of(Verdict.VERIFIED, Verdict.ABSENT, FAILED, Verdict.NOT_SENT, None)
    cells = ["yes", "no", "status 0xC000", "", wording.NOT_VERIFIED]
    assert [known.cell(number) for number in range(5)] == cells


def test_a_later_state_replaces_an_earlier_one() -> None:
    """The number of verified images is updated, also for the file."""
    known = of(FAILED, None)
    for verdict in (Verdict.ABSENT, Verdict.VERIFIED, Verdict.VERIFIED):
        known.note(ENTRY, 0, verdict)
        assert known.absent[ENTRY] == (verdict is Verdict.ABSENT)
    assert known.verified[ENTRY] == known.summary().verified == 1
    known.note(ENTRY, 0, FAILED)
    assert known.verified[ENTRY] == known.summary().verified == 0


def test_the_number_of_reasons_is_limited() -> None:
    """Of a thousand different reasons those are kept that fit into a byte."""
    known = Verifications("find")
    news = 0
    for number in range(1000):
        known.add(is_sent=True)
        news += known.note(ENTRY, number, Reason(Kind.QUERY_FAILED, str(number)))
    assert 200 < news < 256
    assert known.cell(0) == "0"
    assert known.cell(999) == wording.OTHER_REASONS
    assert sum(count for _, count in known.summary().causes) == 1000
