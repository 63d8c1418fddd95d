"""Stamping any dataset adds the two elements and changes nothing else."""

from collections.abc import Sequence
from io import BytesIO
from struct import unpack

from hypothesis import event, given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import SOPInstance
from tests.support import datasets as raw
from tests.support.datasets import RawElement, Wire, content_of, insertions
from tests.support.drawn_datasets import GROUP, LENGTH, WIRES, bounded, raw_datasets
from tests.support.examples import examples
from tests.support.stamping import TAG, WORK


def text_of(element: RawElement, wire: Wire) -> str:
    value = element.data[8:]
    assert wire.implicit or element.data[4:6] == b"LO"
    return value.decode().rstrip(" ")


def check_choice(source: Sequence[RawElement], found: Sequence[RawElement], wire: Wire) -> None:
    """Check the choice of the elements that were added to a dataset."""
    numbers = {e.tag & 0xFFFF: e.data for e in source if e.tag >> 16 == GROUP}
    creator = raw.text(LENGTH, TAG.creator, wire).data[4:]
    value = raw.text(LENGTH, TAG.value, wire).data[4:]
    own = [n for n, data in numbers.items() if 0x10 <= n <= 0xFF and data[4:] == creator]
    blocks = {n >> 8 if n > 0xFF else n for n in numbers}
    is_tagged = any(data[4:] == value and n >> 8 in own for n, data in numbers.items())
    event(f"{len(own)} own blocks, tagged {is_tagged}")
    match [e.tag & 0xFFFF for e in found if e.tag != LENGTH]:
        case []:
            assert is_tagged
        case [element]:
            assert not is_tagged
            assert element == min(n for n in range(own[0] << 8, 0x10000) if n not in numbers)
        case [block, element]:
            assert not own
            assert block == min(set(range(0x10, 0x100)) - blocks)
            assert element == block << 8
    for element in found:  # type: ignore[assignment]
        if element.tag == LENGTH:
            everything = [e for e in [*source, *found] if e.tag >> 16 == GROUP and e.tag != LENGTH]
            length = unpack(wire.order + "L", element.data[8:])
            assert length == (len(raw.joined(everything)),)
        else:
            expected = TAG.creator if element.tag & 0xFFFF < 0x100 else TAG.value
            assert text_of(element, wire) == expected
    assert not found or (0 in numbers) == (found[0].tag == LENGTH)


@bounded
@given(st.data())
def test_only_the_two_elements_are_added(data: st.DataObject) -> None:
    """Except for the added elements and the group length, every byte is unchanged.

    This is true with unknown VRs, odd values, empty items, delimiters and zeros at the end.
    """
    wire = data.draw(WIRES)
    source = data.draw(raw_datasets(wire))
    rest = data.draw(st.sampled_from([b"", bytes(4), bytes(64)]))
    file = raw.part10(raw.joined(source) + rest, wire.uid)
    instance = stamp(BytesIO(file), TAG, WORK)
    assert isinstance(instance, SOPInstance)
    found = insertions(source, instance, wire)
    check_choice(source, found, wire)
    tags = sorted([e.tag for e in source] + [e.tag for e in found if e.tag != LENGTH])
    assert positions(instance, tags, source, found)


def positions(
    instance: SOPInstance,
    tags: Sequence[int],
    source: Sequence[RawElement],
    found: Sequence[RawElement],
) -> bool:
    """Return whether the elements are in ascending tag order."""
    elements = {e.tag: e.data for e in source} | {e.tag: e.data for e in found}
    return content_of(instance.dataset).startswith(b"".join(elements[tag] for tag in tags))


@settings(bounded, max_examples=examples(50))
@given(st.data())
def test_stamping_twice_changes_nothing(data: st.DataObject) -> None:
    """Stamping a stamped dataset again changes nothing."""
    wire = data.draw(WIRES)
    file = raw.part10(raw.joined(data.draw(raw_datasets(wire))), wire.uid)
    once = stamp(BytesIO(file), TAG, WORK)
    assert isinstance(once, SOPInstance)
    stamped = content_of(once.dataset)
    twice = stamp(BytesIO(raw.part10(stamped, wire.uid)), TAG, WORK)
    assert isinstance(twice, SOPInstance)
    assert content_of(twice.dataset) == stamped
