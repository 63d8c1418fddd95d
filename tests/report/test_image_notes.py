"""Notes count images that archives may refuse, or may keep with other content."""

import pytest

from fw_gear_dicom_send.delivery.results import (
    AlreadyStored,
    Answer,
    NotSent,
    Sent,
    StoreResult,
    Transfer,
)
from fw_gear_dicom_send.models import Container, FileEntry, ImageRecord
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.image_notes import ImageNotes, content_text, missing_text
from tests.support.results import sent

ENTRY = FileEntry(Container("acquisition", "a"), "a.zip", "lab/a.zip")


def record(
    result: StoreResult, patient: bool = True, study: str = "1.2", series: str = "1.3"
) -> ImageRecord:
    return ImageRecord(
        ENTRY,
        "m",
        result,
        sop_instance_uid="1.1",
        study_instance_uid=study,
        series_instance_uid=series,
        has_patient_id=patient,
    )


def answered(code: int, *, is_sent: bool = True) -> StoreResult:
    transfer = Transfer(Answer(code, f"0x{code:04X} Text"))
    return Sent(transfer) if is_sent else NotSent(Reason(Kind.REFUSED), transfer)


def noted(*records: ImageRecord) -> ImageNotes:
    notes = ImageNotes()
    for one in records:
        notes.image(one)
    return notes


def test_missing_identifiers_are_counted() -> None:
    """Each one counts, also in the same image; only those that are missing have a number."""
    notes = noted(
        record(sent()), record(sent(), False), record(sent(), False, "", ""), record(sent())
    )
    assert notes.missing == {"patient_id": 2, "study_instance_uid": 1, "series_instance_uid": 1}
    assert missing_text(notes.missing) == (
        "Images without Patient ID: 2, without Study Instance UID: 1, without Series Instance "
        "UID: 1. Some archives refuse such images"
    )


@pytest.mark.parametrize(
    "one",
    [record(sent()), ImageRecord(ENTRY, "m", sent()), record(AlreadyStored(), False, "", "")],
    ids=["complete", "unreadable", "already there"],
)
def test_other_images_do_not_count(one: ImageRecord) -> None:
    """An unreadable dataset has no identifiers, and the server accepted an existing image."""
    notes = noted(one)
    assert (sum(notes.missing.values()), missing_text(notes.missing)) == (0, "")


def test_images_with_other_content_are_counted() -> None:
    """The server has an object with their UID, or answered that they do not match."""
    notes = noted(
        *[record(AlreadyStored())] * 3,
        record(answered(0x0111)),
        record(answered(0x0111, is_sent=False)),
        record(answered(0xB007)),
        record(answered(0xB000)),
        record(answered(0)),
        record(Sent(Transfer(), (Reason(Kind.ANSWER_LOST), Reason(Kind.CONVERTED)))),
        record(NotSent(Reason(Kind.NOT_READ))),
        record(AlreadyStored(is_equal=True)),
    )
    assert content_text(notes.content) == (
        "The content on the server may differ for 7 images: already there (3), status 0x0111 "
        "Text (2), status 0xB007 Text (1), the answer was lost, but a query found the image on "
        "the server (1). To replace it, delete these images there, then send "
        "them again"
    )
    assert content_text(noted(record(answered(0))).content) == ""


def test_resent_images_do_not_count_again() -> None:
    """The first result of an image counts."""
    notes = ImageNotes()
    notes.image(record(answered(0x0111), False))
    notes.start_resending()
    notes.image(record(answered(0x0111), False))
    assert notes.missing["patient_id"] == 1
    assert "1 image:" in content_text(notes.content)
