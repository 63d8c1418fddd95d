"""A zip that is truncated or has a damaged directory is read by its local headers."""

import io
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.archive_reading import BROKEN, CORRUPT_SECOND, UNKNOWN, Image, images, items_of
from tests.support.archives import A, B, C, dicom

ORIGINALS = [dicom(seed, 700 + 100 * seed) for seed in range(6)]


class OneWay(io.RawIOBase):
    """Target that cannot seek, such as a pipe, so that a zip needs data descriptors."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


def streamed(*contents: bytes, method: int, is_zip64: bool = False) -> bytes:
    """Return a zip with data descriptors; a zip64 has 64-bit sizes."""
    target = OneWay()
    with zipfile.ZipFile(target, "w", method) as file:
        for number, content in enumerate(contents):
            with file.open(f"{number}.dcm", "w", force_zip64=is_zip64) as member:
                member.write(content)
    return target.data


def plain(*contents: bytes, method: int) -> bytes:
    """Return a zip whose headers contain the sizes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as file:
        for number, content in enumerate(contents):
            file.writestr(f"{number}.dcm", content)
    return target.getvalue()


def unsigned(data: bytes) -> bytes:
    """Remove the optional signatures of data descriptors, and the directory."""
    return data[: data.index(b"PK\x01\x02")].replace(b"PK\x07\x08", b"")


def headers(data: bytes) -> list[int]:
    """Return the offsets of the members and of the directory."""
    found, at = [], data.find(b"PK\x03\x04")
    while at >= 0:
        found.append(at)
        at = data.find(b"PK\x03\x04", at + 1)
    return [*found, data.index(b"PK\x01\x02")]


STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
KINDS = {
    "stored": plain(*ORIGINALS, method=STORED),
    "deflated": plain(*ORIGINALS, method=DEFLATED),
    "bzip2": plain(*ORIGINALS, method=zipfile.ZIP_BZIP2),
    "lzma": plain(*ORIGINALS, method=zipfile.ZIP_LZMA),
    "streamed": streamed(*ORIGINALS, method=STORED),
    "streamed and deflated": streamed(*ORIGINALS, method=DEFLATED),
    "streamed as zip64": streamed(*ORIGINALS, method=STORED, is_zip64=True),
    "deflated as zip64": streamed(*ORIGINALS, method=DEFLATED, is_zip64=True),
}
kinds = pytest.mark.parametrize("whole", KINDS.values(), ids=KINDS)


@kinds
def test_a_zip_cut_anywhere(work: Path, whole: bytes) -> None:
    """The members before the truncation are read, and the zip is broken."""
    starts = headers(whole)
    cuts = {*range(40, len(whole), 97), *starts[1:], *(at + 1 for at in starts[1:]), len(whole) - 1}
    for cut in sorted(cuts):
        before = sum(end <= cut for end in starts[1:])
        assert items_of(whole[:cut], work) == [*images(*ORIGINALS[:before]), BROKEN], cut


@pytest.mark.parametrize("name", [name for name in KINDS if "streamed" in name or "64" in name])
def test_descriptors_without_a_signature(work: Path, name: str) -> None:
    """A data descriptor is recognized by its sizes and the data after it."""
    assert items_of(unsigned(KINDS[name]), work) == [*images(*ORIGINALS), BROKEN]


@kinds
def test_a_damaged_directory(work: Path, whole: bytes) -> None:
    """A damaged directory loses no member, but the zip is incomplete."""
    at = whole.rindex(b"PK\x01\x02")
    data = whole[:at] + b"XX" + whole[at + 2 :]
    assert items_of(data, work) == [*images(*ORIGINALS), BROKEN]


@kinds
def test_damage_in_the_middle(work: Path, whole: bytes) -> None:
    """If a header is damaged, too, the members after it are found."""
    starts = headers(whole)
    data = bytearray(whole[: starts[-1]])
    data[starts[2] : starts[2] + 4] = b"XXXX"
    found = items_of(bytes(data), work)
    others = [content for number, content in enumerate(ORIGINALS) if number != 2]
    assert found == [*images(*others), BROKEN]


