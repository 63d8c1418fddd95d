"""Damage to the headers of a tar member costs only that member."""

import gzip
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fw_gear_dicom_send.archive.limits import Limits
from fw_gear_dicom_send.archive.types import BrokenArchive
from fw_gear_dicom_send.reasons import Kind
from tests.support.archive_reading import BROKEN, CORRUPT_SECOND, Image, images, items, items_of
from tests.support.archives import (
    END_OF_TAR,
    A,
    B,
    C,
    old_sparse_entry,
    pax_header,
    pax_record,
    tar_entry,
    tarred,
)

pytestmark = pytest.mark.slow

TOO_LONG = (1 << 20) + 1
GIBIBYTE = 1 << 30
PARTS = {0: B, 20_000: C}
MEMBER = tar_entry("b", B)
AFTER = tar_entry("c", C) + END_OF_TAR
VERSION_1 = pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.minor", "0")


def long_name(name: bytes, size: int, kind: bytes = tarfile.GNUTYPE_LONGNAME) -> bytes:
    """Return a GNU long name that declares a size."""
    return tar_entry("x", name, type=kind, size=size)


def pax_size(size: int) -> bytes:
    return pax_header(pax_record("size", str(size))) + MEMBER


def mapped(text: bytes, *, real_size: int = 9000) -> bytes:
    """Return a sparse member with this map in its data, which is followed by B."""
    records = VERSION_1 + pax_record("GNU.sparse.realsize", str(real_size))
    padding = bytes(-len(text) % tarfile.BLOCKSIZE)
    return pax_header(records) + tar_entry("b", text + padding + B)


DAMAGED = {
    "pax header over the limit": pax_header(pax_record("comment", "x" * TOO_LONG)) + MEMBER,
    "long name over the limit": long_name(b"n" * TOO_LONG, TOO_LONG) + MEMBER,
    "long link over the limit": long_name(b"n" * TOO_LONG, TOO_LONG, b"K") + MEMBER,
    "short name of 1 GiB": long_name(b"n\0", GIBIBYTE) + MEMBER,
    "short link of 1 GiB": long_name(b"n\0", GIBIBYTE, b"K") + MEMBER,
    "short pax header of 1 GiB": pax_header(b"9 path=a\n", size=GIBIBYTE) + MEMBER,
    "pax header of negative size": pax_header(b"9 path=a\n", size=-512) + MEMBER,
    "pax header that ends in the member": pax_header(b"9 path=a\n", size=2000) + MEMBER,
    "pax header that ends in the next member": pax_header(b"9 path=a\n", size=12_000) + MEMBER,
    "pax header that ends behind the tar": pax_header(b"9 path=a\n", size=99_999) + MEMBER,
    "long name that ends in the next member": long_name(b"n\0", 12_000) + MEMBER,
    "long name that ends behind the tar": long_name(b"n\0", 99_999) + MEMBER,
    "three damaged headers": 3 * pax_header(b"?", size=12_000) + MEMBER,
    "damaged header before a valid one": pax_header(b"?") + long_name(b"n\0", 2) + MEMBER,
    "pax record of length 0": pax_header(b"00 path=ab\n") + MEMBER,
    "pax record of length 0 behind another": pax_header(b"9 path=a\n0 path=b\n") + MEMBER,
    "pax record longer than its header": pax_header(b"99 path=a\n") + MEMBER,
    "pax record without a line feed": pax_header(b"9 path=ab") + MEMBER,
    "pax record of 5,000 digits": pax_header(b"9" * 5000 + b" path=ab\n") + MEMBER,
    "data behind the pax records": pax_header(b"9 path=a\n\0\0x") + MEMBER,
    "pax size that is no number": pax_header(pax_record("size", "9x")) + MEMBER,
    "pax size of 5,000 digits": pax_header(pax_record("size", "9" * 5000)) + MEMBER,
    "pax size that is too small": pax_size(700),
    "pax size that is too large": pax_size(12_000),
    "pax size of 1 EiB": pax_size(1 << 60),
    "size of 1 GiB": tar_entry("b", B, size=GIBIBYTE),
    "size of 1 EiB": tar_entry("b", B, size=1 << 60),
    "negative size": tar_entry("b", B, size=-1),
    "old map over the limit": old_sparse_entry("b", PARTS, 50_000, blocks=2049),
    "old map that never ends": old_sparse_entry("b", PARTS, 50_000, blocks=9000),
    "old map that is not in order": old_sparse_entry("b", {20_000: C, 0: B}, 50_000),
    "old map with an overlap": old_sparse_entry("b", {0: B, 8999: C}, 50_000),
    "old map with a negative size": old_sparse_entry("b", {0: b"", 1: B, 2: b""}, 9000)
    .replace(b"%011o\0%011o" % (1, 9000), b"%011o\0%011o" % (0, 10_000))
    .replace(b"%011o\0%011o" % (2, 0), b"%011o\0%011o" % (10_000, -1000)),
    "old map beyond its file": old_sparse_entry("b", PARTS, 28_999),
    "old map with too few data": old_sparse_entry("b", PARTS, 50_000, stored=17_999),
    "old map with too many data": old_sparse_entry("b", {0: b""}, 0, blocks=0, stored=9000),
    "old map that continues in the next member": old_sparse_entry("b", {}, 0).removesuffix(
        bytes(512)
    ),
    "map over the limit": mapped(b"600000\n" + b"1\n" * 1_200_000),
    "map of too many numbers": mapped(b"99999999999999999999\n0\n9000\n"),
    "map that is no number": mapped(b"1\nx\n9000\n"),
    "map of 5,000 digits": mapped(b"1\n0\n" + b"9" * 5000 + b"\n"),
    "map without a first number": mapped(b"\n0\n9000\n"),
    "map with too few data": mapped(b"1\n0\n9001\n", real_size=9001),
    "map without the size of the file": pax_header(VERSION_1) + tar_entry("b", b"1\n0\n9000\n" + B),
    "sparse version 1.1": pax_header(
        VERSION_1.replace(b"minor=0", b"minor=1") + pax_record("GNU.sparse.realsize", "9000")
    )
    + tar_entry("b", b"1\n0\n9000\n".ljust(512, b"\0") + B),
    "sparse version 2.0": pax_header(pax_record("GNU.sparse.major", "2")) + MEMBER,
    "map with a negative size": pax_header(
        pax_record("GNU.sparse.map", "0,10000,10000,-1000") + pax_record("GNU.sparse.size", "9000")
    )
    + MEMBER,
    "map with an offset only": pax_header(
        pax_record("GNU.sparse.map", "0,9000,9000") + pax_record("GNU.sparse.size", "9000")
    )
    + MEMBER,
}


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("kind", DAMAGED)
def test_only_the_member_is_lost(work: Path, kind: str, compress: Callable[[bytes], bytes]) -> None:
    """The member is reported as damaged, and those behind it arrive."""
    tar = compress(tarred(A) + DAMAGED[kind] + AFTER)
    assert items_of(tar, work) == [Image(1, A), CORRUPT_SECOND, Image(3, C)]


