"""Images to verify are asked for together, and before they are too many."""

from collections.abc import Collection

from fw_gear_dicom_send.models import Container, FileEntry, FileReport, ImageRecord
from fw_gear_dicom_send.network.types import ImageReference, StoreResult
from fw_gear_dicom_send.run.verify import Verifier
from tests.support.gear_runs import CT


def test_they_are_asked_for_before_they_are_too_many() -> None:
    """No more than a thousand and the images of a file are remembered."""
    asked: list[int] = []

    class Inquirer:
        def missing(self, images: Collection[ImageReference]) -> frozenset[str]:
            asked.append(len(images))
            return frozenset({"1.2.5"} if len(asked) == 1 else ())

    verifier = Verifier(Inquirer())
    for number in range(2500):
        entry = FileEntry(Container("acquisition", "a"), f"{number}", f"p/{number}")
        verifier.image(record_of(entry, f"1.2.{number}"))
        verifier.file(FileReport(entry, 1, 1))
    assert asked == [1000, 1000]
    assert verifier.missing() == {}
    assert asked == [1000, 1000, 501]


def record_of(entry: FileEntry, uid: str) -> ImageRecord:
    """Return an image that was sent."""
    return ImageRecord(entry, "", StoreResult(True), CT, uid, "1.2", "1.3")
