"""An image that finds no space on disk is put off, and sent last and alone."""

import io
import resource
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from signal import Signals
from threading import Barrier, Event, Lock

import pytest

from fw_gear_dicom_send.delivery.results import NotSent, Sent, Suspect
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.errors import CancelledError
from fw_gear_dicom_send.models import DownloadFailure, FileEntry, FileReport, ImageRecord
from fw_gear_dicom_send.reasons import Kind, Reason, Skipped
from fw_gear_dicom_send.report.earlier_reports import EarlierImage
from fw_gear_dicom_send.report.events import Observer
from fw_gear_dicom_send.report.file_counts import FileCounts
from fw_gear_dicom_send.run.known_images import KnownImages
from fw_gear_dicom_send.run.quarantine import DEFAULT_QUARANTINE, QuarantinePolicy
from fw_gear_dicom_send.run.steps import Resources, is_missing, send
from fw_gear_dicom_send.source import Fetcher
from tests.support.choosy import number_of
from tests.support.results import reason_with
from tests.support.sample_files import ArchiveMember, encoded, made, tar_of, uid_of, zip_of
from tests.support.steps import CONFIG, Folder, Healthy, Sender
from tests.support.waiting import wait_for

NO_SPACE = NotSent(Reason(Kind.NO_SPACE))
LARGE = 1200
"""Pixels on each side of an image of 2.9 MB, which is unpacked to disk."""
MAX_FILE = 1_500_000


class Disk(Folder):
    """Source of zips, which counts the files on disk and fails for some when read again."""

    def __init__(self, path: Path, *images: Collection[int]) -> None:
        super().__init__(path)
        self.fetched: list[str] = []
        self.lying: list[str] = []
        self.lost: set[str] = set()
        for number, numbers in enumerate(images):
            members = [ArchiveMember(f"{n}", encoded(made(n))) for n in numbers]
            self.add(zip_of(path / f"{number}.zip", members).name)

    @property
    def is_read_again(self) -> bool:
        """Whether a file was fetched again."""
        return len(self.fetched) > len(self.entries)

    def fetcher(self, _: Path) -> Fetcher:
        """Return a fetcher with two threads."""
        return Fetcher(self.fetch, 2)

    def fetch(self, entry: FileEntry) -> Path | DownloadFailure:
        """Put a file on disk."""
        is_lost = entry.name in self.lost and entry.name in self.fetched
        self.fetched.append(entry.name)
        if is_lost:
            return DownloadFailure(reason_with("lost"))
        self.lying.append(entry.name)
        return self.path / entry.name

    def release(self, path: Path) -> None:
        """Remove a file from disk."""
        self.lying.remove(path.name)


class Crowded(Sender):
    """Sender without space for some images in their first tries.

    `others` lists the numbers of images and files beside each image of a second reading.
    """

    def __init__(self, full: dict[int, float], disk: Disk | None = None) -> None:
        super().__init__()
        self.tries: Counter[int] = Counter()
        self.in_flight = 0
        self.others: list[int] = []
        self._full = full
        self._disk = disk
        self._counting = Lock()

    def send(  # type: ignore[override]
        self,
        instance: SOPInstance,
        earlier: Suspect | None = None,  # noqa: ARG002
    ) -> Sent | NotSent:
        """Send an image, or fail for lack of space."""
        number = number_of(instance.sop_instance_uid)
        with self._counting:
            self.tries[number] += 1
            self.in_flight += 1
        if self._disk and self._disk.is_read_again:
            wait_for(lambda: self.in_flight > 1, 0.1)
            self.others.append(self.in_flight - 1 + len(self._disk.lying) - 1)
        try:
            return self.answer(number, instance)
        finally:
            with self._counting:
                self.in_flight -= 1

    def answer(self, number: int, instance: SOPInstance) -> Sent | NotSent:
        """Decide by the number of tries."""
        if self.tries[number] > self._full.get(number, 0):
            return super().send(instance)
        return NO_SPACE


