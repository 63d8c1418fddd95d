"""Images to verify are asked for together, and before they are too many."""

from collections.abc import Collection

import pytest

from fw_gear_dicom_send.models import Container, FileEntry, FileReport, ImageRecord
from fw_gear_dicom_send.network.errors import QueryError
from fw_gear_dicom_send.network.types import ImageReference
from fw_gear_dicom_send.run.verify import Verifier
from tests.support.gear_runs import CT
from tests.support.results import sent


def test_they_are_asked_for_before_they_are_too_many() -> None:
    """No more than a thousand and the images of a file are remembered."""
    asked: list[int] = []

    class Inquirer:
        def missing(self, images: Collection[ImageReference]) -> frozenset[str]:
            asked.append(len(images))
            return frozenset({"1.2.5"} if len(asked) == 1 else ())

    verifier = Verifier(Inquirer())
    report_images(verifier, 2500)
    assert asked == [1000, 1000]
    assert verifier.missing() == {}
    assert asked == [1000, 1000, 501]


def test_a_server_that_answers_no_query_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """However many images are sent, one line says that they are not verified."""

    class Inquirer:
        def missing(self, _: Collection[ImageReference]) -> frozenset[str]:
            raise QueryError("the server does not offer queries")

    verifier = Verifier(Inquirer())
    report_images(verifier, 2500)
    assert verifier.missing() == {}
    assert caplog.messages == ["What was sent is not verified: the server does not offer queries"]


def report_images(verifier: Verifier, count: int) -> None:
    """Report so many images as sent, each in a file of its own."""
    for number in range(count):
        entry = FileEntry(Container("acquisition", "a"), f"{number}", f"p/{number}")
        verifier.image(record_of(entry, f"1.2.{number}"))
        verifier.file(FileReport(entry, 1, 1))


def record_of(entry: FileEntry, uid: str) -> ImageRecord:
    """Return an image that was sent."""
    return ImageRecord(entry, "", sent(), CT, uid, "1.2", "1.3")
