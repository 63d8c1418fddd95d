"""Reasons with one cause have one row, and their first images are kept."""

from fw_gear_dicom_send.account import Example
from fw_gear_dicom_send.delivery.results import AlreadyStored, NotSent, Sent, StoreResult, Transfer
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, ImageRecord, Remark
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.reason_groups import (
    MAX_EXAMPLES,
    MAX_PATHS,
    MAX_PER_CAUSE,
    MAX_TEXTS,
    ImageExamples,
    cause_of,
    common_refusal,
    failures,
    notes,
)
from tests.support import wording

REFUSED = Reason(Kind.REFUSED, "0xC000 Cannot Understand, comment 1", "0xC000")
COERCED = Reason(Kind.WARNING, "0xB000 Coercion of Data Elements", "0xB000")


def entry(name: str = "a.zip") -> FileEntry:
    return FileEntry(Container("acquisition", "a"), name, f"lab/{name}")


def report(name: str, *remarks: Remark) -> FileReport:
    return FileReport(entry(name), 9, 1, remarks)


def failed(reason: Reason, images: int = 1) -> Remark:
    return Remark((reason,), images, failure=True)


def test_one_cause_for_twelve_transfer_syntaxes_is_one_group() -> None:
    """Its texts are counted; a file with several of them counts once."""
    remarks = [failed(Reason(Kind.NOT_ACCEPTED, f"CT in {n}"), n) for n in range(1, 13)]
    (group,) = failures([report("a", *remarks), report("b", remarks[0])])
    assert (group.images, group.files, len(group.texts)) == (79, 2, 12)
    assert group.texts[f"{wording.NOT_ACCEPTED} CT in 1"] == 2


def test_each_status_is_a_separate_cause() -> None:
    """The comment of a server does not matter; the most frequent cause comes first."""
    other = Reason(Kind.REFUSED, "0xC000 Cannot Understand, comment 2", "0xC000")
    full = Reason(Kind.REFUSED, "0xA900 Does Not Match", "0xA900")
    groups = failures([report("a", failed(full), failed(REFUSED, 2), failed(other, 3))])
    assert [(one.cause.status, one.images) for one in groups] == [("0xC000", 5), ("0xA900", 1)]


def test_warnings_and_changes_are_not_failures() -> None:
    """Each reason of an image counts; existing images need no attention."""
    converted = Reason(Kind.CONVERTED, "CT only as Explicit")
    both = Remark((converted, COERCED), 4, failure=False)
    existing = Remark((Reason(Kind.ALREADY_STORED),), 7, failure=False)
    rows = [report("a", both, existing, Remark((converted, REFUSED), 2, failure=True))]
    assert {one.cause.kind: one.images for one in notes(rows)} == {
        Kind.CONVERTED: 4,
        Kind.WARNING: 4,
    }
    (group,) = failures(rows)
    assert list(group.texts) == [f"{converted.text}; {REFUSED.text}"]


def test_a_remark_on_a_file_names_the_file() -> None:
    """Of many files the first are named."""
    rows = [report(f"{n}", failed(Reason(Kind.CORRUPT_ARCHIVE), 0)) for n in range(30)]
    (group,) = failures(rows)
    assert (group.files, group.images, len(group.paths)) == (30, 0, MAX_PATHS)
    assert group.paths[0] == "lab/0"


def test_the_number_of_texts_is_limited() -> None:
    """Individual comments for each image need no more memory."""
    remarks = [failed(Reason(Kind.REFUSED, f"0xC000 {n}")) for n in range(MAX_TEXTS + 50)]
    (group,) = failures([report("a", *remarks)])
    assert (group.images, len(group.texts)) == (MAX_TEXTS + 50, MAX_TEXTS)


def first_images(examples: ImageExamples, cause: Reason) -> tuple[Example, ...]:
    return examples.counted().get(cause, ())


def add_image(examples: ImageExamples, result: StoreResult, uid: str, member: str = "m") -> None:
    examples.image(ImageRecord(entry(), member, result, sop_instance_uid=uid))


def test_the_first_images_of_a_cause_are_kept_once() -> None:
    """An image that is reported again after a resend counts once."""
    examples = ImageExamples()
    for number in range(2):
        add_image(examples, Sent(Transfer(), (COERCED,)), "1.1")
        add_image(examples, NotSent(REFUSED), f"1.{number + 2}")
    add_image(examples, AlreadyStored(), "1.9")
    assert first_images(examples, cause_of(COERCED)) == (Example("lab/a.zip", "m", "1.1"),)
    assert list(first_images(examples, cause_of(REFUSED))) == [
        Example("lab/a.zip", "m", "1.2"),
        Example("lab/a.zip", "m", "1.3"),
    ]
    assert first_images(examples, cause_of(Reason(Kind.ALREADY_STORED))) == ()


def test_an_image_that_the_server_lost_is_kept() -> None:
    """It is identified by its UID."""
    examples = ImageExamples()
    examples.mark_missing(entry(), "1.2.3", Reason(Kind.NOT_STORED))
    kept = first_images(examples, cause_of(Reason(Kind.NOT_STORED)))
    assert kept == (Example("lab/a.zip", "", "1.2.3"),)


def test_the_number_of_examples_is_limited() -> None:
    """Neither a million images nor ever new statuses need more memory."""
    examples = ImageExamples()
    for number in [0] * MAX_EXAMPLES + list(range(MAX_PER_CAUSE + 5)):
        add_image(examples, NotSent(REFUSED), f"1.{number}")
    for number in range(MAX_EXAMPLES):
        add_image(examples, NotSent(Reason(Kind.REFUSED, status=f"x{number}")), "1")
    counts = [len(images) for images in examples.counted().values()]
    assert counts == [MAX_PER_CAUSE, *[1] * (MAX_EXAMPLES - MAX_PER_CAUSE)]


def test_a_common_refusal_is_named() -> None:
    """It is the only failure of all images, and a final answer of the server."""
    other = Reason(Kind.REFUSED, "0xA900 Does Not Match", "0xA900")
    full = Reason(Kind.OUT_OF_RESOURCES, "0xA700 Out of Resources", "0xA700")
    alike = [report("a", failed(REFUSED, 9)), report("b", failed(REFUSED, 9))]
    assert "all 18 images" in common_refusal(alike)
    assert REFUSED.text in common_refusal(alike)
    assert common_refusal([*alike, report("c")]) == ""
    assert common_refusal([*alike, report("c", failed(other, 9))]) == ""
    assert common_refusal([report("a", failed(full, 9))]) == ""
    assert common_refusal([]) == ""
