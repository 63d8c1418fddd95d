"""Images to verify are asked for together, and before they are too many."""

from collections.abc import Collection

import pytest

from fw_gear_dicom_send.models import Container, FileEntry, FileReport, ImageRecord
from fw_gear_dicom_send.network.errors import QueryError
from fw_gear_dicom_send.network.types import AlreadyStored, ImageReference, StoreResult
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.run.verify import Verifier
from tests.support.gear_runs import CT
from tests.support.results import not_sent, sent

NO_RETRY = RetryPolicy(max_tries=1)


class Server:
    """A server that has all images but those that are absent at each query in turn."""

    def __init__(self, *absent: Collection[str]) -> None:
        self.asked: list[list[str]] = []
        self._absent = absent

    def missing(self, images: Collection[ImageReference]) -> frozenset[str]:
        """Return those that are absent, also of images that nobody asked for."""
        self.asked.append([image.sop_instance_uid for image in images])
        number = len(self.asked)
        return frozenset(self._absent[number - 1] if number <= len(self._absent) else ())

    @property
    def numbers(self) -> list[int]:
        """How many images each query was about."""
        return list(map(len, self.asked))


def file(number: int) -> FileEntry:
    return FileEntry(Container("acquisition", "a"), f"{number}", f"p/{number}")


def take(verifier: Verifier, entry: FileEntry, *records: ImageRecord) -> None:
    """Let a verifier see the images of a file, and the file's end."""
    for record in records:
        verifier.image(record)
    verifier.file(FileReport(entry, len(records), len(records)))


def record_of(
    entry: FileEntry,
    uid: str,
    result: StoreResult | None = None,
    study: str = "1.2",
    series: str = "1.3",
) -> ImageRecord:
    """Return an image, which was sent unless there is a result."""
    return ImageRecord(entry, "", result or sent(), CT, uid, study, series)


def test_they_are_asked_for_before_they_are_too_many() -> None:
    """No more than a thousand and the images of a file are remembered."""
    server = Server({"1.2.5"})
    verifier = Verifier(server)
    for number in range(2500):
        take(verifier, file(number), record_of(file(number), f"1.2.{number}"))
    assert server.numbers == [1000, 1000]
    assert verifier.missing() == {}
    assert server.numbers == [1000, 1000, 501]


def test_images_of_a_file_are_asked_for_together() -> None:
    """A file of many images is one query, and one that is absent of it is told by its file."""
    server = Server({"1.2.7", "9.9"}, {"1.2.7"})
    verifier = Verifier(server, NO_RETRY)
    take(verifier, file(1), *(record_of(file(1), f"1.2.{n}") for n in range(1500)))
    take(verifier, file(2), record_of(file(2), "1.4.1"))
    assert server.numbers == [1500]
    assert verifier.missing() == {file(1): frozenset({"1.2.7"})}
    assert [sorted(uids) for uids in server.asked[1:]] == [["1.2.7", "1.4.1"]]


def test_what_is_missing_is_asked_for_again_and_then_forgotten() -> None:
    """A server may take a while to find an image; what it does not find is told once."""
    server = Server({"1.2.1", "1.2.2"}, {"1.2.2"}, {"1.2.2"})
    verifier = Verifier(server, RetryPolicy(max_tries=3, max_wait=0.01))
    take(verifier, file(1), *(record_of(file(1), f"1.2.{n}") for n in range(3)))
    assert verifier.missing() == {file(1): frozenset({"1.2.2"})}
    assert server.numbers == [3, 2, 1]
    assert verifier.missing() == {}
    assert server.numbers == [3, 2, 1]


def test_an_image_that_is_sent_again_is_asked_for_alone() -> None:
    """The other images of its file were found before."""
    server = Server({"1.2.1"})
    verifier = Verifier(server, NO_RETRY)
    take(verifier, file(1), *(record_of(file(1), f"1.2.{n}") for n in range(3)))
    assert verifier.missing() == {file(1): frozenset({"1.2.1"})}
    take(verifier, file(1), record_of(file(1), "1.2.1"))
    assert verifier.missing() == {}
    assert server.asked[1:] == [["1.2.1"]]


@pytest.mark.parametrize(
    "record",
    [
        record_of(file(1), "1.2.1", not_sent("refused")),
        record_of(file(1), "1.2.1", study=""),
        record_of(file(1), "1.2.1", series=""),
    ],
    ids=["not sent", "no study", "no series"],
)
def test_what_cannot_be_asked_for_is_not(record: ImageRecord) -> None:
    """An image that was not sent need not be there; one without study or series has no query."""
    server = Server()
    verifier = Verifier(server)
    take(verifier, file(1), record)
    assert verifier.missing() == {}
    assert server.asked == []


def test_an_image_that_was_there_before_is_verified() -> None:
    """What the server had before the run it has to have after the run, too."""
    server = Server()
    verifier = Verifier(server)
    take(verifier, file(1), record_of(file(1), "1.2.1", AlreadyStored()))
    assert verifier.missing() == {}
    assert server.asked == [["1.2.1"]]


def test_a_server_that_answers_no_query_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The log says once that nothing is verified, though there would be three queries."""
    asked: list[int] = []

    class Silent:
        def missing(self, images: Collection[ImageReference]) -> frozenset[str]:
            asked.append(len(images))
            raise QueryError("no")

    verifier = Verifier(Silent())
    for number in range(2500):
        take(verifier, file(number), record_of(file(number), f"1.2.{number}"))
    assert verifier.missing() == {}
    assert asked == [1000]
    assert caplog.messages == ["What was sent is not verified: no"]
