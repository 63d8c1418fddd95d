"""Stamping adds the creator and the element in the correct place and changes nothing else."""

from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import JPEGBaseline8Bit

from fw_gear_dicom_send.dicom.types import PrivateTag
from tests.support import datasets as raw
from tests.support.datasets import EXPLICIT, Wire, content_of, each_wire
from tests.support.sample_files import shipped
from tests.support.stamping import added, each_group, ours, stamped


@each_wire
@each_group
def test_adds_creator_and_element(wire: Wire, group: int, tmp_path: Path) -> None:
    """They are added in every legal group, in ascending tag order."""
    tag = PrivateTag(group, "Flywheel", "DICOM send")
    before = [
        *raw.uids(wire),
        raw.text(0x00100010, "Doe^John", wire, "PN"),
        raw.element(0x7FE00010, "OW", bytes(100000), wire),
        raw.element(0xFFFCFFFC, "OB", bytes(10), wire),
    ]
    first = [e for e in before if e.tag >> 16 < group]
    file = raw.part10(raw.joined(before), wire.uid)
    expected = [*first, *ours(0x10, wire, tag), *before[len(first) :]]
    assert content_of(stamped(file, tmp_path, tag).dataset) == raw.joined(expected)


@each_wire
def test_dataset_that_ends_before_the_group(wire: Wire, tmp_path: Path) -> None:
    """If the last element precedes the group, the new ones are appended."""
    file = raw.part10(raw.joined(raw.uids(wire)), wire.uid)
    expected = [*raw.uids(wire), *ours(0x10, wire)]
    assert content_of(stamped(file, tmp_path).dataset) == raw.joined(expected)


@each_wire
@pytest.mark.parametrize("rest", [b"\0\0", bytes(8), bytes(126), bytes(100000), b"\0\0\x01\0"])
def test_bytes_after_the_last_element(wire: Wire, rest: bytes, tmp_path: Path) -> None:
    """Zeros and data too short for an element are not part of the dataset."""
    file = raw.part10(raw.joined(raw.uids(wire)) + rest, wire.uid)
    expected = raw.joined([*raw.uids(wire), *ours(0x10, wire)])
    assert content_of(stamped(file, tmp_path).dataset) == expected


def test_encapsulated_pixel_data(tmp_path: Path) -> None:
    """A delimiter within a frame of encapsulated pixel data is not mistaken for its end."""
    frame = b"\xff\xd8\xfe\xff\xdd\xe0" + bytes(10)
    items = [raw.item(b"", EXPLICIT, defined=True), raw.item(frame, EXPLICIT, defined=True)]
    pixels = raw.sequence(0x7FE00010, items, EXPLICIT, defined=False, vr="OB", inner=EXPLICIT)
    file = raw.part10(raw.joined([*raw.uids(EXPLICIT), pixels]), JPEGBaseline8Bit)
    tag = PrivateTag(0x7FE1, "Flywheel", "DICOM send")
    instance = stamped(file, tmp_path, tag)
    expected = [*raw.uids(EXPLICIT), pixels, *ours(0x10, tag=tag)]
    assert content_of(instance.dataset) == raw.joined(expected)
    assert instance.transfer_syntax_uid == JPEGBaseline8Bit


@pytest.mark.parametrize(
    "name",
    ["JPEG2000-embedded-sequence-delimiter.dcm", "SC_rgb_rle_2frame.dcm", "MR_small_padded.dcm"],
)
@pytest.mark.parametrize("group", [0x0021, 0x7FE1, 0xFFFD], ids=hex)
def test_shipped_pixel_data(name: str, group: int, tmp_path: Path) -> None:
    """Real images keep their encapsulated and padded pixel data."""
    path = shipped(name)
    meta_end = pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength + 144
    source = path.read_bytes()
    tag = PrivateTag(group, "Flywheel", "DICOM send")
    data = content_of(stamped(source, tmp_path, tag).dataset)
    assert data.replace(raw.joined(ours(0x10, tag=tag)), b"", 1) == source[meta_end:]
    read = pydicom.dcmread(BytesIO(source[:meta_end] + data))
    assert read.private_block(group, "Flywheel")[0].value == "DICOM send"
    assert list(read.keys()) == sorted(read.keys())


def test_odd_texts_are_padded(tmp_path: Path) -> None:
    """A creator and a value of odd length are padded to even length with a space."""
    tag = PrivateTag(0x0021, "odd", "value")
    data = raw.joined(added(raw.uids(EXPLICIT), tmp_path, tag))
    assert data == (b"\x21\0\x10\0LO\x04\0odd " + b"\x21\0\0\x10LO\x06\0value ")
