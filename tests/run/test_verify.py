"""Images are verified together, in limited numbers."""

import signal
from collections.abc import Collection

import pytest

from fw_gear_dicom_send.delivery.results import (
    AlreadyStored,
    ImageReference,
    StoreResult,
    Verification,
)
from fw_gear_dicom_send.exit_codes import deferred_signals, exit_code
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, ImageRecord
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.verification import Verifications
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.run.verify import Verifier
from tests.support import wording
from tests.support.clock import Clock
from tests.support.gear_runs import CT
from tests.support.results import not_sent, sent

NO_RETRY = RetryPolicy(max_tries=1)


class Server:
    """Server that has all images except the absent ones of each query in order.

    A reason instead of these makes a query fail; `given_up` ends all queries after the last.
    """

    def __init__(self, *absent: Collection[str] | Reason, given_up: Reason | None = None) -> None:
        self.asked: list[list[str]] = []
        self._absent = absent
        self._given_up = given_up

    @property
    def given_up(self) -> Reason | None:
        """Reason why there are no more queries after the last answer."""
        return self._given_up if len(self.asked) >= len(self._absent) else None

    def verify(self, images: Collection[ImageReference]) -> Verification:
        """Return the next answer, also about other images."""
        uids = frozenset(image.sop_instance_uid for image in images)
        if self.given_up:
            return Verification(unknown=dict.fromkeys(uids, self.given_up))
        self.asked.append([image.sop_instance_uid for image in images])
        number = len(self.asked)
        absent = self._absent[number - 1] if number <= len(self._absent) else ()
        if isinstance(absent, Reason):
            return Verification(unknown=dict.fromkeys(uids, absent))
        return Verification(uids - set(absent), frozenset(absent))

    @property
    def numbers(self) -> list[int]:
        """Number of images in each query."""
        return list(map(len, self.asked))


def file(number: int) -> FileEntry:
    return FileEntry(Container("acquisition", "a"), f"{number}", f"p/{number}")


def take(verifier: Verifier, entry: FileEntry, *records: ImageRecord) -> None:
    """Pass the images of a file and its end to a verifier."""
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
    """Return a record of an image, which was sent unless a result is given."""
    return ImageRecord(entry, "", result or sent(), CT, uid, study, series)


def test_they_are_queried_before_they_are_too_many() -> None:
    """At most a thousand images plus those of one file are kept."""
    server = Server({"1.2.5"})
    verifier = Verifier(server, Verifications("find"))
    for number in range(2500):
        take(verifier, file(number), record_of(file(number), f"1.2.{number}"))
    assert server.numbers == [1000, 1000]
    assert verifier.missing() == {}
    assert server.numbers == [1000, 1000, 501]


def test_images_of_a_file_are_queried_together() -> None:
    """A file of many images is one query, and an absent image is reported with its file."""
    server = Server({"1.2.7", "9.9"}, {"1.2.7"})
    verifier = Verifier(server, Verifications("find"), NO_RETRY)
    take(verifier, file(1), *(record_of(file(1), f"1.2.{n}") for n in range(1500)))
    take(verifier, file(2), record_of(file(2), "1.4.1"))
    assert server.numbers == [1500]
    assert verifier.missing() == {file(1): frozenset({"1.2.7"})}
    assert [sorted(uids) for uids in server.asked[1:]] == [["1.2.7", "1.4.1"]]


class Silent(Server):
    """Server that answers only after a signal."""

    def verify(self, images: Collection[ImageReference]) -> Verification:
        """Send a signal to this process, and answer."""
        signal.raise_signal(signal.SIGTERM)
        return super().verify(images)


@pytest.mark.usefixtures("own_signals")
def test_a_signal_ends_the_wait_for_an_answer() -> None:
    """The server may take minutes to answer, which is more time than a cancelled job has."""
    server = Silent()
    verifier = Verifier(server, Verifications("find"))

    @deferred_signals()
    def verify() -> int:
        take(verifier, file(1), *(record_of(file(1), f"1.2.{n}") for n in range(1000)))
        return 0

    assert exit_code(verify) == 128 + signal.SIGTERM
    assert server.numbers == []


def test_missing_images_are_queried_again_once() -> None:
    """A server may find an image with a delay; a missing one is reported once."""
    server = Server({"1.2.1", "1.2.2"}, {"1.2.2"}, {"1.2.2"})
    verifier = Verifier(server, Verifications("find"), RetryPolicy(max_tries=3, max_wait=0.01))
    take(verifier, file(1), *(record_of(file(1), f"1.2.{n}") for n in range(3)))
    assert verifier.missing() == {file(1): frozenset({"1.2.2"})}
    assert server.numbers == [3, 2, 1]
    assert verifier.missing() == {}
    assert server.numbers == [3, 2, 1]


@pytest.mark.parametrize(
    ("absent", "what"),
    [
        ({"1.2"}, "for 1 image to appear"),
        (Reason(Kind.QUERY_FAILED, "no answer"), "to query 1 image again"),
    ],
    ids=["missing", "unknown"],
)
def test_a_wait_for_images_is_shown(absent: Collection[str] | Reason, what: str) -> None:
    """It names the time and the images, and ends with the wait."""
    server, notes = Server(absent), list[str]()
    policy = RetryPolicy(max_time=30, clock=Clock())
    verifier = Verifier(server, Verifications("find"), policy, notes.append)
    verifier.image(record_of(file(1), "1.2"))
    assert verifier.missing() == {}
    assert notes == [f"waiting 30 s {what}", ""]


