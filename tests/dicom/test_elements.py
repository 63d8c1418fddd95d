"""Traversal of elements without decoding them."""

from collections.abc import Callable
from io import BytesIO
from itertools import product
from struct import pack

import pytest

from fw_gear_dicom_send.dicom.elements import MAX_NESTING, TOO_DEEP, ElementReader
from fw_gear_dicom_send.dicom.headers import Encoding, MalformedError
from tests.support import datasets as raw
from tests.support.datasets import (
    BIG,
    EXPLICIT,
    IMPLICIT,
    RawElement,
    Wire,
    each_wire,
    nested,
)

TAG, NEXT = 0x00191001, 0x00191002
ITEM_HEADERS = (0xE000, 0xFFFFFFFF), (0xE00D, 0), (0xE0DD, 0)
"""An item of undefined length, its delimiter and a sequence delimiter."""


def encoding(wire: Wire) -> Encoding:
    return Encoding(wire.implicit, wire.order == "<")


def walk(data: bytes, wire: Wire, last_group: int = 0xFFFF) -> list[tuple[int, int, int]]:
    reader = ElementReader(BytesIO(data))
    return [(tag, start, end) for tag, start, _, end in reader.walk(0, encoding(wire), last_group)]


def places(elements: list[RawElement]) -> list[tuple[int, int, int]]:
    at, found = 0, []
    for element in elements:
        found.append((element.tag, at, at + len(element.data)))
        at += len(element.data)
    return found


def holds(elements: list[RawElement], wire: Wire) -> bool:
    return walk(raw.joined(elements), wire) == places(elements)


@pytest.mark.parametrize("vr", raw.SHORT + raw.LONG)
def test_every_vr(vr: str) -> None:
    """Each VR has its own header form."""
    elements = [raw.element(TAG, vr, b"abcd", EXPLICIT), raw.text(NEXT, "next", EXPLICIT)]
    assert holds(elements, EXPLICIT)


@each_wire
@pytest.mark.parametrize("value", [b"", b"a", b"abc", b"x" * 40000, b"x" * 65535])
def test_any_length(wire: Wire, value: bytes) -> None:
    """A value may be empty, odd in length, or longer than the read buffer."""
    assert holds([raw.element(TAG, "LT", value, wire), raw.text(NEXT, "next", wire)], wire)


def test_value_start() -> None:
    """The value starts after a header of 8 or 12 bytes."""
    data = raw.joined(
        [raw.element(TAG, "LT", b"ab", EXPLICIT), raw.element(NEXT, "OB", b"cd", EXPLICIT)]
    )
    reader = ElementReader(BytesIO(data))
    found = [data[value:end] for _, _, value, end in reader.walk(0, encoding(EXPLICIT))]
    assert found == [b"ab", b"cd"]


@pytest.mark.parametrize("wire", [EXPLICIT, BIG], ids=["le", "be"])
@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("value", [b"", b"ab", b"SHIFT", bytes(6), b"\0\x40\0\x10LOxx"])
@pytest.mark.parametrize("is_last", [False, True])
def test_unknown_vr(wire: Wire, long: bool, value: bytes, is_last: bool) -> None:
    """An element of an unknown VR has a 12-byte header, or the 8-byte header of some writers."""
    elements = [raw.element(TAG, "ZZ", value, wire, long=long)]
    if not is_last:
        elements.append(raw.text(NEXT, "next", wire))
    assert holds(elements, wire)


@pytest.mark.parametrize("value", [b"LOxyz123", b"SH"])
def test_unknown_vr_like_a_header(value: bytes) -> None:
    """A long value of an unknown VR that begins like a VR is not taken for the next element."""
    value = value.ljust(64)
    element = raw.element(TAG, "ZZ", value, EXPLICIT, long=True)
    assert holds([element], EXPLICIT)
    assert holds([element, raw.text(NEXT, "next", EXPLICIT)], EXPLICIT)