@pytest.mark.parametrize(
    "header",
    [
        pax_header(b"?", type=tarfile.XGLTYPE),
        pax_header(b"9 path=a\n", type=tarfile.XGLTYPE, size=12_000),
        pax_header(b"9 path=a\n", type=tarfile.XGLTYPE, size=GIBIBYTE),
        pax_header(pax_record("size", "1"), type=tarfile.XGLTYPE),
    ],
    ids=["no record", "ends in a member", "1 GiB", "size of one member"],
)
def test_damaged_global_header(work: Path, header: bytes) -> None:
    """A damaged header for all members costs none of them."""
    assert items_of(tarred(A) + header + MEMBER + AFTER, work) == images(A, B, C)


def test_a_damaged_header_of_a_folder(work: Path) -> None:
    """It is no damage to an image."""
    folder = pax_header(b"?") + tar_entry("folder", type=tarfile.DIRTYPE)
    assert items_of(tarred(A) + folder + AFTER, work) == images(A, C)


@pytest.mark.parametrize(
    "end", [b"", b"junk" * 500, pax_header(b"?"), tar_entry("b", B)[:-1000]], ids=len
)
def test_damage_without_a_header_behind(work: Path, end: bytes) -> None:
    """If no header follows, the archive is broken, and counts as one."""
    damaged = pax_header(b"9 path=a\n", size=GIBIBYTE) + end
    assert items_of(tarred(A) + damaged, work) == [Image(1, A), BROKEN]


def test_zeros_behind_a_damaged_header(work: Path) -> None:
    """They may be data of the damaged member, so they do not show that the tar is complete."""
    damaged = tar_entry("b", bytes(1024), size=1 << 60)
    assert items_of(tarred(A) + damaged + END_OF_TAR, work) == [Image(1, A), BROKEN]


