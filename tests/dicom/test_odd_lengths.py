"""Odd lengths are padded, and every enclosing length is corrected."""

import zlib
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.dicom.elements import MAX_NESTING, TOO_DEEP
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support.datasets import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    Wire,
    content_of,
    each_wire,
    nested,
)
from tests.support.drawn_datasets import bounded
from tests.support.examples import examples
from tests.support.padded_datasets import TEXT, Frames, Sequence, Tree, Value, trees
from tests.support.stamping import TAG, WORK, ours

pytestmark = pytest.mark.slow

REPAIRED = (Reason(Kind.REPAIRED),)
WIRES = st.sampled_from([IMPLICIT, EXPLICIT, BIG])


def repaired(dataset: bytes, wire: Wire, tag: PrivateTag | None = None) -> SOPInstance:
    outcome = stamp(BytesIO(raw.part10(dataset, wire.uid)), tag, WORK)
    assert isinstance(outcome, SOPInstance), outcome
    return outcome


@each_wire
@pytest.mark.parametrize("vr", raw.SHORT + raw.LONG)
def test_each_vr_is_padded_with_its_byte(wire: Wire, vr: str) -> None:
    """Texts are padded with a space, UIDs and all other values with NUL (PS3.5 6.2)."""
    dataset = raw.joined([*raw.uids(wire), raw.element(0x00191001, vr, b"abc", wire)])
    pad = b" " if vr in TEXT and not wire.implicit else b"\0"
    expected = [*raw.uids(wire), raw.element(0x00191001, vr, b"abc" + pad, wire)]
    instance = repaired(dataset, wire)
    assert content_of(instance.dataset) == raw.joined(expected)
    assert instance.remarks == REPAIRED


@settings(bounded, max_examples=examples(150))
@given(st.data(), WIRES, st.sampled_from([None, TAG]))
def test_all_lengths_are_corrected(data: st.DataObject, wire: Wire, tag: PrivateTag | None) -> None:
    """The result equals a dataset that its writer had padded.

    It remains unchanged if all odd lengths are in sequences of defined, even length.
    """
    tree = data.draw(trees(wire))
    uids = raw.joined(raw.uids(wire))
    source = uids + tree.encoded(wire, even=False)
    is_odd = tree.shows_odd_length(wire)
    assert is_odd or len(source) % 2 == 0
    event(f"odd {is_odd}")
    instance = repaired(source, wire, tag)
    expected = uids + tree.encoded(wire, even=is_odd)
    content = content_of(instance.dataset)
    if tag:
        plain = repaired(expected, wire, tag)
        assert Reason(Kind.REPAIRED) not in plain.remarks
        expected = content_of(plain.dataset)
    assert content == expected
    assert (Reason(Kind.REPAIRED) in instance.remarks) is is_odd


def test_values_longer_than_their_vr_allows() -> None:
    """A value of 65535 bytes, whose length field cannot grow, becomes UN."""
    dataset = raw.joined(
        [*raw.uids(EXPLICIT), raw.element(0x00204000, "LT", b"x" * 0xFFFF, EXPLICIT)]
    )
    expected = raw.element(0x00204000, "UN", b"x" * 0xFFFF + b" ", EXPLICIT)
    content = content_of(repaired(dataset, EXPLICIT).dataset)
    assert content == raw.joined([*raw.uids(EXPLICIT), expected])


@each_wire
@pytest.mark.parametrize("tag", [None, TAG])
def test_odd_group_of_the_tag(wire: Wire, tag: PrivateTag | None) -> None:
    """A group length counts padding in its group and the added elements."""
    creator = raw.element(0x00210010, "LO", b"other", wire)
    last = raw.element(0x00211001, "LO" if not wire.implicit else "UN", b"x", wire)
    pad = b"\0" if wire.implicit else b" "
    evens = [
        raw.element(0x00210010, "LO", b"other ", wire),
        raw.element(0x00211001, "LO" if not wire.implicit else "UN", b"x" + pad, wire),
    ]
    following = raw.element(0x00280010, "US", b"abc", wire)
    if tag:
        added = ours(0x11, wire)
        evens = [evens[0], added[0], evens[1], added[1]]
    size = len(raw.joined([creator, last]))
    source = [*raw.uids(wire), raw.group_length(0x0021, size, wire), creator, last, following]
    even = raw.element(0x00280010, "US", b"abc\0", wire)
    length = raw.group_length(0x0021, len(raw.joined(evens)), wire)
    expected = raw.joined([*raw.uids(wire), length, *evens, even])
    assert content_of(repaired(raw.joined(source), wire, tag).dataset) == expected