@pytest.mark.parametrize("wire", [EXPLICIT, BIG], ids=["le", "be"])
def test_empty_unknown_vr_in_a_large_dataset(wire: Wire) -> None:
    """An empty value is recognized, even if the next tag is also a possible length."""
    elements = [
        raw.element(TAG, "ZZ", b"", wire, long=False),
        raw.text(NEXT, "next", wire),
        raw.element(0x7FE00010, "OW", bytes(2 << 20), wire),
    ]
    assert holds(elements, wire)


@pytest.mark.parametrize("wire", [EXPLICIT, BIG], ids=["le", "be"])
def test_unknown_vr_of_undefined_length(wire: Wire) -> None:
    """An element of an unknown VR may have undefined length."""
    items = [raw.item(raw.text(TAG, "x", wire).data, wire, defined=False)]
    unknown = raw.sequence(TAG, items, wire, defined=False, vr="ZZ", inner=wire)
    assert holds([unknown, raw.text(NEXT, "next", wire)], wire)


@pytest.mark.parametrize("wire", [EXPLICIT, BIG], ids=["le", "be"])
@pytest.mark.parametrize("form", ["short", "long", "implicit"])
def test_no_vr(wire: Wire, form: str) -> None:
    """An element without VR has the length that leads to the next element."""
    next_element = raw.text(TAG + 10, "next", wire)
    pixels = raw.element(0x7FE00010, "OW", b"\x10\x02" * 50000, wire)
    wrong = []
    vrs, values = (b"  ", b"??", b"\0\0", b"ox", b"-\0"), (b"", b"ab", b"some text!", bytes(300))
    for vr, value, count in product(vrs, values, (1, 3)):
        if form == "implicit":
            plain = raw.element(TAG, "", value, Wire(wire.uid, True, wire.order)).data
        else:
            plain = raw.element(TAG, "ZZ", value, wire, long=form == "long").data
            plain = plain.replace(b"ZZ", vr, 1)
        elements = [
            RawElement(tag, raw.raw_tag(tag, wire) + plain[4:]) for tag in range(TAG, TAG + count)
        ]
        if not (holds([*elements, next_element, pixels], wire) and holds(elements, wire)):
            wrong.append((vr, value, count))
    assert wrong == []


@pytest.mark.parametrize("vr", [b"  ", b"??", b"\0\0", b"ox"])
def test_no_vr_and_a_wrong_length(vr: bytes) -> None:
    """An element without VR whose length leads to no element is malformed."""
    element = raw.element(TAG, "ZZ", b"", EXPLICIT, long=False, length=99).data.replace(b"ZZ", vr)
    with pytest.raises(MalformedError, match="no VR"):
        walk(element + b"\1\2\3\4" * 100, EXPLICIT)


@pytest.mark.parametrize("vr", [b"  ", b"??", b"ox"])
def test_sniff_an_element_without_vr(vr: bytes) -> None:
    """A first element without VR does not mean implicit VR if the next element has a VR."""
    first = raw.text(TAG, "x", EXPLICIT).data.replace(b"LO", vr, 1)
    reader = ElementReader(BytesIO(first + raw.text(NEXT, "next", EXPLICIT).data))
    assert reader.sniff(0, encoding(EXPLICIT)) == encoding(EXPLICIT)


@each_wire
def test_empty_unknown_vr_in_an_item(wire: Wire) -> None:
    """An 8-byte header without a value may precede an item's delimiter."""
    inner = raw.element(TAG, "ZZ", b"", wire, long=False).data
    items = [raw.item(inner, wire, defined=False)]
    elements = [raw.sequence(TAG, items, wire, defined=False, inner=wire)]
    assert holds([*elements, raw.text(NEXT, "next", wire)], wire)


@each_wire
@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("defined_item", [True, False])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_sequences(wire: Wire, defined: bool, defined_item: bool, count: int) -> None:
    """Sequences and items have defined or undefined length; they may be empty."""
    for content in (b"", raw.text(NEXT, "inside", wire).data):
        items = [raw.item(content, wire, defined=defined_item)] * count
        inner = raw.sequence(TAG, items, wire, defined=defined, inner=wire)
        nested = raw.item(inner.data, wire, defined=defined_item)
        outer = raw.sequence(TAG, [nested], wire, defined=defined, inner=wire)
        assert holds([outer, raw.text(NEXT, "next", wire)], wire)