def test_a_resent_image_is_queried_alone() -> None:
    """The other images of its file were already found."""
    server = Server({"1.2.1"})
    verifier = Verifier(server, Verifications("find"), NO_RETRY)
    take(verifier, file(1), *(record_of(file(1), f"1.2.{n}") for n in range(3)))
    assert verifier.missing() == {file(1): frozenset({"1.2.1"})}
    take(verifier, file(1), record_of(file(1), "1.2.1"))
    assert verifier.missing() == {}
    assert server.asked[1:] == [["1.2.1"]]


def test_unsent_images_are_not_queried() -> None:
    """An image that was not sent may be missing."""
    server, verifications = Server(), Verifications("find")
    verifier = Verifier(server, verifications)
    take(verifier, file(1), record_of(file(1), "1.2.1", not_sent("refused")))
    assert verifier.missing() == {}
    assert server.asked == []
    assert verifications.summary().images == 0


def test_an_existing_image_is_verified() -> None:
    """An image that existed before the run must exist after it."""
    server, verifications = Server(), Verifications("find")
    verifier = Verifier(server, verifications)
    take(verifier, file(1), record_of(file(1), "1.2.1", AlreadyStored()))
    assert verifier.missing() == {}
    assert server.asked == [["1.2.1"]]
    assert verifications.cell(0) == "yes"


def test_images_of_a_large_file_are_queried_before_its_end() -> None:
    """At most ten thousand images of a file are kept."""
    server = Server()
    verifier = Verifier(server, Verifications("find"))
    for number in range(25_000):
        verifier.image(record_of(file(1), f"1.2.{number}"))
    assert server.numbers == [10_000, 10_000]


FAILED = Reason(Kind.QUERY_FAILED, "no")
FEW = RetryPolicy(max_tries=3, max_wait=0.01)


def test_images_of_a_failed_query_are_queried_again() -> None:
    """A single failed query does not leave them unverified."""
    server, verifications = Server(FAILED), Verifications("find")
    verifier = Verifier(server, verifications, FEW)
    for number in range(1500):
        take(verifier, file(number), record_of(file(number), f"1.2.{number}"))
    assert verifier.missing() == {}
    assert server.numbers == [1000, 1500]
    assert verifications.summary().verified == 1500


def test_a_failed_query_at_the_end_is_retried() -> None:
    """The retry has the same time limit as for missing images."""
    server, verifications = Server(FAILED), Verifications("find")
    verifier = Verifier(server, verifications, FEW)
    take(verifier, file(1), *(record_of(file(1), f"1.2.{n}") for n in range(3)))
    assert verifier.missing() == {}
    assert server.numbers == [3, 3]
    assert verifications.summary().verified == 3


def test_images_that_cannot_be_queried_are_not_waited_for() -> None:
    """Another query would have the same result."""
    server, verifications = Server(Reason(Kind.NOT_QUERYABLE)), Verifications("find")
    verifier = Verifier(server, verifications, FEW)
    take(verifier, file(1), record_of(file(1), "1.2.1"))
    assert verifier.missing() == {}
    assert server.numbers == [1]
    assert verifications.cell(0) == Reason(Kind.NOT_QUERYABLE).text


def test_no_wait_after_the_end_of_queries(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says once that images are not verified, whenever they were sent."""
    server, verifications, clock = Server(FAILED, given_up=FAILED), Verifications("find"), Clock()
    verifier = Verifier(server, verifications, RetryPolicy(max_time=30, clock=clock))
    for number in range(2500):
        take(verifier, file(number), record_of(file(number), f"1.2.{number}"))
    assert verifier.missing() == {}
    assert server.numbers == [1000]
    assert clock.waits == []
    assert caplog.messages == [f"{wording.CANNOT_VERIFY}: no"]
    summary = verifications.summary()
    assert (summary.images, summary.verified, summary.causes) == (2500, 0, ((FAILED, 2500),))


def test_the_state_of_an_image_changes_when_it_is_resent() -> None:
    """An absent image has state `no` until it was resent and found."""
    server, verifications = Server({"1.2.1", "1.2.2"}, {"1.2.2"}), Verifications("find")
    verifier = Verifier(server, verifications, NO_RETRY)
    images = [record_of(file(1), f"1.2.{n}") for n in range(3)]
    take(verifier, file(1), *images)
    assert list(map(verifications.cell, range(3))) == [wording.NOT_VERIFIED] * 3
    verifier.missing()
    assert list(map(verifications.cell, range(3))) == ["yes", "no", "no"]
    take(verifier, file(1), *images[1:])
    verifier.missing()
    assert list(map(verifications.cell, range(3))) == ["yes", "yes", "no"]
    assert verifications.verified[file(1)] == 2


def test_each_copy_of_an_image_is_verified() -> None:
    """A file may contain an image twice, and so may two files."""
    server, verifications = Server(), Verifications("find")
    verifier = Verifier(server, verifications)
    take(verifier, file(1), record_of(file(1), "1.2.1"), record_of(file(1), "1.2.1"))
    take(verifier, file(2), record_of(file(2), "1.2.1"))
    assert verifier.missing() == {}
    assert verifications.summary().verified == 3
    assert dict(verifications.verified) == {file(1): 2, file(2): 1}