def rows(
    source: Folder,
    sender: Sender,
    *,
    associations: int = 4,
    observer: Observer | None = None,
    quarantine: QuarantinePolicy = DEFAULT_QUARANTINE,
    missing: dict[FileEntry, frozenset[str]] | None = None,
    sent: Collection[SOPInstance] = (),
) -> list[FileReport]:
    """Send all images, or those `missing` of the `sent` ones, and return the rows of the report."""
    counts = FileCounts(source.entries)
    config = replace(CONFIG, associations=associations)
    resources = Resources(
        config, source, source.path, sender, observer or Observer(), quarantine=quarantine
    )
    known = KnownImages()
    for image in sent:
        known.add(EarlierImage(image.sop_instance_uid, image.dataset.size, image.dataset.crc32()))
    first = replace(resources, known=known)
    wanted = [] if missing is None else [partial(is_missing, first, missing)]
    with suppress(CancelledError):
        send(resources, counts, *wanted)
    return counts.reports()


def codes(row: FileReport) -> list[tuple[str, int]]:
    """Return the codes of the failures of a row, each with its number of images."""
    return [(remark.kind.code, remark.images) for remark in row.remarks if remark.failure]


@pytest.mark.parametrize("associations", [1, 4])
def test_images_without_space_are_sent_last_and_alone(tmp_path: Path, associations: int) -> None:
    """Nothing else is in flight, and no other file is on disk."""
    disk = Disk(tmp_path, range(10), range(10, 20), range(20, 30))
    sender = Crowded({3: 1, 15: 1, 17: 1}, disk)
    found = rows(disk, sender, associations=associations)
    assert [(row.images, row.sent) for row in found] == [(10, 10)] * 3
    assert sorted(map(number_of, sender.uids[27:])) == [3, 15, 17]
    assert sender.others == [0] * 3
    assert sorted(disk.fetched[3:]) == ["0.zip", "1.zip"]
    assert disk.lying == []


@pytest.mark.parametrize("associations", [1, 4])
def test_an_image_that_never_fits_fails_after_two_tries(tmp_path: Path, associations: int) -> None:
    """The other images of its file are sent once."""
    sender = Crowded({3: 9, 4: 1})
    (row,) = rows(Disk(tmp_path, range(10)), sender, associations=associations)
    assert (row.images, row.sent, codes(row)) == (10, 9, [("disk-full", 1)])
    assert sender.tries == Counter(range(10)) + Counter([3, 4])


def test_a_disk_that_stays_full_ends_the_run(tmp_path: Path) -> None:
    """No thread waits for another one."""
    disk = Disk(tmp_path, range(10), range(10, 20))
    found = rows(disk, Crowded(dict.fromkeys(range(20), 9)))
    assert [(row.images, row.sent, codes(row)) for row in found] == [
        (10, 0, [("disk-full", 10)])
    ] * 2


def test_the_number_of_images_that_are_put_off_is_limited(tmp_path: Path) -> None:
    """Further ones fail immediately."""
    disk, sender = Disk(tmp_path, range(5), range(5, 10)), Crowded(dict.fromkeys(range(10), 1))
    found = rows(disk, sender, associations=1, quarantine=QuarantinePolicy(max_images=7))
    assert [row.sent for row in found] == [5, 2]
    assert [codes(row) for row in found] == [[], [("disk-full", 3)]]
    assert sender.tries == Counter(range(10)) + Counter(range(7))


class OneAtATime(Crowded):
    """Sender with space for one image, whose first image waits for the tries of others."""

    def answer(self, number: int, instance: SOPInstance) -> Sent | NotSent:
        """Fail if another image is in flight."""
        if self.in_flight > 1:
            return NO_SPACE
        if len(self.tries) < 10:
            wait_for(lambda: len(self.tries) > 10, 0.3)
        return super().answer(number, instance)


def test_a_thread_without_space_takes_no_more_images_of_the_file(tmp_path: Path) -> None:
    """At most one image for each further thread is put off, however slow the others are."""
    sender = OneAtATime({})
    (row,) = rows(Disk(tmp_path, range(100)), sender)
    assert (row.images, row.sent) == (100, 100)
    assert sum(sender.tries.values()) <= 103


