"""Generated and damaged archives never raise unexpected errors."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fw_gear_dicom_send.archive.limits import Limits
from fw_gear_dicom_send.archive.types import BrokenArchive, Member
from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.reasons import Skipped
from tests.support.archive_reading import SKIPS, read
from tests.support.archives import ORIGINALS, has_prefix, sparse_entry, tar_entry
from tests.support.fuzzing import (
    Damage,
    Fuzz,
    bounded_memory,
    damaged,
    in_rounds,
    many_damages,
    no_hang,
    open_files,
)

pytestmark = pytest.mark.slow

OTHERS = [b"", b"notes", bytes(3000)]
SPARSE = {0: ORIGINALS[1], 4096: b"end"}
BOMB = bytes(128) + b"DICM" + bytes(2 << 20)
LIMITS = Limits(member=1 << 20, archive=1 << 22, ratio=50)
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
MAX_NAME_LENGTH = 100
TAR_FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
COMPRESSED = (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00")
COMPRESSORS = [bytes, partial(gzip.compress, mtime=0), bz2.compress, lzma.compress]
MAGICS = [b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", b"DICM"]
names = st.sampled_from(["1.dcm", "a/b", "../../etc/x", "/abs", "x" * 200, "ä" * 90, "DICOMDIR"])
contents = st.sampled_from([*ORIGINALS, *ORIGINALS, *OTHERS, BOMB])
members = st.lists(st.tuples(names, contents), max_size=5)


@st.composite
def zips(draw: st.DrawFn) -> bytes:
    """Draw a zip; a member may be a bomb or occur twice."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, content in draw(members):
            file.writestr(name, content, draw(st.sampled_from(METHODS)), 1)
    return target.getvalue()


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """Draw a tar, possibly without its end."""
    entries = []
    for name, content in draw(members):
        is_short = len(name.encode()) <= MAX_NAME_LENGTH
        formats = st.sampled_from(TAR_FORMATS) if is_short else st.just(tarfile.GNU_FORMAT)
        entries.append(tar_entry(name, content, tar_format=draw(formats)))
    if draw(st.integers(0, 4)) == 0:
        entries.append(sparse_entry("sparse", SPARSE, draw(st.sampled_from([4099, 1 << 40]))))
    return b"".join(entries) + draw(st.sampled_from([b"", bytes(512), bytes(1024)]))


no_archives = st.builds(lambda magic, rest: magic + rest, st.sampled_from(MAGICS), st.binary())
Item = Member | Unreadable | BrokenArchive | Skipped


def check_archive(data: bytes, path: Path, work: Path) -> tuple[list[Item], list[bytes]]:
    """Read an archive, check that nothing is raised, and return its items and images."""
    path.write_bytes(data)
    before = open_files(sockets=False)
    items: list[Item] = []
    images: list[bytes] = []
    with no_hang():
        for item in read(path, work, SKIPS, LIMITS):
            items.append(item)
            if isinstance(item, Member):
                with closing(item.content):
                    images.append(item.content.read())
                    assert item.content.seek(0) == 0
    assert all(isinstance(item, Item) for item in items)
    assert not any(isinstance(item, BrokenArchive) for item in items[:-1])
    assert sum(map(len, images)) <= max(LIMITS.archive, LIMITS.ratio * len(data), len(data))
    assert open_files(sockets=False) == before
    assert not list(work.iterdir())
    return items, images


def is_single_image(data: bytes) -> bool:
    """Return whether a file is read as a single image, which has no checksum."""
    return has_prefix(data[:4096])


def test_archives_of_bytes(fuzz: Fuzz, tmp_path: Path) -> None:
    """Any bytes after the start of an archive raise no error and leave no files."""
    path, work = places(tmp_path)

    @in_rounds
    @given(no_archives)
    def check(data: bytes) -> None:
        check_archive(data, path, work)

    fuzz(check)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zips(fuzz: Fuzz, tmp_path: Path) -> None:
    """A damaged zip never yields an image that it did not contain."""
    path, work = places(tmp_path)

    @in_rounds
    @given(zips(), many_damages)
    def check(whole: bytes, changes: list[Damage]) -> None:
        data = damaged(whole, changes)
        _, images = check_archive(data, path, work)
        assert all(image in ORIGINALS for image in images) or is_single_image(data)

    with bounded_memory():
        fuzz(check)


def test_tars(fuzz: Fuzz, tmp_path: Path) -> None:
    """The images of a damaged tar are always bytes of that tar.

    If damage to a compressed tar changes an image, the archive is reported as broken.
    """
    path, work = places(tmp_path)

    @in_rounds
    @given(tars(), st.sampled_from(COMPRESSORS), many_damages, many_damages)
    def check(
        tar: bytes, compress: Callable[[bytes], bytes], inside: list[Damage], outside: list[Damage]
    ) -> None:
        content = damaged(tar, inside)
        data = damaged(compress(content), outside)
        items, images = check_archive(data, path, work)
        known = content if data.startswith(COMPRESSED) else data
        is_broken = bool(items) and isinstance(items[-1], BrokenArchive)
        are_known = b"GNU.sparse" in known or all(image in known for image in images)
        assert are_known or (is_broken and data.startswith(COMPRESSED))

    with bounded_memory():
        fuzz(check)


def places(folder: Path) -> tuple[Path, Path]:
    """Return a path for an archive, and an empty work folder."""
    work = folder / "work"
    work.mkdir()
    return folder / "archive", work