@pytest.mark.parametrize(
    ("wire", "inner"),
    [(EXPLICIT, IMPLICIT), (EXPLICIT, EXPLICIT), (BIG, IMPLICIT), (BIG, EXPLICIT), (BIG, BIG)],
)
def test_un_of_undefined_length(wire: Wire, inner: Wire) -> None:
    """UN of undefined length contains implicit VR little endian; some writers use other VRs."""
    items = [raw.item(raw.text(TAG, "inside", inner).data, inner, defined=False)] * 2
    unknown = raw.sequence(TAG, items, wire, defined=False, vr="UN", inner=inner)
    assert holds([unknown, raw.text(NEXT, "next", wire)], wire)


def test_implicit_length_like_a_vr() -> None:
    """In an implicit VR item, a length that resembles a VR is read as a length."""
    inner = [
        raw.text(TAG, "x", IMPLICIT),
        raw.element(NEXT, "UN", bytes(int.from_bytes(b"OB", "little")), IMPLICIT),
    ]
    items = [raw.item(raw.joined(inner), IMPLICIT, defined=False)]
    unknown = raw.sequence(TAG, items, EXPLICIT, defined=False, vr="UN", inner=IMPLICIT)
    assert holds([unknown, raw.text(NEXT, "next", EXPLICIT)], EXPLICIT)


def test_delimiter_in_a_value() -> None:
    """A value that resembles a delimiter does not end a sequence."""
    trap = raw.raw_tag(0xFFFEE0DD, EXPLICIT) + bytes(4)
    for inner in (
        raw.item(raw.element(TAG, "OB", trap, EXPLICIT).data, EXPLICIT, defined=False),
        raw.item(trap, EXPLICIT, defined=True),
    ):
        elements = [raw.sequence(TAG, [inner], EXPLICIT, defined=False, inner=EXPLICIT)]
        assert holds([*elements, raw.text(NEXT, "next", EXPLICIT)], EXPLICIT)


@each_wire
@pytest.mark.parametrize("rest", [bytes(2), bytes(8), bytes(1000), b"\x19\0\x02\x10LO\0"])
def test_stops_at_padding(wire: Wire, rest: bytes) -> None:
    """Zeros and data shorter than a header are not elements."""
    elements = [raw.text(TAG, "x", wire)]
    assert walk(raw.joined(elements) + rest, wire) == places(elements)


def test_element_of_group_zero_number() -> None:
    """A nonzero element of group 0000 does not stop the traversal."""
    elements = [raw.text(0x00000002, "1.2", IMPLICIT), raw.text(TAG, "x", IMPLICIT)]
    assert holds(elements, IMPLICIT)


@each_wire
def test_stops_before_a_later_group(wire: Wire) -> None:
    """Data after the last requested group is not read, even if it is malformed."""
    elements = [raw.text(TAG, "x", wire)]
    broken = raw.element(0x00210010, "SQ", b"no items", wire, length=raw.UNDEFINED)
    data = raw.joined([*elements, broken])
    assert walk(data, wire, 0x0019) == places(elements)
    with pytest.raises(MalformedError):
        walk(data, wire)


@each_wire
@pytest.mark.parametrize("levels", [30, 65, 1000, MAX_NESTING])
def test_nested_levels(wire: Wire, levels: int) -> None:
    """The traversal follows 10,000 levels of sequences, without recursion."""
    data = nested(levels, wire)
    assert walk(data, wire) == [(0x00181234, 0, len(data))]


@each_wire
def test_too_many_nested_levels(wire: Wire) -> None:
    """More levels are rejected, with a reason of their own."""
    with pytest.raises(MalformedError, match=TOO_DEEP):
        walk(nested(MAX_NESTING + 1, wire), wire)


def _cut_long_header() -> bytes:
    return raw.element(TAG, "OB", b"", EXPLICIT).data[:-2]


def _cut_sequence() -> bytes:
    return raw.element(TAG, "SQ", b"", EXPLICIT, length=raw.UNDEFINED).data


def _cut_item() -> bytes:
    return _cut_sequence() + raw.item(b"", EXPLICIT, defined=False)[:8]