def test_threads_without_space_continue_with_the_next_file(tmp_path: Path) -> None:
    """When a file is deleted, there may be space for more images."""
    disk = Disk(tmp_path, range(10), range(10, 200))
    arrivals, meeting = count(), Barrier(4, timeout=30)

    class Counting(Crowded):
        def answer(self, number: int, instance: SOPInstance) -> Sent | NotSent:
            if number == 0:
                wait_for(lambda: all(self.tries[n] for n in (1, 2, 3)), 30)
            if number > 20 and next(arrivals) < 4:
                meeting.wait()
            return super().answer(number, instance)

    found = rows(disk, Counting({1: 1, 2: 1, 3: 1}))
    assert [(row.images, row.sent) for row in found] == [(10, 10), (190, 190)]


def test_a_file_that_cannot_be_read_again_keeps_its_counts(tmp_path: Path) -> None:
    """Only images without space fail."""
    disk = Disk(tmp_path, range(5))
    disk.lost = {"0.zip"}
    (row,) = rows(disk, Crowded({2: 1, 4: 1}))
    assert (row.images, row.sent, codes(row)) == (5, 3, [("disk-full", 2)])


def test_a_file_that_was_cut_is_incomplete_when_read_again(tmp_path: Path) -> None:
    """Images after the cut remain unsent."""

    class Moving(Disk):
        def fetch(self, entry: FileEntry) -> Path | DownloadFailure:
            if self.fetched:
                self.path.mkdir()
            super().fetch(entry)
            return tmp_path / entry.name

    disk = Moving(tmp_path)
    zip_of(tmp_path / "archive", [member(1), member(2), member(3, LARGE), member(4)])
    disk.add("archive")
    disk.path = tmp_path / "work"
    (row,) = rows(disk, Crowded({1: 1}), associations=1)
    assert (row.images, row.sent, codes(row)) == (3, 2, [("not-unpacked", 0)])


class Cancelling(Observer):
    """Observer that stops the run after a number of images."""

    def __init__(self, images: int) -> None:
        self.records: list[ImageRecord] = []
        self._images = images

    def image(self, record: ImageRecord) -> None:
        """Count an image."""
        self.records.append(record)
        if len(self.records) == self._images:
            raise CancelledError(Signals.SIGTERM)


@pytest.mark.parametrize("images", [2, 4])
def test_a_cancelled_run_reports_the_images_that_were_put_off(tmp_path: Path, images: int) -> None:
    """Each has a record with its UID, once."""
    observer = Cancelling(images)
    rows(Disk(tmp_path, range(5)), Crowded({0: 9}), associations=1, observer=observer)
    found = [one for one in observer.records if one.sop_instance_uid == uid_of(0)]
    assert [one.result for one in found] == [NO_SPACE]


def test_a_run_that_is_cancelled_in_a_second_reading_knows_all_images(tmp_path: Path) -> None:
    """The rest of the file has no further images."""
    is_over = Event()

    class Held(Crowded):
        def answer(self, number: int, instance: SOPInstance) -> Sent | NotSent:
            if (number, self.tries[number]) == (1, 2):
                assert is_over.wait(30)
            return super().answer(number, instance)

        def finish(self) -> None:
            is_over.set()

    disk, sender = Disk(tmp_path, range(5)), Held({0: 1, 1: 1})
    (row,) = rows(disk, sender, associations=1, observer=Cancelling(4))
    assert (row.images, row.sent, codes(row)) == (5, 5, [])


