"""Randomly damaged archives raise nothing and yield no changed image."""

import gzip
import tarfile
import zipfile
import zlib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.archive.types import BrokenArchive
from tests.support.archive_reading import Image, items_of
from tests.support.archives import END_OF_TAR, ORIGINALS, tar_entry, zipped
from tests.support.examples import examples


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
many_examples = settings(
    max_examples=examples(150),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@many_examples
@damage
def test_damaged_zip(
    tmp_path: Path, work: Path, flips: list[tuple[int, int]], cut: int, method: int
) -> None:
    """A damaged zip raises nothing and yields no changed image."""
    whole = zipped(tmp_path / "whole", *ORIGINALS, method=method).read_bytes()
    for item in items_of(damaged(whole, flips, cut), work):
        assert not isinstance(item, Image) or item.content in ORIGINALS
    assert list(work.iterdir()) == []


def is_unharmed(data: bytes, content: bytes) -> bool:
    """Return whether the damage only affects bits that deflate does not use."""
    try:
        return gzip.decompress(data) == content
    except (OSError, EOFError, zlib.error):
        return False


@many_examples
@damage
def test_damaged_tar(work: Path, flips: list[tuple[int, int]], cut: int, method: int) -> None:
    """A damaged tar raises nothing, and a damaged .tgz is never reported as complete."""
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