@each_wire
@pytest.mark.parametrize("tag", [None, TAG])
@pytest.mark.parametrize("levels", [65, 1000])
def test_odd_lengths_in_deep_sequences(wire: Wire, tag: PrivateTag | None, levels: int) -> None:
    """Odd lengths are padded in sequences of any depth, of defined and undefined length."""
    trees = [Tree((Value(0x00204000, "LT", data),)) for data in (b"abc", b"abc ")]
    contents = [tree.encoded(wire, even=False) for tree in trees]
    for level in range(levels):
        contents = [
            raw.sequence(
                0x00400275,
                [raw.item(content, wire, defined=level % 2 == 0)],
                wire,
                defined=level % 3 == 0,
                inner=wire,
            ).data
            for content in contents
        ]
    odd, even = (raw.joined(raw.uids(wire)) + content for content in contents)
    instance = repaired(odd, wire, tag)
    assert instance.remarks == REPAIRED
    assert content_of(instance.dataset) == content_of(repaired(even, wire, tag).dataset)


def test_odd_length_in_too_deep_sequences() -> None:
    """An odd length too deep for the memory is a reason not to send the dataset."""
    odd = raw.element(0x00204000, "LT", b"abc", EXPLICIT).data
    dataset = raw.joined(raw.uids(EXPLICIT)) + nested(MAX_NESTING, EXPLICIT, odd)
    assert repaired(dataset, EXPLICIT).remarks == REPAIRED
    inside = raw.sequence(
        0x00400275, [raw.item(odd, EXPLICIT, defined=True)], EXPLICIT, defined=True, inner=EXPLICIT
    )
    dataset = raw.joined(raw.uids(EXPLICIT)) + nested(MAX_NESTING, EXPLICIT, inside.data)
    outcome = stamp(BytesIO(raw.part10(dataset, EXPLICIT.uid)), TAG, WORK)
    assert outcome == Unreadable(Reason(Kind.MALFORMED, TOO_DEEP))


@pytest.mark.parametrize("number", [0xFFFFFFFF, 0xFFFFFFFE])
def test_odd_length_in_a_group_of_absurd_length(number: int) -> None:
    """A wrong group length that cannot grow is unchanged."""
    length = raw.group_length(0x0028, number, EXPLICIT)
    elements = [raw.element(0x00280004, "CS", value, EXPLICIT) for value in (b"abc", b"abc ")]
    odd, even = (raw.joined([*raw.uids(EXPLICIT), length, element]) for element in elements)
    grown = raw.group_length(0x0028, 0xFFFFFFFF, EXPLICIT)
    content = content_of(repaired(odd, EXPLICIT).dataset)
    assert content == even.replace(length.data, grown.data)


@each_wire
@pytest.mark.parametrize("rest", [b"\0", b"\n", b"abc"])
def test_odd_bytes_after_the_last_element(wire: Wire, rest: bytes) -> None:
    """Trailing bytes that are not an element make no size odd, as they are not sent."""
    dataset = raw.joined([*raw.uids(wire), raw.element(0x7FE00010, "OW", bytes(8), wire)])
    instance = repaired(dataset + rest, wire)
    assert content_of(instance.dataset) == dataset
    assert [remark.kind for remark in instance.remarks] == [Kind.TRAILING_BYTES]


@pytest.mark.parametrize("tag", [None, TAG])
@pytest.mark.parametrize("is_odd_inside", [False, True])
def test_odd_deflated_stream(tag: PrivateTag | None, is_odd_inside: bool) -> None:
    """A deflated stream of odd length is padded, and its dataset is repaired (PS3.5 A.5)."""
    number, stream = 0, b""
    while len(stream) % 2 == 0:
        number += 1
        values = [raw.element(0x00200010, "SH", b"x" * (2 * number + is_odd_inside), EXPLICIT)]
        dataset = raw.joined([*raw.uids(EXPLICIT), *values])
        codec = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        stream = codec.compress(dataset) + codec.flush()
    instance = repaired(stream, DEFLATED, tag)
    content = content_of(instance.dataset)
    assert len(content) % 2 == 0
    inflated = zlib.decompress(content, -zlib.MAX_WBITS)
    assert len(inflated) % 2 == 0
    if tag is None and not is_odd_inside:
        assert content == stream + b"\0"
    assert (instance.remarks == REPAIRED) is (tag is None or is_odd_inside)


