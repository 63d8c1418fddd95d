"""Choice of the private block and of the element in it."""

from io import BytesIO
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support.datasets import EXPLICIT, RawElement, Wire, content_of, each_wire
from tests.support.stamping import TAG, added, ours, stamped


@each_wire
def test_first_free_block(wire: Wire, tmp_path: Path) -> None:
    """The first block without creator and elements is used."""
    source = [
        *raw.uids(wire),
        raw.text(0x00210010, "OTHER", wire),
        raw.text(0x00210012, "ANOTHER", wire),
        raw.text(0x00211101, "of no creator", wire),
        raw.text(0x00211201, "x", wire),
        raw.text(0x00290010, "LATER", wire),
    ]
    assert added(source, tmp_path, wire=wire) == ours(0x13, wire)


def test_creator_and_element_apart(tmp_path: Path) -> None:
    """The creator precedes the elements of other blocks, and the element is between them."""
    source = [
        *raw.uids(EXPLICIT),
        raw.text(0x00210010, "OTHER", EXPLICIT),
        raw.text(0x00210012, "ANOTHER", EXPLICIT),
        raw.text(0x00211001, "x", EXPLICIT),
        raw.text(0x00211201, "x", EXPLICIT),
    ]
    creator, element = ours(0x11)
    file = raw.part10(raw.joined(source), EXPLICIT.uid)
    expected = [*source[:3], creator, *source[3:5], element, *source[5:]]
    assert content_of(stamped(file, tmp_path).dataset) == raw.joined(expected)


@pytest.mark.parametrize("creator", ["Flywheel", " Flywheel  ", "Flywheel\0\0"])
def test_own_block_is_reused(creator: str, tmp_path: Path) -> None:
    """An existing block of our creator is reused: its first free element is used."""
    source = [
        *raw.uids(EXPLICIT),
        raw.text(0x00210010, "OTHER", EXPLICIT),
        raw.text(0x00210020, creator, EXPLICIT),
        raw.text(0x00212000, "a", EXPLICIT),
        raw.text(0x00212001, "b", EXPLICIT),
        raw.text(0x00212003, "c", EXPLICIT),
    ]
    assert added(source, tmp_path) == [raw.text(0x00212002, TAG.value, EXPLICIT)]


@pytest.mark.parametrize("creator", ["flywheel", "Flywheel2", "Fly", ""])
def test_other_creator(creator: str, tmp_path: Path) -> None:
    """A block of another creator is not ours, however similar the name."""
    source = [*raw.uids(EXPLICIT), raw.text(0x00210010, creator, EXPLICIT)]
    assert added(source, tmp_path) == ours(0x11)


def test_creator_in_another_group(tmp_path: Path) -> None:
    """A block of our creator in another group is not reused."""
    source = [*raw.uids(EXPLICIT), raw.text(0x00190010, TAG.creator, EXPLICIT)]
    assert added(source, tmp_path) == ours(0x10)


@each_wire
@pytest.mark.parametrize("number", [0x00, 0x07, 0xFF], ids=hex)
def test_tagged_dataset_is_unchanged(wire: Wire, number: int, tmp_path: Path) -> None:
    """A dataset that has the value in our block remains unchanged, byte for byte."""
    source = [
        *raw.uids(wire),
        raw.group_length(0x0021, 12345, wire),
        raw.text(0x00210055, TAG.creator, wire),
        raw.text(0x00215500 | number, TAG.value, wire),
    ]
    assert added(source, tmp_path, wire=wire) == []


def test_tagged_in_a_second_block(tmp_path: Path) -> None:
    """A value in a second block of our creator counts, too."""
    source = [
        *raw.uids(EXPLICIT),
        raw.text(0x00210010, TAG.creator, EXPLICIT),
        raw.text(0x00210011, TAG.creator, EXPLICIT),
        raw.text(0x00211000, "other", EXPLICIT),
        raw.text(0x00211105, TAG.value, EXPLICIT),
    ]
    assert added(source, tmp_path) == []


def test_value_of_another_creator(tmp_path: Path) -> None:
    """The same value in a block of another creator does not count."""
    source = [
        *raw.uids(EXPLICIT),
        raw.text(0x00210010, "OTHER", EXPLICIT),
        raw.text(0x00211000, TAG.value, EXPLICIT),
    ]
    assert added(source, tmp_path) == ours(0x11)


@each_wire
def test_stamping_twice(wire: Wire, tmp_path: Path) -> None:
    """Stamping a stamped dataset changes nothing."""
    once = stamped(raw.part10(raw.joined(raw.uids(wire)), wire.uid), tmp_path)
    data = content_of(once.dataset)
    assert content_of(stamped(raw.part10(data, wire.uid), tmp_path).dataset) == data


def full_block(block: int, creator: str) -> list[RawElement]:
    start = 0x00210000 | block << 8
    elements = [raw.text(start | number, "x", EXPLICIT) for number in range(0x100)]
    return [raw.text(0x00210000 | block, creator, EXPLICIT), *elements]


def test_own_block_full(tmp_path: Path) -> None:
    """If our creator's block is full, the next free one is used."""
    source = [*raw.uids(EXPLICIT), *full_block(0x10, TAG.creator)]
    assert added(source, tmp_path) == ours(0x11)


def test_second_own_block_has_room(tmp_path: Path) -> None:
    """If our creator's block is full, a second block of it is used before a free one."""
    first, *rest = full_block(0x10, TAG.creator)
    second = raw.text(0x00210020, TAG.creator, EXPLICIT)
    source = [*raw.uids(EXPLICIT), first, second, *rest]
    assert added(source, tmp_path) == [raw.text(0x00212000, TAG.value, EXPLICIT)]


def test_first_of_two_own_blocks(tmp_path: Path) -> None:
    """If two blocks of our creator have room, the first is used."""
    creators = [raw.text(0x00210000 | block, TAG.creator, EXPLICIT) for block in (0x10, 0x20)]
    source = [*raw.uids(EXPLICIT), *creators]
    assert added(source, tmp_path) == [raw.text(0x00211000, TAG.value, EXPLICIT)]


def test_last_block(tmp_path: Path) -> None:
    """The last free block can be used."""
    creators = [raw.text(0x00210000 | block, "OTHER", EXPLICIT) for block in range(0x10, 0xFF)]
    assert added([*raw.uids(EXPLICIT), *creators], tmp_path) == ours(0xFF)


def test_full_group(tmp_path: Path) -> None:
    """A group without a free block is rejected, as no other group marks a dataset as sent."""
    creators = [raw.text(0x00210000 | block, "OTHER", EXPLICIT) for block in range(0x10, 0x100)]
    file = raw.part10(raw.joined([*raw.uids(EXPLICIT), *creators]), EXPLICIT.uid)
    outcome = stamp(BytesIO(file), TAG, tmp_path)
    assert outcome == Unreadable(Reason(Kind.NO_PRIVATE_BLOCK, "0021"))
