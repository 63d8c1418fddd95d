"""A damaged or truncated tar is reported as broken; test_tar_headers.py has damaged headers."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fw_gear_dicom_send.archive.limits import PACKED_CHUNK_SIZE
from tests.support.archive_reading import BROKEN, UNKNOWN, Image, images, items_of
from tests.support.archives import (
    COMPRESSORS,
    END_OF_TAR,
    A,
    B,
    dicom,
    tar_entry,
    tarred,
    with_checksum,
)


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_compressed_tar_cut_anywhere(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """A compressed tar that is truncated anywhere, even by one byte, is broken."""
    whole = compress(tarred(dicom(1, 200), dicom(2, 200)) + END_OF_TAR)
    assert items_of(whole, work) == images(dicom(1, 200), dicom(2, 200))
    last = [items_of(whole[:size], work)[-1] for size in range(len(whole))]
    # Too little remains to recognize the format.
    beginning = last.index(BROKEN)
    assert beginning < 12
    assert set(last[1:beginning]) == {UNKNOWN}
    assert set(last[beginning:]) == {BROKEN}


@pytest.mark.slow
@pytest.mark.parametrize("compress", COMPRESSORS)
def test_compressed_tar_cut_at_a_member(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """The members before the truncation of a stream are read."""
    whole = compress(tarred(dicom(1, 2_000_000), dicom(2, 2_000_000)) + END_OF_TAR)
    found = items_of(whole[:-1000], work)
    assert found == [Image(1, dicom(1, 2_000_000)), BROKEN]


def test_tar_cut_in_a_member(work: Path) -> None:
    """A tar that is truncated within a member does not yield that member."""
    assert items_of(tarred(A, B)[:-1000], work) == [Image(1, A), BROKEN]


@pytest.mark.parametrize("rest", [tar_entry("b", B)[:300], bytes(300)], ids=["header", "end"])
def test_tar_cut_in_a_header(work: Path, rest: bytes) -> None:
    """A tar that is truncated within a header or within the end-of-archive block is broken."""
    assert items_of(tarred(A) + rest, work) == [Image(1, A), BROKEN]


def test_tar_cut_in_a_skipped_member(work: Path) -> None:
    """A tar that is truncated within a member that is not DICOM is broken."""
    assert items_of(tarred(A, b"text" * 5000)[:-6000], work) == [Image(1, A), BROKEN]


@pytest.mark.parametrize("compress", [bytes, *COMPRESSORS])
def test_tar_without_an_end(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """A tar without end-of-archive blocks, as many tools write it, is complete."""
    assert items_of(compress(tarred(A, B)), work) == images(A, B)


def test_sparse_header_cut_short(work: Path) -> None:
    """A tar that is truncated within the map of a sparse member is broken."""
    header = bytearray(tar_entry("b", type=tarfile.GNUTYPE_SPARSE))
    header[482] = 1
    assert items_of(tarred(A) + with_checksum(header), work) == [Image(1, A), BROKEN]


@pytest.mark.slow
@pytest.mark.parametrize("compress", COMPRESSORS)
def test_damage_within_a_compressed_tar(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """A compressed tar with a changed byte is broken."""
    data = bytearray(compress(tarred(A, dicom(1, 3_000_000)) + END_OF_TAR))
    data[len(data) * 3 // 4] ^= 0xFF
    found = items_of(bytes(data), work)
    assert (found[0], found[-1]) == (Image(1, A), BROKEN)


@pytest.mark.parametrize("position", [-8, -4], ids=["crc", "size"])
def test_wrong_gzip_trailer(work: Path, position: int) -> None:
    """A wrong checksum or length at the very end of a .tgz is damage."""
    data = bytearray(gzip.compress(tarred(A, dicom(1, 500_000)) + END_OF_TAR))
    data[position] ^= 0xFF
    found = items_of(bytes(data), work)
    assert (found[0], found[-1]) == (Image(1, A), BROKEN)


@pytest.mark.parametrize("tail", [bytes(1000), b"garbage", b"\0\0garbage", b"\x1f"])
def test_data_after_a_tgz(work: Path, tail: bytes) -> None:
    """Data after a complete .tgz, such as tape padding, does not make it broken."""
    assert items_of(gzip.compress(tarred(A) + END_OF_TAR) + tail, work) == images(A)


def test_data_after_a_tgz_without_an_end(work: Path) -> None:
    """If the tar has no end, the data after it may be its damaged rest."""
    assert items_of(gzip.compress(tarred(A)) + b"garbage", work) == [Image(1, A), BROKEN]


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_concatenated_streams(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """A tar may consist of several compressed streams, as parallel tools write it."""
    data = tarred(A, B) + END_OF_TAR
    parts = [data[:700], data[700:12_000], data[12_000:]]
    whole = b"".join(compress(part) for part in parts)
    assert items_of(whole, work) == images(A, B)
    assert items_of(whole[:-1], work) == [*images(A, B), BROKEN]
    assert items_of(bytes(512).join(compress(part) for part in parts), work) == images(A, B)


def test_stream_that_starts_at_the_end_of_a_chunk(work: Path) -> None:
    """The next stream may start anywhere in the file."""
    data = tarred(A, B) + END_OF_TAR
    name_size = PACKED_CHUNK_SIZE - len(gzip.compress(data[:9000])) - 2
    first = io.BytesIO()
    with gzip.GzipFile("n" * name_size, "wb", fileobj=first) as file:
        file.write(data[:9000])
    assert len(first.getvalue()) == PACKED_CHUNK_SIZE - 1
    assert items_of(first.getvalue() + gzip.compress(data[9000:]), work) == images(A, B)
