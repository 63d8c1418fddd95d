"""Detection of DICOM files, zips and tars, and complete reading of each kind."""

import bz2
import gzip
import os
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from fw_gear_dicom_send.archive.types import BrokenArchive, Member
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support.archive_reading import SKIPS, UNKNOWN, Image, images, items, items_of, read
from tests.support.archives import (
    COMPRESSORS,
    END_OF_TAR,
    A,
    B,
    dicom,
    tar_entry,
    tarred,
    v7_tar,
    zipped,
)
from tests.support.sample_files import ArchiveMember, tar_of


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_zip(tmp_path: Path, work: Path, method: int) -> None:
    """The members of a zip are read unchanged and in order, with any compression."""
    path = zipped(tmp_path / "a", A, B, dicom(3, 3_000_000), dicom(4, 132), method=method)
    assert items(path, work) == images(A, B, dicom(3, 3_000_000), dicom(4, 132))


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["", "gz", "bz2", "xz"])
def test_tar(tmp_path: Path, work: Path, compression: str) -> None:
    """The members of a tar are read unchanged and in order, with any compression."""
    contents = [A, B, dicom(3, 3_000_000), dicom(4, 132)]
    path = tar_of(tmp_path / "a", [ArchiveMember("x" * 200, c) for c in contents], compression)
    assert items(path, work) == images(*contents)


def test_v7_tar(work: Path) -> None:
    """A tar without a magic number, as very old tools write it, is read."""
    assert items_of(v7_tar([("a", A), ("b", B)]), work) == images(A, B)


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_tar_formats(work: Path, tar_format: int) -> None:
    """A tar with POSIX headers is read."""
    name = "längst/" + "y" * 90
    data = tar_entry(name, A, tar_format=tar_format) + END_OF_TAR
    assert items_of(data, work) == images(A)


def test_single_file_is_opened_in_place(tmp_path: Path, work: Path) -> None:
    """A large single DICOM file is opened itself, not copied."""
    path, content = tmp_path / "a", dicom(1, 2_000_000)
    path.write_bytes(content)
    (item,) = read(path, work, SKIPS)
    assert isinstance(item, Member)
    with closing(item.content):
        assert os.path.samestat(os.fstat(item.content.fileno()), path.stat())
        assert (item.number, item.content.read()) == (1, content)


def test_single_file_without_a_prefix(work: Path) -> None:
    """A file that only `is_dicom` recognizes as DICOM is read."""
    data = b"\x08\x00\x05\x00" + bytes(9000)
    assert items_of(data, work, is_dicom=lambda head: head[:2] == b"\x08\x00") == images(data)


def test_single_file_that_must_not_be_sent(work: Path) -> None:
    """A DICOM file that must not be sent, such as a DICOMDIR, is skipped."""
    assert items_of(A, work, is_dicom=lambda _: False) == []


def test_the_head_is_sufficient(tmp_path: Path, work: Path) -> None:
    """Detection of a member's format reads at most its first 4096 bytes."""
    heads: list[bytes] = []
    items(zipped(tmp_path / "a", A, b"short"), work, is_dicom=lambda h: bool(heads.append(h)))
    assert heads == [A[:4096], b"short"]


@pytest.mark.parametrize("start", [A, b"\x08\x00\x05\x00" + bytes(9000)])
def test_dicom_that_ends_like_a_zip(tmp_path: Path, work: Path, start: bytes) -> None:
    """A DICOM file is DICOM even if it ends like a zip."""
    data = start + zipped(tmp_path / "a", B).read_bytes()
    assert items_of(data, work, is_dicom=lambda head: head[:4096] == data[:4096]) == images(data)


def test_dicom_that_starts_like_a_zip(tmp_path: Path, work: Path) -> None:
    """A preamble can be anything, even the start of a zip (PS3.10 7.1)."""
    data = b"PK\x03\x04" + A[4:] + zipped(tmp_path / "a", B).read_bytes()
    assert items_of(data, work) == images(data)


def test_tar_that_ends_with_a_zip(tmp_path: Path, work: Path) -> None:
    """A tar whose last member is a zip is a tar with a nested archive."""
    inner = zipped(tmp_path / "a", B, method=zipfile.ZIP_STORED).read_bytes()
    assert items_of(tarred(A, inner) + END_OF_TAR, work) == [Image(1, A), Image("2.1", B)]


def test_zip_after_other_data(tmp_path: Path, work: Path) -> None:
    """A self-extracting zip, which starts with a program, is a zip."""
    data = b"#!/bin/sh\n" * 1000 + zipped(tmp_path / "a", A).read_bytes()
    assert items_of(data, work) == images(A)


@pytest.mark.parametrize(
    "data",
    [b"P", b"just text" * 1000, bytes(100_000), gzip.compress(b"text"), bz2.compress(b"")],
    ids=["one byte", "text", "zeros", "gzip of text", "bzip2 of nothing"],
)
def test_unknown_file(work: Path, data: bytes) -> None:
    """A file that is neither DICOM nor an archive is reported as such."""
    assert items_of(data, work) == [UNKNOWN]


def test_empty_file(work: Path) -> None:
    """A file without a byte is not of an unknown type."""
    assert items_of(b"", work) == [BrokenArchive(Reason(Kind.EMPTY_FILE))]


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_empty_archives(tmp_path: Path, work: Path, compress: Callable[[bytes], bytes]) -> None:
    """An archive without a DICOM file yields nothing."""
    assert items(zipped(tmp_path / "a"), work) == []
    assert items_of(compress(tarred(b"text") + END_OF_TAR), work) == []
