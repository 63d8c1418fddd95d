"""Wording about the number of images of a run."""

import pytest

from fw_gear_dicom_send.account import Account, VerificationSummary
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, Remark
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.wording import headline, image_counts
from tests.support import wording

UNVERIFIED = VerificationSummary("C-FIND", 3, 0, 0)
ENTRY = FileEntry(Container("session", "s"), "a.zip", "p/a.zip")


def file(images: int, sent: int = 0, already: int = 0, planned: int | None = None) -> FileReport:
    return FileReport(ENTRY, images, sent, already_stored=already, planned=planned)


@pytest.mark.parametrize(
    ("files", "numbers", "sentence"),
    [
        ([file(3, 3)], "3 of 3 images sent", wording.ALL_SENT),
        ([file(3, 3), file(2, 1)], "4 of 5 images sent", wording.NOT_ALL_SENT),
        (
            [file(300, 0, 300)],
            f"300 of 300 {wording.ON_SERVER}: 300 already there, 0 sent",
            wording.ALL_ON_SERVER,
        ),
        (
            [file(5, 2, 1), file(2, 2)],
            f"5 of 7 {wording.ON_SERVER}: 1 already there, 4 sent",
            wording.NOT_ALL_ON_SERVER,
        ),
        ([file(3, planned=3)], "3 of 3 images would be sent", "All images would be sent"),
        (
            [file(3, planned=2), file(0, planned=0)],
            "2 of 3 images would be sent",
            wording.NOT_ALL_WOULD_BE_SENT,
        ),
        (
            [file(3, 0, 1, planned=2)],
            "2 of 3 images would be sent, 1 already there",
            wording.ALL_WOULD_BE_SENT,
        ),
        ([], "0 of 0 images sent", wording.NOT_ALL_SENT),
    ],
    ids=[
        "sent",
        "some sent",
        "existing",
        "some existing",
        "dry",
        "dry, some",
        "dry, existing",
        "none",
    ],
)
def test_sent_existing_and_planned_images_are_distinguished(
    files: list[FileReport], numbers: str, sentence: str
) -> None:
    """`sent` is only used for sent images."""
    assert image_counts(*files) == numbers
    assert headline(Account(rows=files)) == sentence


def test_a_run_that_was_not_verified_says_so() -> None:
    """The verification is not mentioned if some images were not sent."""
    assert headline(Account(rows=[file(3, 3)], verification=UNVERIFIED)) == (
        f"{wording.ALL_SENT}, {wording.BUT_NOT_ALL_VERIFIED}"
    )
    assert headline(Account(rows=[file(3, 2)], verification=UNVERIFIED)) == wording.NOT_ALL_SENT


@pytest.mark.parametrize(
    ("files", "is_good"),
    [
        ([file(3, 3)], True),
        ([file(3, 3), file(3, 3)], True),
        ([file(3, 1, 2)], True),
        ([file(3, planned=3)], True),
        ([file(3, 3), file(3, 2)], False),
        ([file(3, 0, 1, planned=1)], False),
        ([file(0)], False),
        ([file(0, planned=0)], False),
        ([], False),
    ],
)
def test_a_run_is_complete_if_all_its_files_are(files: list[FileReport], is_good: bool) -> None:
    """A run without files, or with a file without images, is not: nothing was sent."""
    assert Account(rows=files).is_complete == is_good


def test_files_that_were_not_read_after_giving_up_are_left() -> None:
    """The closing line counts files then. One without an image is neither sent nor left."""
    reason = Reason(Kind.GIVEN_UP, "300 s")
    unread = FileReport(ENTRY, 0, 0, (Remark((reason,), 0, failure=True),))
    void = FileReport(ENTRY, 0, 0, (Remark((Reason(Kind.NO_IMAGE),), 0, failure=False),))
    rows = (file(1, 1), file(1, 0), file(2, 0), unread, unread, void)
    account = Account(rows=rows, given_up=reason)
    assert headline(account).endswith(" 1 of 6 files sent, 4 left")