def test_size_beyond_the_end(work: Path) -> None:
    """A size that exceeds the file is wrong; a compressed tar does not show its own size."""
    tar = tarred(A) + tar_entry("b", B, size=30_000) + AFTER
    assert items_of(tar, work) == [Image(1, A), CORRUPT_SECOND, Image(3, C)]
    assert items_of(gzip.compress(tar), work) == [Image(1, A), BROKEN]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_invalid_checksum(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """Reading continues at the next valid header, and the archive is reported as broken."""
    tar = bytearray(tarred(A) + MEMBER + AFTER)
    tar[len(tarred(A)) + 20] ^= 0xFF
    assert items_of(compress(tar), work) == [Image(1, A), Image(2, C), BROKEN]


def test_other_member_of_an_absurd_size(work: Path) -> None:
    """Its data are searched for the next header."""
    label = tar_entry("label", type=b"V", size=1 << 60)
    assert items_of(tarred(A) + label + AFTER, work) == [*images(A, C), BROKEN]


@pytest.mark.parametrize("end", [b"", END_OF_TAR], ids=["no end", "end"])
def test_pax_header_without_a_member(work: Path, end: bytes) -> None:
    """A tar that ends before the announced member is broken; a header for all members is not."""
    header = pax_header(pax_record("path", "b"))
    assert items_of(tarred(A) + header + end, work) == [Image(1, A), BROKEN]
    header = pax_header(pax_record("comment", "b"), type=tarfile.XGLTYPE)
    assert items_of(tarred(A) + header + end, work) == [Image(1, A)]


def test_invalid_checksum_of_a_pax_header(work: Path) -> None:
    """The member behind it has a header of its own."""
    header = bytearray(pax_header(pax_record("path", "b")))
    header[20] ^= 0xFF
    assert items_of(tarred(A) + bytes(header) + MEMBER + AFTER, work) == [*images(A, B, C), BROKEN]


@pytest.mark.parametrize("record", [pax_record("size", str(8**11)), VERSION_1])
def test_invalid_checksum_behind_a_pax_header(work: Path, record: bytes) -> None:
    """The pax header of a lost member does not describe the next one."""
    tar = bytearray(tarred(A) + pax_header(record) + MEMBER + AFTER)
    tar[tar.index(MEMBER) + 20] ^= 0xFF
    assert items_of(bytes(tar), work) == [*images(A, C), BROKEN]


def test_header_of_zeros(work: Path) -> None:
    """A header that became zeros is no end of the tar if another header follows."""
    assert items_of(tarred(A) + bytes(512) + B + bytes(216) + AFTER, work) == [
        *images(A, C),
        BROKEN,
    ]


def test_damage_in_a_large_member(work: Path) -> None:
    """The next header is found behind megabytes of data and zeros."""
    tar = bytearray(tarred(A) + tar_entry("b", bytes(3_000_000) + B * 300) + AFTER)
    tar[len(tarred(A)) + 20] ^= 0xFF
    assert items_of(bytes(tar), work) == [Image(1, A), Image(2, C), BROKEN]


@pytest.mark.parametrize("rest", [b"", b"x" * 700], ids=["truncated", "garbage"])
def test_damage_before_the_end_of_a_compressed_stream(work: Path, rest: bytes) -> None:
    """The last member arrives if the stream ends behind it, by truncation or with garbage."""
    tar = bytearray(tarred(A) + MEMBER + tar_entry("c", C))
    tar[len(tarred(A)) + 20] ^= 0xFF
    tar += b"part of a block"
    data = gzip.compress(tar) + rest if rest else gzip.compress(tar)[:-8]
    assert items_of(data, work) == [Image(1, A), Image(2, C), BROKEN]


def test_many_headers_of_a_member(work: Path) -> None:
    """A member may have any number of headers; the last of each kind counts."""
    headers = pax_header(pax_record("path", "x" * 600)) * 2000 + long_name(b"n\0", 2) * 2000
    assert items_of(tarred(A) + headers + MEMBER + AFTER, work) == images(A, B, C)


def test_repeated_reading_is_limited(work: Path) -> None:
    """Data that are searched again for headers count towards the limit of the archive."""
    path = work.parent / "a"
    path.write_bytes(tarred(A) + pax_header(b"?", size=1 << 20) * 4000)
    *_, last = items(path, work, limits=Limits(archive=8 << 20, ratio=1))
    assert isinstance(last, BrokenArchive)
    assert last.reason.kind is Kind.ARCHIVE_TOO_LARGE