class Small(Disk):
    """Disk without space for unpacked images until a file is read again."""

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Limit the size of files of this process, and restore it."""
        _, self._hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE, self._hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    def fetch(self, entry: FileEntry) -> Path | DownloadFailure:
        """Make space when a file is read again."""
        if entry.name in self.fetched:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._hard, self._hard))
        return super().fetch(entry)


def member(number: int, pixels: int = 10) -> ArchiveMember:
    return ArchiveMember(f"{number}", encoded(made(number, pixels=pixels)))


def instance(number: int) -> SOPInstance:
    image = stamp(io.BytesIO(member(number).content), None, Path())
    assert isinstance(image, SOPInstance)
    return image


def stored_zip(*members: ArchiveMember) -> bytes:
    """Return a zip without compression, larger than 1 MiB."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for one in members:
            archive.writestr(one.name, one.content)
        archive.writestr("padding.txt", bytes(2_000_000))
    return data.getvalue()


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_members_without_space_are_unpacked_again(
    tmp_path: Path, pack: Callable[[Path, list[ArchiveMember]], Path]
) -> None:
    """Nested archives count by their images, or as skipped files if they have none."""
    nested = ArchiveMember("nested", stored_zip(member(4), member(5)))
    document = ArchiveMember("document", stored_zip())
    text = ArchiveMember("text", b"text")
    members = [member(1), member(2, LARGE), nested, document, text, member(3)]
    disk = Small(tmp_path)
    sender = Crowded({}, disk)
    pack(tmp_path / "archive", members)
    disk.add("archive")
    with disk.limited():
        (row,) = rows(disk, sender)
    assert disk.fetched == ["archive"] * 2
    assert (row.images, row.sent, row.remarks) == (5, 5, ())
    assert sorted(map(number_of, sender.uids)) == [1, 2, 3, 4, 5]
    assert dict(row.skipped) == {Skipped.NOT_DICOM: 3}
    assert sender.others == [0] * 3


def test_a_missing_image_without_space_is_resent(tmp_path: Path) -> None:
    """Other images without space are neither sent nor counted."""
    disk, sender = Small(tmp_path), Sender()
    zip_of(tmp_path / "archive", [member(1, LARGE), member(2, LARGE), member(3)])
    entry = disk.add("archive")
    with disk.limited():
        (row,) = rows(disk, sender, missing={entry: frozenset({uid_of(2)})})
    assert (row.images, row.sent) == (1, 1)
    assert sender.uids == [uid_of(2)]


class Patient(Healthy):
    """Health of a server that has accepted an image; no wait takes any time."""

    is_at_fault, accepted_at = False, 0.0

    def wait_until(self, moment: float) -> None:
        """Do not wait."""


def test_missing_images_whose_file_is_lost_again_are_not_unknown_ones(tmp_path: Path) -> None:
    """Only an image that was identified fails for lack of space."""
    disk = Small(tmp_path)
    zip_of(tmp_path / "archive", [member(1, LARGE), member(2), member(3)])
    entry, disk.lost = disk.add("archive"), {"archive"}
    with disk.limited():
        missing = {entry: frozenset({uid_of(1), uid_of(2)})}
        (row,) = rows(disk, Crowded({2: 1}), missing=missing, sent=[instance(2)])
    assert (row.images, row.sent, codes(row)) == (1, 0, [("disk-full", 1)])


class Refusing(Sender):
    """Sender whose server stores images in the second try, some of them in the first."""

    health = Patient()

    def __init__(self, *at_once: int) -> None:
        super().__init__()
        self._at_once = at_once

    def send(self, instance: SOPInstance, earlier: Suspect | None = None) -> Sent | Suspect:  # type: ignore[override]
        """Fail the first time."""
        if earlier or number_of(instance.sop_instance_uid) in self._at_once:
            return super().send(instance)
        return Suspect(NO_SPACE, 0.0, may_be_stored=False)


@pytest.mark.parametrize("at_once", [(), (1, 3)])
def test_an_image_to_retry_finds_no_space_when_read_again(
    tmp_path: Path, at_once: tuple[int, ...]
) -> None:
    """Images to retry are read once more, alone, and sent; images that were sent are not."""

    class Late(Small):
        def fetch(self, entry: FileEntry) -> Path | DownloadFailure:
            if len(self.fetched) == 1:
                resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE, self._hard))
                return Disk.fetch(self, entry)
            return super().fetch(entry) if self.fetched else Disk.fetch(self, entry)

    disk, sender = Late(tmp_path), Refusing(*at_once)
    zip_of(tmp_path / "archive", [member(1, LARGE), member(2), member(3, LARGE)])
    disk.add("archive")
    with disk.limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (disk._hard, disk._hard))
        (row,) = rows(disk, sender, associations=1, quarantine=QuarantinePolicy(max_bytes=0))
    assert (row.images, row.sent) == (3, 3)
    assert sorted(map(number_of, sender.uids)) == [1, 2, 3]
    assert disk.fetched == ["archive"] * 3
