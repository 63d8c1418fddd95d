"""A zip that is cut short, or whose directory is damaged, is read by the headers of its members."""

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
    """A target that cannot seek, as a pipe: what is written to it needs descriptors."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


def streamed(*contents: bytes, method: int, is_zip64: bool = False) -> bytes:
    """Return a zip with descriptors; as a zip64, these have 64 bits."""
    target = OneWay()
    with zipfile.ZipFile(target, "w", method) as file:  # type: ignore[arg-type]
        for number, content in enumerate(contents):
            with file.open(f"{number}.dcm", "w", force_zip64=is_zip64) as member:
                member.write(content)
    return target.data


def plain(*contents: bytes, method: int) -> bytes:
    """Return a zip whose headers have the sizes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as file:
        for number, content in enumerate(contents):
            file.writestr(f"{number}.dcm", content)
    return target.getvalue()


def unsigned(data: bytes) -> bytes:
    """Drop the signatures of descriptors, which are optional, and the directory."""
    return data[: data.index(b"PK\x01\x02")].replace(b"PK\x07\x08", b"")


def headers(data: bytes) -> list[int]:
    """Return where members and the directory begin."""
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
    """The members before the cut are read, and the zip is broken wherever it is cut."""
    starts = headers(whole)
    cuts = {*range(40, len(whole), 97), *starts[1:], *(at + 1 for at in starts[1:]), len(whole) - 1}
    for cut in sorted(cuts):
        before = sum(end <= cut for end in starts[1:])
        assert items_of(whole[:cut], work) == [*images(*ORIGINALS[:before]), BROKEN], cut


@pytest.mark.parametrize("name", [name for name in KINDS if "streamed" in name or "64" in name])
def test_descriptors_without_a_signature(work: Path, name: str) -> None:
    """A descriptor is known by its sizes and what follows it."""
    assert items_of(unsigned(KINDS[name]), work) == [*images(*ORIGINALS), BROKEN]


@kinds
def test_a_damaged_directory(work: Path, whole: bytes) -> None:
    """Damage to the directory costs no member, but the zip is not whole."""
    at = whole.rindex(b"PK\x01\x02")
    data = whole[:at] + b"XX" + whole[at + 2 :]
    assert items_of(data, work) == [*images(*ORIGINALS), BROKEN]


@kinds
def test_damage_in_the_middle(work: Path, whole: bytes) -> None:
    """Where a header is damaged too, the members after it are found again."""
    starts = headers(whole)
    data = bytearray(whole[: starts[-1]])
    data[starts[2] : starts[2] + 4] = b"XXXX"
    found = items_of(bytes(data), work)
    others = [content for number, content in enumerate(ORIGINALS) if number != 2]
    assert found == [*images(*others), BROKEN]


def test_damaged_data_of_a_zip_that_is_cut_short(work: Path) -> None:
    """A member whose data is damaged is corrupt, and the next one is read."""
    data = bytearray(plain(A, B, C, method=STORED)[:-30])
    data[data.index(B) + 5000] ^= 0xFF
    assert items_of(bytes(data), work)[:3] == [Image(1, A), CORRUPT_SECOND, Image(3, C)]


@kinds
def test_something_before_a_zip_that_is_cut_short(work: Path, whole: bytes) -> None:
    """A program before it, as in an archive that unpacks itself, is passed over."""
    data = b"#!/bin/sh PK\x03\x04\n" * 1000 + whole[: headers(whole)[-1] + 5]
    assert items_of(data, work) == [*images(*ORIGINALS), BROKEN]


@pytest.mark.parametrize("mark", [b"PK\x07\x08", b"PK00"])
def test_a_part_of_a_zip_on_several_disks(work: Path, mark: bytes) -> None:
    """The members that are whole in the first part are read."""
    data = mark + KINDS["deflated"]
    assert items_of(data[: headers(data)[3] + 100], work) == [*images(*ORIGINALS[:3]), BROKEN]


def test_the_last_part_of_a_zip_on_several_disks(work: Path) -> None:
    """It has the directory of all: what is not in it is corrupt, what is in it is read."""
    whole = KINDS["deflated"]
    found = items_of(whole[headers(whole)[3] - 200 :], work)
    assert [one for one in found if isinstance(one, Image)] == images(*ORIGINALS)[3:]


def test_a_zip_cut_behind_a_zip_in_it(work: Path) -> None:
    """The directory of a stored member that is a zip is not taken for that of the whole."""
    inner = plain(C, method=STORED)
    whole = plain(A, B, inner, A, method=STORED)
    found = items_of(whole[: whole.index(inner) + len(inner)], work)
    assert found[:2] == images(A, B)
    assert found[-1] == BROKEN


def test_zips_in_a_row(work: Path) -> None:
    """Several zips in one file, as `cat` makes them, are read as one, and are whole."""
    data = KINDS["deflated"] + KINDS["streamed"]
    assert items_of(data, work) == images(*ORIGINALS, *ORIGINALS)
    assert items_of(data[:-1], work) == [*images(*ORIGINALS, *ORIGINALS), BROKEN]


def test_other_files_are_no_zips(work: Path) -> None:
    """A file in which a signature of a zip happens to be is none."""
    assert items_of(b"text " * 100 + b"PK\x03\x04 is the start of a zip", work) == [UNKNOWN]


def test_a_search_for_ends_has_an_end(work: Path) -> None:
    """Headers of members that have none do not make the file be searched again for each."""
    header = struct.pack("<4sHHH4xLLLHH", b"PK\x03\x04", 20, 8, 8, 0, 0, 0, 1, 0) + b"a"
    assert items_of(header * 100_000, work) == [BROKEN]


def test_signatures_in_data_are_no_ends(work: Path) -> None:
    """Data may hold what looks like headers and descriptors."""
    noise = random.Random(1)
    parts = [b"PK\x03\x04", b"PK\x07\x08", b"PK\x01\x02", bytes(12)]
    content = bytes(128) + b"DICM" + b"".join(noise.choice(parts) for _ in range(5000))
    whole = streamed(content, A, method=STORED)
    assert items_of(whole[:-10], work) == [*images(content, A), BROKEN]
