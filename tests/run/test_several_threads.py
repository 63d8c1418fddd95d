"""Several threads unpack and send the images of one file."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from threading import Barrier, Event

import pytest

from fw_gear_dicom_send.delivery.results import Sent, Suspect
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.models import FileReport, FileStatus
from fw_gear_dicom_send.report.events import Observer
from fw_gear_dicom_send.report.file_counts import FileCounts
from fw_gear_dicom_send.run.steps import Resources, send
from fw_gear_dicom_send.values import replace
from tests.support.closing import nothing_left_open
from tests.support.sample_files import ArchiveMember, encoded, made, tar_of, uid_of, zip_of
from tests.support.steps import CONFIG, Folder, Sender
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

PATIENCE = 30
IMAGES = 12
ASSOCIATIONS = 4


def members(numbers: Iterable[int], *, pixels: int = 16) -> list[ArchiveMember]:
    """Return images as members of an archive."""
    return [ArchiveMember(f"{n:02}.dcm", encoded(made(n, pixels=pixels))) for n in numbers]


def folder_of(path: Path, images: list[ArchiveMember]) -> Path:
    """Create a folder of images."""
    path.mkdir()
    for image in images:
        (path / image.name).write_bytes(image.content)
    return path


def reports(
    files: Folder, work: Path, sender: Sender, *, associations: int = ASSOCIATIONS
) -> list[FileReport]:
    """Send files and return their counts."""
    counts = FileCounts(files.entries)
    config = replace(CONFIG, associations=associations)
    with nothing_left_open():
        send(Resources(config, files, work, sender, Observer()), counts)
    return counts.reports()


class Meeting(Sender):
    """Sender that waits until there is a number of images, by default one an association."""

    def __init__(self, number: int = ASSOCIATIONS) -> None:
        super().__init__()
        self._barrier = Barrier(number)

    def send(self, instance: SOPInstance, earlier: Suspect | None = None) -> Sent:
        """Wait for the others."""
        self._barrier.wait(PATIENCE)
        return super().send(instance, earlier)


@pytest.mark.parametrize("pack", [zip_of, tar_of, folder_of])
def test_images_of_one_file_are_sent_in_parallel(tmp_path: Path, pack: type) -> None:
    """With any kind of archive, each association has an image of it."""
    files = Folder(tmp_path)
    pack(tmp_path / "a", members(range(IMAGES)))
    files.add("a")
    sender = Meeting()
    (row,) = reports(files, tmp_path, sender)
    assert (row.images, row.sent, row.status) == (IMAGES, IMAGES, FileStatus.COMPLETE)
    assert sorted(sender.uids) == sorted(map(uid_of, range(IMAGES)))


def test_images_that_share_a_request_are_sent_in_parallel(tmp_path: Path) -> None:
    """There is a thread for each image of each request."""
    zip_of(tmp_path / "a", members(range(IMAGES)))
    files, sender = Folder(tmp_path), Meeting(IMAGES)
    files.add("a")
    sender.images_per_request = IMAGES // ASSOCIATIONS
    (row,) = reports(files, tmp_path, sender)
    assert (row.images, row.sent) == (IMAGES, IMAGES)


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_images_of_a_nested_archive_are_sent_in_parallel(tmp_path: Path, pack: type) -> None:
    """They are distributed like others, also if threads without work wait for them first."""
    inner = tmp_path / "inner"
    with zipfile.ZipFile(inner, "w") as archive:
        for image in members(range(IMAGES)):
            archive.writestr(image.name, image.content)
        archive.writestr("padding", bytes(30_000_000))
    pack(tmp_path / "a", [ArchiveMember("inner", inner.read_bytes())])
    files = Folder(tmp_path)
    files.add("a")
    (row,) = reports(files, tmp_path, Meeting())
    assert (row.images, row.sent) == (IMAGES, IMAGES)


@pytest.mark.parametrize("pack", [zip_of, tar_of, folder_of])
def test_one_thread_keeps_the_order(tmp_path: Path, pack: type) -> None:
    """Images are sent in archive order, those of a nested archive in its place."""
    inner = zip_of(tmp_path / "inner", members(range(3, 6))).read_bytes()
    images = [*members(range(3)), ArchiveMember("03", inner), *members(range(6, 9))]
    pack(tmp_path / "a", images)
    files = Folder(tmp_path)
    files.add("a")
    sender = Sender()
    reports(files, tmp_path, sender, associations=1)
    assert sender.uids == [uid_of(number) for number in range(9)]


class Held(Sender):
    """Sender that delays one image until it is released."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.is_free = Event()
        self._held = uid_of(number)

    def send(self, instance: SOPInstance, earlier: Suspect | None = None) -> Sent:
        """Delay the image."""
        if instance.sop_instance_uid == self._held:
            self.is_free.wait(PATIENCE)
        return super().send(instance, earlier)


class Releasing(Folder):
    """Source that releases an image when nothing else can follow."""

    sender: Held
    images: int

    def release(self, path: Path) -> None:
        """Record a released file."""
        super().release(path)
        if path.name == "b":
            assert wait_for(lambda: len(self.sender.uids) == self.images - 1, PATIENCE)
            assert self.released == ["b"]
            self.sender.is_free.set()


def test_a_file_is_released_after_all_its_images_are_sent(tmp_path: Path) -> None:
    """A file with a slow image stays, while the next files are processed."""
    files = Releasing(tmp_path)
    for name, numbers in (("a", range(6)), ("b", range(6, 12))):
        zip_of(tmp_path / name, members(numbers))
        files.add(name)
    files.sender, files.images = Held(2), 12
    rows = reports(files, tmp_path, files.sender, associations=2)
    assert [(row.images, row.sent) for row in rows] == [(6, 6)] * 2
    assert files.released == ["b", "a"]


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_a_damaged_archive_counts_its_readable_images(tmp_path: Path, pack: type) -> None:
    """Its row is counted once, with the readable images."""
    path = pack(tmp_path / "a", members(range(6), pixels=200))
    path.write_bytes(path.read_bytes()[:-100_000] if pack is tar_of else b"")
    files = Folder(tmp_path)
    files.add("a")
    (row,) = reports(files, tmp_path, Sender())
    assert row.status is (FileStatus.INCOMPLETE if pack is tar_of else FileStatus.FAILED)
    assert row.remarks[-1].failure
    assert files.released == ["a"]


def test_nothing_is_sent_twice_or_lost(tmp_path: Path) -> None:
    """This is true for any number of files and nested archives."""
    files = Folder(tmp_path, range(50))
    for start in range(50, 150, 10):
        inner = zip_of(tmp_path / "inner", members(range(start, start + 5))).read_bytes()
        outer = [ArchiveMember("inner", inner), *members(range(start + 5, start + 10))]
        zip_of(tmp_path / f"{start}.zip", outer)
        files.add(f"{start}.zip")
    sender = Sender()
    rows = reports(files, tmp_path, sender)
    assert sorted(sender.uids) == sorted(map(uid_of, range(150)))
    assert sum(row.sent for row in rows) == 150
    assert sorted(files.released) == sorted(entry.name for entry in files.entries)
