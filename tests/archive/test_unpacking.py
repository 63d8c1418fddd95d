"""Members are unpacked one at a time with little memory and leave no file open."""

import os
import resource
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from fw_gear_dicom_send.archive.types import Member
from tests.support.archive_reading import (
    CORRUPT,
    CORRUPT_SECOND,
    NO_SPACE,
    SKIPS,
    Image,
    items,
    read,
    read_item,
)
from tests.support.archives import A, B, dicom, flip, set_zip_field, zipped
from tests.support.sample_files import ArchiveMember, tar_of, zip_of

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc")


def open_files() -> set[str]:
    """Return the paths of this process's open files."""
    fds = Path("/proc/self/fd")
    return {os.readlink(fd) for fd in fds.iterdir() if fd.is_symlink() and fd.exists()}


def test_a_member_is_unpacked_on_demand(tmp_path: Path, work: Path) -> None:
    """The next member is not read before the consumer requests it."""
    first, second = dicom(1, 2_000_000), dicom(2, 2_000_000)
    path = zipped(tmp_path / "a", first, second, method=zipfile.ZIP_STORED)
    reading = read(path, work, SKIPS)
    assert read_item(next(reading)) == Image(1, first)
    flip(path, path.read_bytes().index(second) + 500_000)
    assert list(map(read_item, reading)) == [CORRUPT_SECOND]


@needs_proc
def test_large_members_are_stored_in_the_work_folder(tmp_path: Path, work: Path) -> None:
    """A large member is a nameless file in the work folder and is deleted when it is closed."""
    path = zipped(tmp_path / "a", dicom(1, 2_000_000))
    reading = read(path, work, SKIPS)
    member = next(reading)
    assert isinstance(member, Member)
    on_disk = Path(os.readlink(f"/proc/self/fd/{member.content.fileno()}"))
    assert on_disk.parent == work
    assert list(work.iterdir()) == []
    member.content.close()
    assert not any(name.startswith(str(work)) for name in open_files())


@needs_proc
def test_large_stored_members_stay_in_their_archive(tmp_path: Path, work: Path) -> None:
    """An uncompressed member is read in place and needs no more disk space."""
    content = dicom(1, 2_000_000)
    path = zipped(tmp_path / "a", A, content, B, method=zipfile.ZIP_STORED)
    reading = read(path, work, SKIPS)
    assert read_item(next(reading)) == Image(1, A)
    member = next(reading)
    assert isinstance(member, Member)
    assert not any(name.startswith(str(work)) for name in open_files())
    assert read_item(member) == Image(2, content)
    assert list(map(read_item, reading)) == [Image(3, B)]
    assert not any(name.startswith(str(tmp_path)) for name in open_files())


def test_a_large_stored_member_with_a_wrong_crc_is_corrupt(tmp_path: Path, work: Path) -> None:
    """It is verified completely before the reader returns it."""
    content = dicom(1, 2_000_000)
    path = zipped(tmp_path / "a", content, A, method=zipfile.ZIP_STORED)
    flip(path, path.read_bytes().index(content) + len(content) - 1)
    assert items(path, work) == [CORRUPT, Image(2, A)]


@needs_proc
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_nothing_stays_open_after_an_early_close(tmp_path: Path, work: Path, kind: str) -> None:
    """If the consumer stops early, neither the archive nor a temporary file stays open."""
    members = [ArchiveMember(f"{n}", dicom(n, 2_000_000)) for n in range(3)]
    path = zip_of(tmp_path / "a", members) if kind == "zip" else tar_of(tmp_path / "a", members)
    reading = read(path, work, SKIPS)
    read_item(next(reading))
    assert str(path) in open_files()
    reading.close()
    assert not any(name.startswith(str(tmp_path)) for name in open_files())


@needs_proc
def test_corrupt_members_leave_nothing_open(tmp_path: Path, work: Path) -> None:
    """If damage is detected after a member was written to disk, its file is deleted."""
    path = zipped(tmp_path / "a", dicom(1, 2_000_000), A)
    set_zip_field(path, "1.dcm", "crc", 1)
    reading = read(path, work, SKIPS)
    assert read_item(next(reading)) == CORRUPT
    assert not any(name.startswith(str(work)) for name in open_files())
    reading.close()


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("error", [OSError("theirs"), EOFError("theirs"), KeyboardInterrupt()])
def test_errors_of_the_consumer_pass(
    tmp_path: Path, work: Path, kind: str, error: BaseException
) -> None:
    """An exception raised by the consumer propagates unchanged."""
    members = [ArchiveMember("a", A), ArchiveMember("b", B)]
    path = zip_of(tmp_path / "a", members) if kind == "zip" else tar_of(tmp_path / "a", members)
    reading = read(path, work, SKIPS)
    read_item(next(reading))
    with pytest.raises(type(error)) as caught:
        reading.throw(error)
    assert caught.value is error


def test_errors_of_is_dicom_pass(tmp_path: Path, work: Path) -> None:
    """An error in `is_dicom` is not reported as damage to the archive."""
    with pytest.raises(ZeroDivisionError):
        items(zipped(tmp_path / "a", A), work, is_dicom=lambda _: bool(1 / 0))


def test_a_missing_work_folder_is_an_error(tmp_path: Path) -> None:
    """An unwritable work folder is not reported as damage to the archive."""
    path = tar_of(tmp_path / "a", [ArchiveMember("a", dicom(1, 2_000_000))])
    with pytest.raises(FileNotFoundError):
        items(path, tmp_path / "missing")


def test_no_space_left(tmp_path: Path, work: Path) -> None:
    """A member that does not fit on the disk is skipped, and the next one is read."""
    contents = [dicom(1, 6_000_000), A]
    paths = [
        zipped(tmp_path / "zip", *contents),
        tar_of(tmp_path / "tar", [ArchiveMember("a", c) for c in contents]),
    ]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, limits[1]))
    try:
        found = [items(path, work) for path in paths]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert found == [[NO_SPACE, Image(2, A)]] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=str
)
def test_memory_is_bounded(tmp_path: Path, work: Path, method: int) -> None:
    """Only a small part of a large member is in memory at a time, whatever its compression."""
    content = A + bytes(64 * 1024**2)
    path = zipped(tmp_path / "a", content, method=method)
    tracemalloc.start()
    try:
        for item in read(path, work, SKIPS):
            assert isinstance(item, Member)
            item.content.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * 1024**2
