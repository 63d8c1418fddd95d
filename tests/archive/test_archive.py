"""Archives of every kind, whole, damaged and hostile, and what is read out of them."""

import bz2
import gzip
import io
import lzma
import os
import resource
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.archive import reader as archive
from fw_gear_dicom_send.archive.limits import HEAD_SIZE, PACKED_CHUNK_SIZE, Limits
from fw_gear_dicom_send.archive.types import BrokenArchive, Member
from fw_gear_dicom_send.dicom.types import Unreadable
from tests.support.archives import (
    dicom,
    edit,
    flip,
    has_prefix,
    overlapping_zip,
    set_zip_field,
    sparse_entry,
    tar_entry,
    v7_tar,
    with_checksum,
)
from tests.support.sample_files import ArchiveMember, tar_of, zip_of

A, B, C = (dicom(seed) for seed in range(3))
END_OF_TAR = bytes(2 * tarfile.BLOCKSIZE)
CORRUPT = Unreadable("a member of the archive is corrupt")
ENCRYPTED = Unreadable("a member of the archive is encrypted")
LARGE = Unreadable("a member of the archive is larger than allowed")
NO_SPACE = Unreadable("no space left to unpack a member")
BROKEN = BrokenArchive("the archive is corrupt or cut short")
UNKNOWN = BrokenArchive("neither a DICOM file nor a zip or tar archive")
COMPRESSORS = [gzip.compress, bz2.compress, lzma.compress]

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc")


@dataclass(frozen=True)
class Image:
    """A member that was yielded, read to its end."""

    number: int
    content: bytes


Item = Image | Unreadable | BrokenArchive


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


def taken(item: Member | Unreadable | BrokenArchive) -> Item:
    if not isinstance(item, Member):
        return item
    with closing(item.content):
        return Image(item.number, item.content.read())


def items(
    path: Path,
    work: Path,
    *,
    is_dicom: Callable[[bytes], bool] = has_prefix,
    limits: Limits = archive.DEFAULT_LIMITS,
) -> list[Item]:
    return [taken(item) for item in archive.read(path, work, is_dicom, limits)]


def items_of(
    data: bytes, work: Path, *, is_dicom: Callable[[bytes], bool] = has_prefix
) -> list[Item]:
    path = work.parent / "4f2a"
    path.write_bytes(data)
    return items(path, work, is_dicom=is_dicom)


def images(*contents: bytes) -> list[Item]:
    return [Image(number, content) for number, content in enumerate(contents, start=1)]