def test_pydicom_reads_the_frames_of_a_repaired_image() -> None:
    """Each offset leads to its frame."""
    frames = Frames((b"\xff\xd8a", b"\xff\xd8bc", b"\xff\xd8c"), True, True)
    number = Value(0x00280008, "IS", b"3")
    tree = Tree((number, frames))
    dataset = raw.joined(raw.uids(EXPLICIT)) + tree.encoded(EXPLICIT, even=False)
    content = content_of(repaired(dataset, EXPLICIT).dataset)
    file = raw.part10(content, "1.2.840.10008.1.2.4.50")
    read = pydicom.dcmread(BytesIO(file))
    assert read.NumberOfFrames == 3
    found = list(pydicom.encaps.generate_pixel_data_frame(read.PixelData, 3))
    assert found == [b"\xff\xd8a\0", b"\xff\xd8bc", b"\xff\xd8c\0"]
    assert read.ExtendedOffsetTableLengths == b"".join(
        len(frame).to_bytes(8, "little") for frame in found
    )


def test_too_many_odd_lengths(tmp_path: Path) -> None:
    """A dataset with a million odd lengths is rejected instead of kept in memory."""
    values = b"".join(
        raw.element(0x00291000 + number, "LO", b"x", EXPLICIT).data for number in range(60001)
    )
    file = raw.part10(raw.joined(raw.uids(EXPLICIT)) + values, EXPLICIT.uid)
    outcome = stamp(BytesIO(file), TAG, tmp_path)
    assert isinstance(outcome, Unreadable)
    assert outcome.reason == Reason(Kind.MALFORMED, "it has too many odd lengths")


@bounded
@given(st.data(), WIRES, st.binary(min_size=1, max_size=4), st.integers(0, 1000))
def test_fuzz(data: st.DataObject, wire: Wire, change: bytes, where: int) -> None:
    """Whatever bytes change, a dataset that can be sent has an even size."""
    dataset = bytearray(
        raw.joined(raw.uids(wire)) + data.draw(trees(wire)).encoded(wire, even=False)
    )
    where %= len(dataset)
    dataset[where : where + len(change)] = change
    outcome = stamp(BytesIO(raw.part10(bytes(dataset), wire.uid)), TAG, WORK)
    if isinstance(outcome, SOPInstance):
        content = content_of(outcome.dataset)
        assert (len(content) % 2, len(content)) == (0, outcome.dataset.size)


@each_wire
@pytest.mark.parametrize("tag", [None, TAG])
@pytest.mark.parametrize("numbers", [(0x00081030, 0x0008103E), (0x00321060, 0x00400254)])
def test_two_odd_lengths(wire: Wire, tag: PrivateTag | None, numbers: tuple[int, int]) -> None:
    """Two odd lengths before or after the tag are padded, although their total is even."""
    values = [raw.element(number, "LO", b"abc", wire) for number in numbers]
    pixels = raw.element(0x7FE00010, "OW", bytes(8), wire)
    instance = repaired(raw.joined([*raw.uids(wire), *values, pixels]), wire, tag)
    assert instance.remarks == REPAIRED
    evens = [raw.element(number, "LO", b"abc ", wire) for number in numbers]
    even = repaired(raw.joined([*raw.uids(wire), *evens, pixels]), wire, tag)
    assert content_of(instance.dataset) == content_of(even.dataset)
    assert even.remarks == ()


@pytest.mark.parametrize("is_odd", [False, True])
def test_odd_lengths_before_damage(is_odd: bool) -> None:
    """In a dataset with inconsistent elements, bytes are inserted only at the end."""
    value = raw.element(0x00181030, "LO", b"abc", EXPLICIT, length=0x8001)
    pixels = raw.element(0x7FE00010, "OW", bytes(100000), EXPLICIT)
    dataset = raw.joined([*raw.uids(EXPLICIT), value, pixels]) + b"\0" * (not is_odd)
    assert len(dataset) % 2 == is_odd
    content = content_of(repaired(dataset, EXPLICIT).dataset)
    assert content == dataset + b"\0" * is_odd


@each_wire
def test_two_odd_lengths_in_an_item_of_undefined_length(wire: Wire) -> None:
    """Elements of undefined length are examined, too."""
    values = tuple(Value(tag, "LO", b"abc") for tag in (0x00080104, 0x00100020))
    tree = Tree((Sequence(0x00400275, (Tree(values),), False, False),))
    instance = repaired(raw.joined(raw.uids(wire)) + tree.encoded(wire, even=False), wire)
    assert instance.remarks == REPAIRED
    even = raw.joined(raw.uids(wire)) + tree.encoded(wire, even=True)
    assert content_of(instance.dataset) == even