def _no_item() -> bytes:
    return _cut_sequence() + raw.text(TAG, "x" * 20, EXPLICIT).data


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (_cut_long_header, "header of an element is truncated"),
        (_cut_sequence, "sequence is truncated"),
        (_cut_item, "item is truncated"),
        (_no_item, "something other than items"),
    ],
)
def test_malformed(made: Callable[[], bytes], reason: str) -> None:
    """Inconsistent data raises MalformedError."""
    with pytest.raises(MalformedError, match=reason):
        walk(made(), EXPLICIT)


def test_value_beyond_the_end() -> None:
    """A value may extend beyond the end of the file; the traversal ends there."""
    data = raw.element(TAG, "OW", b"abc", EXPLICIT, length=1 << 31).data
    assert walk(data, EXPLICIT) == [(TAG, 0, 12 + (1 << 31))]


@each_wire
def test_sniff(wire: Wire) -> None:
    """The first element shows whether VRs are explicit, whatever is declared."""
    reader = ElementReader(BytesIO(raw.text(TAG, "x", wire).data))
    for implicit in (True, False):
        declared = Encoding(implicit, wire.order == "<")
        assert reader.sniff(0, declared) == encoding(wire)


def test_sniff_without_elements() -> None:
    """Without an element, the declared encoding is used."""
    reader = ElementReader(BytesIO(b"12345"))
    for declared in (Encoding(True, True), Encoding(False, False)):
        assert reader.sniff(0, declared) == declared


def test_bytes_at() -> None:
    """Bytes can be read at any offset, in any order; fewer are returned at the end."""
    data = bytes(range(256)) * 400
    reader = ElementReader(BytesIO(data))
    for start, end in [
        (90000, 90010),
        (0, 4),
        (90000, 90010),
        (5, 70000),
        (102390, 102500),
        (200000, 200004),
    ]:
        assert reader.bytes_at(start, end) == data[start:end]


def test_walk_back() -> None:
    """A traversal may start before the last read position."""
    elements = [raw.text(TAG, "x", EXPLICIT), raw.element(NEXT, "OB", bytes(90000), EXPLICIT)]
    reader = ElementReader(BytesIO(raw.joined(elements)))
    reader.bytes_at(70000, 70010)
    assert [tag for tag, *_ in reader.walk(0, encoding(EXPLICIT))] == [TAG, NEXT]


def test_an_implicit_item_whose_second_element_is_a_sequence() -> None:
    """Two elements show that the content of a UN element is implicit VR (PS3.5 6.2.2)."""
    item, item_end, end = (pack("<HHL", 0xFFFE, *of) for of in ITEM_HEADERS)
    sequence = pack("<HHL", 0x0008, 0x0100, 0xFFFFFFFF) + item + item_end + end
    empty = [pack("<HHL", group, 0x0010, 0) for group in (0x0019, 0x0021)]
    empty_sequence = pack("<HHL", 0x0021, 0x0100, 0xFFFFFFFF) + end
    inner = pack("<HHL", 0x0008, 0, 0) + sequence + b"".join(empty) + empty_sequence
    unknown = pack("<HH2s2xL", 0x0021, 0x10FF, b"UN", 0xFFFFFFFF) + item + inner + item_end + end
    reader = ElementReader(BytesIO(unknown))
    assert [end for _, _, _, end in reader.walk(0, encoding(EXPLICIT))] == [len(unknown)]


def test_an_implicit_item_whose_second_element_is_an_empty_sequence() -> None:
    """A sequence of undefined length may begin with its delimiter."""
    item, item_end, end = (pack("<HHL", 0xFFFE, *of) for of in ITEM_HEADERS)
    first = pack("<HHL", 0x0008, 0, 16) + item + item_end
    inner = first + pack("<HHL", 0x0008, 0x0100, 0xFFFFFFFF) + end
    unknown = pack("<HH2s2xL", 0x0021, 0x10FF, b"UN", 0xFFFFFFFF) + item + inner + item_end + end
    reader = ElementReader(BytesIO(unknown))
    assert [end for _, _, _, end in reader.walk(0, encoding(EXPLICIT))] == [len(unknown)]