def test_damaged_data_of_a_truncated_zip(work: Path) -> None:
    """A member with damaged data is corrupt, and the next one is read."""
    data = bytearray(plain(A, B, C, method=STORED)[:-30])
    data[data.index(B) + 5000] ^= 0xFF
    assert items_of(bytes(data), work)[:3] == [Image(1, A), CORRUPT_SECOND, Image(3, C)]


@kinds
def test_data_before_a_truncated_zip(work: Path, whole: bytes) -> None:
    """The program at the start of a self-extracting archive is skipped."""
    data = b"#!/bin/sh PK\x03\x04\n" * 1000 + whole[: headers(whole)[-1] + 5]
    assert items_of(data, work) == [*images(*ORIGINALS), BROKEN]


@pytest.mark.parametrize("mark", [b"PK\x07\x08", b"PK00"])
def test_the_first_part_of_a_split_zip(work: Path, mark: bytes) -> None:
    """The complete members in the first part are read."""
    data = mark + KINDS["deflated"]
    assert items_of(data[: headers(data)[3] + 100], work) == [*images(*ORIGINALS[:3]), BROKEN]


def test_the_last_part_of_a_split_zip(work: Path) -> None:
    """It has the directory of all parts: members in other parts are corrupt, its own are read."""
    whole = KINDS["deflated"]
    found = items_of(whole[headers(whole)[3] - 200 :], work)
    assert [one for one in found if isinstance(one, Image)] == images(*ORIGINALS)[3:]


def test_a_zip_cut_after_a_nested_zip(work: Path) -> None:
    """The directory of a stored zip member is not taken for the directory of the whole zip."""
    inner = plain(C, method=STORED)
    whole = plain(A, B, inner, A, method=STORED)
    found = items_of(whole[: whole.index(inner) + len(inner)], work)
    assert found[:2] == images(A, B)
    assert found[-1] == BROKEN


def test_concatenated_zips(work: Path) -> None:
    """Several zips in one file, as written by `cat`, are read as one complete zip."""
    data = KINDS["deflated"] + KINDS["streamed"]
    assert items_of(data, work) == images(*ORIGINALS, *ORIGINALS)
    assert items_of(data[:-1], work) == [*images(*ORIGINALS, *ORIGINALS), BROKEN]


def test_other_files_are_not_zips(work: Path) -> None:
    """A file that happens to contain a zip signature is not a zip."""
    assert items_of(b"text " * 100 + b"PK\x03\x04 is the start of a zip", work) == [UNKNOWN]


def test_the_search_for_ends_is_bounded(work: Path) -> None:
    """Headers of members without an end do not cause repeated searches of the file."""
    header = struct.pack("<4sHHH4xLLLHH", b"PK\x03\x04", 20, 8, 8, 0, 0, 0, 1, 0) + b"a"
    assert items_of(header * 100_000, work) == [BROKEN]


def test_signatures_in_data_are_ignored(work: Path) -> None:
    """Data may contain bytes that look like headers and descriptors."""
    noise = random.Random(1)
    parts = [b"PK\x03\x04", b"PK\x07\x08", b"PK\x01\x02", bytes(12)]
    content = bytes(128) + b"DICM" + b"".join(noise.choice(parts) for _ in range(5000))
    whole = streamed(content, A, method=STORED)
    assert items_of(whole[:-10], work) == [*images(content, A), BROKEN]


def test_a_record_that_ends_behind_the_file(work: Path) -> None:
    """A directory whose last record is longer than the rest of the file is damaged."""
    data = bytearray(plain(A, B, method=zipfile.ZIP_STORED))
    struct.pack_into("<H", data, data.rindex(b"PK\x01\x02") + 28, 0xFFFF)
    assert items_of(bytes(data), work) == [*images(A, B), BROKEN]