def zipped(path: Path, *contents: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip of members called `1.dcm`, `2.dcm`, ..."""
    with zipfile.ZipFile(path, "w", method) as file:
        for number, content in enumerate(contents, start=1):
            file.writestr(f"{number}.dcm", content)
    return path


def tarred(*contents: bytes) -> bytes:
    """Return the members of a tar, without its end."""
    return b"".join(tar_entry(f"{n}.dcm", content) for n, content in enumerate(contents))


def open_files() -> set[str]:
    fds = Path("/proc/self/fd")
    return {os.readlink(fd) for fd in fds.iterdir() if fd.is_symlink() and fd.exists()}


# What a file is


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_zip(tmp_path: Path, work: Path, method: int) -> None:
    """The members of a zip come out as they went in, in order, however it is compressed."""
    path = zipped(tmp_path / "a", A, B, dicom(3, 3_000_000), dicom(4, 132), method=method)
    assert items(path, work) == images(A, B, dicom(3, 3_000_000), dicom(4, 132))


@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_tar(tmp_path: Path, work: Path, compression: str) -> None:
    """The members of a tar come out as they went in, in order, however it is compressed."""
    contents = [A, B, dicom(3, 3_000_000), dicom(4, 132)]
    path = tar_of(tmp_path / "a", [ArchiveMember("x" * 200, c) for c in contents], compression)
    assert items(path, work) == images(*contents)


def test_v7_tar(work: Path) -> None:
    """A tar without a magic, as very old tools make it, is read."""
    assert items_of(v7_tar([("a", A), ("b", B)]), work) == images(A, B)


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_tar_formats(work: Path, tar_format: int) -> None:
    """A tar with POSIX headers is read."""
    name = "längst/" + "y" * 90
    data = tar_entry(name, A, tar_format=tar_format) + END_OF_TAR
    assert items_of(data, work) == images(A)


def test_single_file_is_opened_where_it_is(tmp_path: Path, work: Path) -> None:
    """A DICOM file that came alone is handed out itself, not as a copy."""
    path = tmp_path / "a"
    path.write_bytes(A)
    (item,) = archive.read(path, work, has_prefix)
    assert isinstance(item, Member)
    with closing(item.content):
        assert (item.number, item.content.name, item.content.read()) == (1, str(path), A)


def test_single_file_without_a_prefix(work: Path) -> None:
    """A file that only `is_dicom` knows as DICOM is one."""
    data = b"\x08\x00\x05\x00" + bytes(9000)
    assert items_of(data, work, is_dicom=lambda head: head[:2] == b"\x08\x00") == images(data)


def test_single_file_that_is_not_to_be_sent(work: Path) -> None:
    """A DICOM file that is not to be sent, as a DICOMDIR, is passed over."""
    assert items_of(A, work, is_dicom=lambda _: False) == []


def test_head_is_all_that_is_needed(tmp_path: Path, work: Path) -> None:
    """What a member is, is asked with its first 4096 bytes, fewer where it is short."""
    heads: list[bytes] = []
    items(zipped(tmp_path / "a", A, b"short"), work, is_dicom=lambda h: bool(heads.append(h)))
    assert heads == [A[:4096], b"short"]


@pytest.mark.parametrize("start", [A, b"\x08\x00\x05\x00" + bytes(9000)])
def test_dicom_with_a_zip_in_its_tail(tmp_path: Path, work: Path, start: bytes) -> None:
    """A DICOM file is DICOM even if it ends as a zip does."""
    data = start + zipped(tmp_path / "a", B).read_bytes()
    assert items_of(data, work, is_dicom=lambda head: head[:4096] == data[:4096]) == images(data)


def test_dicom_that_starts_as_a_zip(tmp_path: Path, work: Path) -> None:
    """A preamble may be anything, even the start of a zip (PS3.10 7.1)."""
    data = b"PK\x03\x04" + A[4:] + zipped(tmp_path / "a", B).read_bytes()
    assert items_of(data, work) == images(data)


def test_tar_that_ends_with_a_zip(tmp_path: Path, work: Path) -> None:
    """A tar whose last member is a zip is a tar."""
    inner = zipped(tmp_path / "a", B, method=zipfile.ZIP_STORED).read_bytes()
    assert items_of(tarred(A, inner) + END_OF_TAR, work) == images(A)


def test_zip_after_something_else(tmp_path: Path, work: Path) -> None:
    """A zip that unpacks itself, with a program before it, is a zip."""
    data = b"#!/bin/sh\n" * 1000 + zipped(tmp_path / "a", A).read_bytes()
    assert items_of(data, work) == images(A)


@pytest.mark.parametrize(
    "data",
    [b"", b"P", b"just text" * 1000, bytes(100_000), gzip.compress(A), bz2.compress(b"")],
    ids=["empty", "one byte", "text", "zeros", "gzip of DICOM", "bzip2 of nothing"],
)
def test_unknown_file(work: Path, data: bytes) -> None:
    """A file that is neither DICOM nor an archive is said to be so."""
    assert items_of(data, work) == [UNKNOWN]


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_empty_archives(tmp_path: Path, work: Path, compress: Callable[[bytes], bytes]) -> None:
    """An archive without a DICOM file yields nothing."""
    assert items(zipped(tmp_path / "a"), work) == []
    assert items_of(compress(tarred(b"text") + END_OF_TAR), work) == []


# What is passed over


def test_other_members_are_not_unpacked(tmp_path: Path, work: Path) -> None:
    """Of a member that is not DICOM no more is unpacked than its head."""
    path = zipped(tmp_path / "a", b"x" * 10_000_000, A)
    limits = Limits(archive=3 * HEAD_SIZE + len(A), ratio=0)
    assert items(path, work, limits=limits) == [Image(2, A)]


def test_damage_to_other_members_is_ignored(tmp_path: Path, work: Path) -> None:
    """A member that is not DICOM may be corrupt."""
    path = zipped(tmp_path / "a", b"text" * 5000, A)
    set_zip_field(path, "1.dcm", "crc", 1)
    assert items(path, work) == [Image(2, A)]


def test_links_devices_and_folders_in_a_tar(work: Path) -> None:
    """Only regular files of a tar are read and counted."""
    kinds = [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
    kinds += [tarfile.FIFOTYPE, tarfile.DIRTYPE]
    others = b"".join(tar_entry("1.dcm", type=kind, linkname="/etc/passwd") for kind in kinds)
    assert items_of(others + tarred(A, B) + END_OF_TAR, work) == images(A, B)


@pytest.mark.parametrize("mode", [0o120777, 0o010644, 0o020644, 0o040755])
def test_links_devices_and_folders_in_a_zip(tmp_path: Path, work: Path, mode: int) -> None:
    """Only regular files of a zip are read and counted."""
    with zipfile.ZipFile(tmp_path / "a", "w") as file:
        entry = zipfile.ZipInfo("link.dcm")
        entry.external_attr = mode << 16
        file.writestr(entry, A)
        file.writestr(zipfile.ZipInfo("folder/"), b"")
        file.writestr("image.dcm", B)
    assert items(tmp_path / "a", work) == images(B)


EVIL_NAMES = [
    "../../evil",
    "/evil",
    "a/../../evil",
    "C:\\evil",
    "e\0vil",
    "evil",
    "evil",
    ".",
]


@pytest.mark.parametrize("write", [zip_of, tar_of])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_evil_names_do_no_harm(
    tmp_path: Path, work: Path, write: Callable[[Path, list[ArchiveMember]], Path]
) -> None:
    """Names are never used on disk, and members of one name are members of their own."""
    folder = tmp_path / "deep" / "down"
    folder.mkdir(parents=True)
    contents = [dicom(seed, 2_000_000) for seed in range(len(EVIL_NAMES))]
    members = [ArchiveMember(*pair) for pair in zip(EVIL_NAMES, contents, strict=True)]
    path = write(folder / "a", members)
    before = set(tmp_path.rglob("*"))
    found: list[Item] = []
    for item in archive.read(path, work, has_prefix):
        assert set(tmp_path.rglob("*")) == before
        found.append(taken(item))
    assert found == images(*contents)
    assert not Path("/evil").exists()


def test_members_without_a_name(tmp_path: Path, work: Path) -> None:
    """A member whose name is empty, or starts with a NUL, is a member as any other."""
    data = zipped(tmp_path / "a", A, B).read_bytes().replace(b"1.dcm", b"\0.dcm")
    assert items_of(data, work) == images(A, B)


# One at a time, and cleanly


def test_a_member_is_unpacked_when_it_is_asked_for(tmp_path: Path, work: Path) -> None:
    """The next member is not touched before the consumer asks for it."""
    first, second = dicom(1, 2_000_000), dicom(2, 2_000_000)
    path = zipped(tmp_path / "a", first, second, method=zipfile.ZIP_STORED)
    reading = archive.read(path, work, has_prefix)
    assert taken(next(reading)) == Image(1, first)
    flip(path, path.read_bytes().index(second) + 500_000)
    assert list(reading) == [CORRUPT]


@needs_proc
def test_large_members_go_to_the_work_folder(tmp_path: Path, work: Path) -> None:
    """A large member lies in a nameless file of the work folder, gone when it is closed."""
    path = zipped(tmp_path / "a", dicom(1, 2_000_000))
    reading = archive.read(path, work, has_prefix)
    member = next(reading)
    assert isinstance(member, Member)
    on_disk = Path(os.readlink(f"/proc/self/fd/{member.content.fileno()}"))
    assert on_disk.parent == work
    assert list(work.iterdir()) == []
    member.content.close()
    assert not any(name.startswith(str(work)) for name in open_files())


@needs_proc
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_closed_early_nothing_stays_open(tmp_path: Path, work: Path, kind: str) -> None:
    """A consumer that stops early leaves neither the archive nor a temporary file open."""
    members = [ArchiveMember(f"{n}", dicom(n, 2_000_000)) for n in range(3)]
    path = zip_of(tmp_path / "a", members) if kind == "zip" else tar_of(tmp_path / "a", members)
    reading = archive.read(path, work, has_prefix)
    taken(next(reading))
    assert str(path) in open_files()
    reading.close()
    assert not any(name.startswith(str(tmp_path)) for name in open_files())


@needs_proc
def test_corrupt_members_leave_nothing_open(tmp_path: Path, work: Path) -> None:
    """A member that turns out to be corrupt when it is on disk leaves nothing there."""
    path = zipped(tmp_path / "a", dicom(1, 2_000_000), A)
    set_zip_field(path, "1.dcm", "crc", 1)
    reading = archive.read(path, work, has_prefix)
    assert next(reading) == CORRUPT
    assert not any(name.startswith(str(work)) for name in open_files())
    reading.close()


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("error", [OSError("theirs"), EOFError("theirs"), KeyboardInterrupt()])
def test_errors_of_the_consumer_pass(
    tmp_path: Path, work: Path, kind: str, error: BaseException
) -> None:
    """What is raised into the reading by its consumer comes out as it is."""
    members = [ArchiveMember("a", A), ArchiveMember("b", B)]
    path = zip_of(tmp_path / "a", members) if kind == "zip" else tar_of(tmp_path / "a", members)
    reading = archive.read(path, work, has_prefix)
    taken(next(reading))
    with pytest.raises(type(error)) as caught:
        reading.throw(error)
    assert caught.value is error


def test_errors_of_is_dicom_pass(tmp_path: Path, work: Path) -> None:
    """An error in `is_dicom` is not taken for damage to the archive."""
    with pytest.raises(ZeroDivisionError):
        items(zipped(tmp_path / "a", A), work, is_dicom=lambda _: bool(1 / 0))


def test_a_missing_work_folder_is_an_error(tmp_path: Path) -> None:
    """A work folder that cannot be written to is not taken for damage to the archive."""
    path = tar_of(tmp_path / "a", [ArchiveMember("a", dicom(1, 2_000_000))])
    with pytest.raises(FileNotFoundError):
        items(path, tmp_path / "missing")


def test_no_space_left(tmp_path: Path, work: Path) -> None:
    """A member that does not fit on the disk is passed over, and the next one is read."""
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


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=str
)
def test_memory_is_bounded(tmp_path: Path, work: Path, method: int) -> None:
    """However small a large member was packed, little of it is in memory at a time."""
    content = A + bytes(64 * 1024**2)
    path = zipped(tmp_path / "a", content, method=method)
    tracemalloc.start()
    try:
        for item in archive.read(path, work, has_prefix):
            assert isinstance(item, Member)
            item.content.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * 1024**2


# Damaged zips


def test_wrong_crc(tmp_path: Path, work: Path) -> None:
    """A member whose content was changed is corrupt, and the next one is read."""
    path = zipped(tmp_path / "a", A, B, C, method=zipfile.ZIP_STORED)
    flip(path, path.read_bytes().index(B) + 4200)
    assert items(path, work) == [Image(1, A), CORRUPT, Image(3, C)]


def test_wrong_crc_of_a_short_member(tmp_path: Path, work: Path) -> None:
    """A member that is all head is checked as well."""
    path = zipped(tmp_path / "a", dicom(1, 200), method=zipfile.ZIP_STORED)
    set_zip_field(path, "1.dcm", "crc", 1)
    assert items(path, work) == [CORRUPT]


def test_bad_deflate_stream(tmp_path: Path, work: Path) -> None:
    """A member that cannot be inflated to its end is corrupt, and the next one is read."""
    path = zipped(tmp_path / "a", dicom(1, 500_000), B)
    edit(path, 100_000, b"\xff" * 100_000)
    assert items(path, work) == [CORRUPT, Image(2, B)]


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("IM0001", True),
        ("a/b.dcm", True),
        ("a.IMA", True),
        ("1.2.840.10008.5", True),
        ("sub.txt/IM1", True),
        ("info.json", False),
        ("a/REPORT.PDF", False),
        ("brain.nii.gz", False),
        ("a\\table.csv", False),
        ("cd/DICOMDIR", False),
        ("cd\\DICOMDIR", False),
    ],
)
def test_members_without_a_head_go_by_their_name(
    tmp_path: Path, work: Path, name: str, item: bool
) -> None:
    """What cannot be looked into counts as DICOM unless its name says something else."""
    path = zip_of(tmp_path / "a", [ArchiveMember(name, A), ArchiveMember("z.dcm", B)])
    set_zip_field(path, name, "flags", 1)
    assert items(path, work) == [ENCRYPTED] * item + [Image(2, B)]
    set_zip_field(path, name, "flags", 0)
    set_zip_field(path, name, "method", 9)
    assert items(path, work) == [CORRUPT] * item + [Image(2, B)]


@pytest.mark.parametrize("offset", [10**9, 2**62, 2**64 - 1])
def test_member_that_is_not_in_the_file(tmp_path: Path, work: Path, offset: int) -> None:
    """A member that should lie behind the end is corrupt, and the next one is read."""
    with zipfile.ZipFile(tmp_path / "a", "w") as file:
        file.writestr("1.dcm", A)
        file.writestr("2.dcm", B)
        file.filelist[0].header_offset = offset
    assert items(tmp_path / "a", work) == [CORRUPT, Image(2, B)]


def test_missing_local_header(tmp_path: Path, work: Path) -> None:
    """A member whose own header is overwritten is corrupt, and the next one is read."""
    path = zipped(tmp_path / "a", A, B)
    flip(path, 0)
    assert items(path, work) == [CORRUPT, Image(2, B)]


def test_stream_that_ends_in_the_head(tmp_path: Path, work: Path) -> None:
    """A member that ends before its head is whole is corrupt, not something else."""
    path = zipped(tmp_path / "a", A, B)
    edit(path, 30 + len("1.dcm"), b"\x03\x00")
    assert items(path, work) == [CORRUPT, Image(2, B)]


@pytest.mark.parametrize(("size", "item"), [(8999, LARGE), (9001, CORRUPT), (0, LARGE)])
def test_sizes_that_lie(tmp_path: Path, work: Path, size: int, item: Unreadable) -> None:
    """A member that is longer or shorter than it declares is not taken."""
    path = zipped(tmp_path / "a", A, B)
    set_zip_field(path, "1.dcm", "size", size)
    assert items(path, work) == [item, Image(2, B)]


def test_zip_without_its_end(tmp_path: Path, work: Path) -> None:
    """A zip whose directory is cut off is broken."""
    data = zipped(tmp_path / "a", A, B).read_bytes()
    assert items_of(data[:-30], work) == [BROKEN]


# Damaged tars


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_compressed_tar_cut_anywhere(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """A compressed tar is broken wherever it is cut, even in its last byte."""
    whole = compress(tarred(dicom(1, 200), dicom(2, 200)) + END_OF_TAR)
    assert items_of(whole, work) == images(dicom(1, 200), dicom(2, 200))
    last = [items_of(whole[:size], work)[-1] for size in range(len(whole))]
    # Too little is left to see what it was.
    beginning = last.index(BROKEN)
    assert beginning < 12
    assert set(last[:beginning]) == {UNKNOWN}
    assert set(last[beginning:]) == {BROKEN}


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_compressed_tar_cut_at_a_member(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """The members before the place where a stream is cut are read."""
    whole = compress(tarred(dicom(1, 2_000_000), dicom(2, 2_000_000)) + END_OF_TAR)
    found = items_of(whole[:-1000], work)
    assert found == [Image(1, dicom(1, 2_000_000)), BROKEN]


def test_tar_cut_in_a_member(work: Path) -> None:
    """A tar that ends within a member does not yield it."""
    assert items_of(tarred(A, B)[:-1000], work) == [Image(1, A), BROKEN]


@pytest.mark.parametrize("rest", [tar_entry("b", B)[:300], bytes(300)], ids=["header", "end"])
def test_tar_cut_in_a_header(work: Path, rest: bytes) -> None:
    """A tar that ends within a header, or within the block that ends it, is broken."""
    assert items_of(tarred(A) + rest, work) == [Image(1, A), BROKEN]


def test_tar_cut_in_a_member_that_is_passed_over(work: Path) -> None:
    """A tar that ends within a member that is not DICOM is broken."""
    assert items_of(tarred(A, b"text" * 5000)[:-6000], work) == [Image(1, A), BROKEN]


@pytest.mark.parametrize("compress", [bytes, *COMPRESSORS])
def test_tar_without_an_end(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """A tar that lacks the blocks at its end, as many tools make it, is whole."""
    assert items_of(compress(tarred(A, B)), work) == images(A, B)


def test_bad_header_in_the_middle(work: Path) -> None:
    """A header that is none is damage, not the end of the tar."""
    data = bytearray(tarred(A, B) + END_OF_TAR)
    data[len(tarred(A)) + 20] ^= 0xFF
    assert items_of(bytes(data), work) == [Image(1, A), BROKEN]


def test_bad_extended_header_in_the_middle(work: Path) -> None:
    """A PAX record that is none is damage, not the end of the tar."""
    second = bytearray(tar_entry("ä", B, tar_format=tarfile.PAX_FORMAT))
    second[512:514] = b"00"
    assert items_of(tarred(A) + bytes(second) + END_OF_TAR, work) == [Image(1, A), BROKEN]


def test_sparse_header_cut_short(work: Path) -> None:
    """A tar that ends within the map of a sparse member is broken."""
    header = bytearray(tar_entry("b", type=tarfile.GNUTYPE_SPARSE))
    header[482] = 1
    assert items_of(tarred(A) + with_checksum(header), work) == [Image(1, A), BROKEN]


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_damage_within_a_compressed_tar(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """A compressed tar with a byte changed is broken."""
    data = bytearray(compress(tarred(A, dicom(1, 3_000_000)) + END_OF_TAR))
    data[len(data) * 3 // 4] ^= 0xFF
    found = items_of(bytes(data), work)
    assert (found[0], found[-1]) == (Image(1, A), BROKEN)


@pytest.mark.parametrize("position", [-8, -4], ids=["crc", "size"])
def test_wrong_gzip_trailer(work: Path, position: int) -> None:
    """A checksum or length that is wrong at the very end of a .tgz is damage."""
    data = bytearray(gzip.compress(tarred(A, dicom(1, 500_000)) + END_OF_TAR))
    data[position] ^= 0xFF
    found = items_of(bytes(data), work)
    assert (found[0], found[-1]) == (Image(1, A), BROKEN)


@pytest.mark.parametrize("tail", [bytes(1000), b"garbage", b"\0\0garbage", b"\x1f"])
def test_something_after_a_tgz(work: Path, tail: bytes) -> None:
    """What follows a .tgz that is whole, as a tape's padding, does not make it broken."""
    assert items_of(gzip.compress(tarred(A) + END_OF_TAR) + tail, work) == images(A)


def test_something_after_a_tgz_without_an_end(work: Path) -> None:
    """Where the tar has no end, what follows may be the rest of it, damaged."""
    assert items_of(gzip.compress(tarred(A)) + b"garbage", work) == [Image(1, A), BROKEN]


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_streams_in_a_row(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """A tar may be compressed in several streams, as parallel tools do."""
    data = tarred(A, B) + END_OF_TAR
    parts = [data[:700], data[700:12_000], data[12_000:]]
    whole = b"".join(compress(part) for part in parts)
    assert items_of(whole, work) == images(A, B)
    assert items_of(whole[:-1], work) == [*images(A, B), BROKEN]
    assert items_of(bytes(512).join(compress(part) for part in parts), work) == images(A, B)


def test_stream_that_starts_at_the_end_of_a_chunk(work: Path) -> None:
    """It does not matter where in the file the next stream starts."""
    data = tarred(A, B) + END_OF_TAR
    name_size = PACKED_CHUNK_SIZE - len(gzip.compress(data[:9000])) - 2
    first = io.BytesIO()
    with gzip.GzipFile("n" * name_size, "wb", fileobj=first) as file:
        file.write(data[:9000])
    assert len(first.getvalue()) == PACKED_CHUNK_SIZE - 1
    assert items_of(first.getvalue() + gzip.compress(data[9000:]), work) == images(A, B)


# Bombs


def test_member_over_its_limit(tmp_path: Path, work: Path) -> None:
    """A member that declares to be too large is not unpacked, and the next one is read."""
    contents = [dicom(1, 20_000), A, b"text" * 10_000, B]
    limits = Limits(member=10_000)
    expected = [LARGE, Image(2, A), Image(4, B)]
    assert items(zipped(tmp_path / "zip", *contents), work, limits=limits) == expected
    path = tar_of(tmp_path / "tar", [ArchiveMember("a", c) for c in contents])
    assert items(path, work, limits=limits) == expected


def test_archive_limit_of_a_zip(tmp_path: Path, work: Path) -> None:
    """Members that share their bytes are stopped at the limit of the archive."""
    content = A + bytes(91_000)
    path = overlapping_zip(tmp_path / "a", content, 100)
    *members, last = items(path, work, limits=Limits(archive=1_000_000, ratio=10))
    assert len(members) == 10
    assert last == BrokenArchive(
        "the archive unpacks to more than 10 times its size, which no honest one does"
    )


def test_archive_limit_grows_with_the_file(tmp_path: Path, work: Path) -> None:
    """A large archive may unpack to as many times its size as deflate can pack."""
    path = zipped(tmp_path / "a", A + bytes(2_000_000))
    found = items(path, work, limits=Limits(archive=0))
    assert found == images(A + bytes(2_000_000))


@pytest.mark.parametrize("place", ["member", "skipped member", "after the end"])
def test_archive_limit_of_a_tar(work: Path, place: str) -> None:
    """A compressed tar is stopped at the limit, wherever its bytes are."""
    much = bytes(5_000_000)
    data = {
        "member": tarred(A, B + much),
        "skipped member": tarred(A, much) + tarred(B),
        "after the end": tarred(A) + END_OF_TAR + much,
    }[place]
    path = work.parent / "a"
    path.write_bytes(gzip.compress(data))
    *members, last = items(path, work, limits=Limits(archive=1_000_000, ratio=1))
    assert members == images(A)
    assert isinstance(last, BrokenArchive)
    assert "1 times its size" in last.reason


def test_sparse_member(work: Path) -> None:
    """A sparse member of a tar comes out with its holes."""
    parts = {0: A, 20_000: B}
    expected = A + bytes(20_000 - len(A)) + B + bytes(1000)
    data = sparse_entry("a", parts, len(expected)) + tarred(C) + END_OF_TAR
    assert items_of(data, work) == images(expected, C)


def test_sparse_member_over_the_limit(work: Path) -> None:
    """The holes of a sparse member count, though nothing in the file stands for them."""
    path = work.parent / "a"
    path.write_bytes(sparse_entry("a", {0: A}, 50_000_000) + END_OF_TAR)
    (last,) = items(path, work, limits=Limits(archive=1_000_000, ratio=1))
    assert isinstance(last, BrokenArchive)
    assert "1 times its size" in last.reason


def test_header_without_a_bound(work: Path) -> None:
    """A header that is nothing but long is given up before it fills the memory."""
    header = tar_entry("x", bytes(100_000_000), type=tarfile.GNUTYPE_LONGNAME)
    data = gzip.compress(tarred(A) + header + tarred(B) + END_OF_TAR, 1)
    del header
    tracemalloc.start()
    try:
        found = items_of(data, work)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [Image(1, A), BROKEN]
    assert peak < 12 * 1024**2


def test_memory_does_not_grow_with_members(work: Path) -> None:
    """What a tar says of all its members is not kept."""
    path = work.parent / "a"
    with gzip.open(path, "wb", 1) as file:
        for number in range(5000):
            headers = {f"comment.{number}": "x" * 1000}
            file.write(tarfile.TarInfo.create_pax_global_header(headers))
            file.write(tar_entry("a"))
        file.write(tar_entry("b", A))
    tracemalloc.start()
    try:
        found = items(path, work)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [Image(5001, A)]
    assert peak < 3 * 1024**2


@pytest.mark.parametrize("size", [2**62, -1, -(2**40)])
def test_absurd_size_in_a_tar(work: Path, size: int) -> None:
    """A size that no file has neither hangs nor passes."""
    second = tar_entry("b", b"", size=size) + B
    found = items_of(tarred(A) + second + END_OF_TAR, work)
    assert (found[0], found[-1]) == (Image(1, A), BROKEN)
    assert set(found[1:-1]) <= {LARGE}


# Damage at random

ORIGINALS = [dicom(seed, size) for seed, size in enumerate([132, 700, 5000, 9000])]


def damaged(whole: bytes, flips: list[tuple[int, int]], cut: int) -> bytes:
    data = bytearray(whole)
    for position, mask in flips:
        data[position % len(data)] ^= mask
    return bytes(data[: len(data) - cut])


damage = given(
    flips=st.lists(st.tuples(st.integers(0, 2**20), st.integers(1, 255)), max_size=4),
    cut=st.one_of(st.just(0), st.integers(0, 3000)),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
)
fuzz = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@fuzz
@damage
def test_damaged_zip(
    tmp_path: Path, work: Path, flips: list[tuple[int, int]], cut: int, method: int
) -> None:
    """However a zip is damaged, nothing is raised and no changed image comes out of it."""
    whole = zipped(tmp_path / "whole", *ORIGINALS, method=method).read_bytes()
    for item in items_of(damaged(whole, flips, cut), work):
        assert not isinstance(item, Image) or item.content in ORIGINALS
    assert list(work.iterdir()) == []


def is_unharmed(data: bytes, content: bytes) -> bool:
    """Tell whether only bits are damaged that deflate leaves unused."""
    try:
        return gzip.decompress(data) == content
    except (OSError, EOFError, zlib.error):
        return False


@fuzz
@damage
def test_damaged_tar(work: Path, flips: list[tuple[int, int]], cut: int, method: int) -> None:
    """However a tar is damaged, nothing is raised, and a .tgz is never called whole."""
    names = ["a", "ä" * 60, "x" * 200, "d"]
    formats = [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]
    tar = b"".join(
        tar_entry(name, content, tar_format=tar_format)
        for name, content, tar_format in zip(names, ORIGINALS, formats, strict=True)
    )
    if method == zipfile.ZIP_STORED:
        items_of(damaged(tar + END_OF_TAR, flips, cut), work)
    else:
        whole = gzip.compress(tar + END_OF_TAR, mtime=0)
        data = damaged(whole, flips, cut)
        found = items_of(data, work)
        is_whole = data[10:] == whole[10:] or is_unharmed(data, tar + END_OF_TAR)
        assert is_whole or isinstance(found[-1], BrokenArchive)
    assert list(work.iterdir()) == []
