"""Archives that unpack to more than their limits or claim absurd sizes."""

import gzip
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from fw_gear_dicom_send.archive.limits import Limits
from fw_gear_dicom_send.archive.types import BrokenArchive
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.values import replace
from tests.support.archive_reading import (
    BROKEN,
    CORRUPT_SECOND,
    LARGE,
    Image,
    images,
    items,
    items_of,
)
from tests.support.archives import (
    END_OF_TAR,
    A,
    B,
    C,
    dicom,
    old_sparse_entry,
    overlapping_zip,
    pax_header,
    pax_record,
    sparse_entry,
    tar_entry,
    tarred,
    zipped,
)
from tests.support.sample_files import ArchiveMember, tar_of

SPARSE = (
    pax_record("GNU.sparse.major", "1")
    + pax_record("GNU.sparse.minor", "0")
    + pax_record("GNU.sparse.realsize", "80000000")
)


def test_member_over_its_limit(tmp_path: Path, work: Path) -> None:
    """A member that declares too large a size is not unpacked, and the next one is read."""
    contents = [dicom(1, 20_000), A, b"text" * 10_000, B]
    limits = Limits(member=10_000)
    expected = [LARGE, Image(2, A), Image(4, B)]
    assert items(zipped(tmp_path / "zip", *contents), work, limits=limits) == expected
    path = tar_of(tmp_path / "tar", [ArchiveMember("a", c) for c in contents])
    assert items(path, work, limits=limits) == expected


def test_archive_limit_of_a_zip(tmp_path: Path, work: Path) -> None:
    """Reading of members that share the same bytes stops at the archive's limit."""
    content = A + bytes(91_000)
    path = overlapping_zip(tmp_path / "a", content, 100)
    *members, last = items(path, work, limits=Limits(archive=1_000_000, ratio=10))
    assert len(members) == 10
    assert last == BrokenArchive(Reason(Kind.ARCHIVE_TOO_LARGE, "10"))


def test_archive_limit_grows_with_the_file(tmp_path: Path, work: Path) -> None:
    """A large archive may unpack to the maximum compression ratio of deflate times its size."""
    path = zipped(tmp_path / "a", A + bytes(2_000_000))
    found = items(path, work, limits=Limits(archive=0))
    assert found == images(A + bytes(2_000_000))


@pytest.mark.parametrize("place", ["member", "skipped member", "after the end"])
def test_archive_limit_of_a_tar(work: Path, place: str) -> None:
    """Reading of a compressed tar stops at the limit, within a member or after the end."""
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
    assert last == BrokenArchive(Reason(Kind.ARCHIVE_TOO_LARGE, "1"))


def test_sparse_member(work: Path) -> None:
    """A sparse tar member is read with its holes."""
    parts = {0: A, 20_000: B}
    expected = A + bytes(20_000 - len(A)) + B + bytes(1000)
    data = sparse_entry("a", parts, len(expected)) + tarred(C) + END_OF_TAR
    assert items_of(data, work) == images(expected, C)


def test_sparse_member_over_the_limit(work: Path) -> None:
    """The holes of a sparse member count towards the limit, although they are not stored."""
    path = work.parent / "a"
    path.write_bytes(sparse_entry("a", {0: A}, 50_000_000) + END_OF_TAR)
    (last,) = items(path, work, limits=Limits(archive=1_000_000, ratio=1))
    assert last == BrokenArchive(Reason(Kind.ARCHIVE_TOO_LARGE, "1"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "start",
    [
        tar_entry("x", type=tarfile.GNUTYPE_LONGNAME, size=80_000_000),
        pax_header(b"80000000 path=", size=80_000_000),
        pax_header(b"9 path=a\n" * 2000, size=80_000_000),
        old_sparse_entry("x", {}, 0, blocks=2049, stored=80_000_000),
        pax_header(SPARSE) + tar_entry("x", b"70000000\n", size=80_000_000),
        pax_header(SPARSE) + tar_entry("x", b"500000\n" + b"1\n" * 600_000, size=80_000_000),
    ],
    ids=["name", "record", "records", "old map", "empty map", "map"],
)
def test_endless_header(work: Path, start: bytes) -> None:
    """An oversized header does not fill the memory, and the next member is read."""
    data = gzip.compress(tarred(A) + start + bytes(80_000_000) + tarred(B) + END_OF_TAR, 1)
    tracemalloc.start()
    try:
        found = items_of(data, work)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    lost = [Image(1, A), CORRUPT_SECOND]
    assert found in (lost, [*lost, Image(3, B)], [Image(1, A), Image(2, B), BROKEN])
    assert peak < 12 * 1024**2


def test_many_endless_headers(work: Path) -> None:
    """The data of damaged headers are searched only up to a limit, and the tar ends as damaged."""
    header = tar_entry("x", type=tarfile.GNUTYPE_LONGNAME, size=1 << 20)
    data = tarred(A) + header * 4000 + bytes(1 << 20) + END_OF_TAR
    tracemalloc.start()
    try:
        found = items_of(data, work)
    finally:
        tracemalloc.stop()
    assert found[0] == Image(1, A)
    assert found[-1] == BROKEN


@pytest.mark.slow
def test_memory_does_not_grow_with_members(work: Path) -> None:
    """The reader keeps no header data of earlier tar members."""
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


@pytest.mark.slow
@pytest.mark.parametrize("cut", [0, 10], ids=["whole", "cut short"])
def test_memory_does_not_grow_with_members_of_a_zip(work: Path, cut: int) -> None:
    """The reader keeps no directory data of earlier zip members."""
    path = work.parent / "a"
    with zipfile.ZipFile(path, "w") as file:
        for number in range(20_000):
            file.writestr(f"{number}" + "x" * 100, b"")
        file.writestr("b", A)
    with path.open("r+b") as data:
        data.truncate(path.stat().st_size - cut)
    tracemalloc.start()
    try:
        found = items(path, work)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [Image(20_001, A), BROKEN][: 2 if cut else 1]
    assert peak < 4 * 1024**2


@pytest.mark.parametrize("size", [2**62, -1, -(2**40)])
def test_absurd_size_in_a_tar(work: Path, size: int) -> None:
    """An absurd size neither hangs the reader nor passes as valid."""
    second = tar_entry("b", b"", size=size) + B
    found = items_of(tarred(A) + second + END_OF_TAR, work)
    assert (found[0], found[-1]) == (Image(1, A), BROKEN)
    assert set(found[1:-1]) <= {replace(LARGE, number=2)}
