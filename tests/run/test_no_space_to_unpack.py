"""A member that cannot be unpacked for lack of space is unpacked again last and alone."""

import io
import resource
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fw_gear_dicom_send.delivery.results import Sent, Suspect
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.models import DownloadFailure, FileEntry
from fw_gear_dicom_send.reasons import Skipped
from fw_gear_dicom_send.run.quarantine import QuarantinePolicy
from tests.support.choosy import number_of
from tests.support.full_disk import NO_SPACE, Crowded, Disk, codes, rows
from tests.support.sample_files import ArchiveMember, encoded, made, tar_of, uid_of, zip_of
from tests.support.steps import Healthy, Sender

LARGE = 1200
"""Pixels on each side of an image of 2.9 MB, which is unpacked to disk."""
MAX_FILE = 1_500_000


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


def stored_zip(*members: ArchiveMember) -> bytes:
    """Return a zip without compression, larger than 1 MiB."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for one in members:
            archive.writestr(one.name, one.content)
        archive.writestr("padding.txt", b"\n" * 2_000_000)
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

    def now(self) -> float:
        """Return the time of the first failure."""
        return 0.0

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
