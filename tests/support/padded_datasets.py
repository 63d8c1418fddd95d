"""Datasets as trees, encoded twice: as some writers do, and with even lengths only."""

from dataclasses import dataclass, field
from struct import pack

from hypothesis import strategies as st

from tests.support.datasets import (
    EXPLICIT,
    IMPLICIT,
    LONG,
    SHORT,
    Wire,
    element,
    group_length,
    item,
    sequence,
)

TEXT = frozenset(
    ["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"]
)
PIXEL_DATA, OFFSETS, LENGTHS = 0x7FE00010, 0x7FE00001, 0x7FE00002
KNOWN = {0x00080050: "SH", 0x00080104: "LO", 0x00100010: "PN", 0x00180050: "DS", 0x0020000E: "UI"}
"""Elements with their standard VR, which implicit VR data omits."""
PRIVATE = (0x00190010, 0x00191001, 0x00191002, 0x00210010, 0x00291001)
SEQUENCES = (0x00081140, 0x00400275, 0x52009229)


@dataclass(frozen=True)
class Value:
    """Element with a value."""

    tag: int
    vr: str
    data: bytes

    def encoded(self, wire: Wire, *, even: bool) -> bytes:
        """Return the element, padded if `even` is true."""
        data = self.data
        if even and len(data) % 2:
            data += b" " if self.vr in TEXT else b"\0"
        return element(self.tag, self.vr, data, wire).data

    def shows_odd_length(self, _wire: Wire) -> bool:
        """Return whether its length is odd."""
        return len(self.data) % 2 == 1


@dataclass(frozen=True)
class Group:
    """Elements of one group after their group length."""

    number: int
    elements: tuple[Value, ...]

    @property
    def tag(self) -> int:
        """Tag of the group length."""
        return self.number << 16

    def encoded(self, wire: Wire, *, even: bool) -> bytes:
        """Return the encoded group."""
        data = b"".join(one.encoded(wire, even=even) for one in self.elements)
        return group_length(self.number, len(data), wire).data + data

    def shows_odd_length(self, wire: Wire) -> bool:
        """Return whether one of its elements has a visible odd length."""
        return any(one.shows_odd_length(wire) for one in self.elements)


@dataclass(frozen=True)
class Sequence:
    """Sequence whose length, and those of its items, are defined or undefined."""

    tag: int
    items: tuple["Tree", ...]
    is_defined: bool
    are_items_defined: bool

    def encoded(self, wire: Wire, *, even: bool) -> bytes:
        """Return the encoded sequence."""
        items = [
            item(one.encoded(wire, even=even), wire, defined=self.are_items_defined)
            for one in self.items
        ]
        return sequence(self.tag, items, wire, defined=self.is_defined, inner=wire).data

    def shows_odd_length(self, wire: Wire) -> bool:
        """Return whether it has an odd length or, if that is undefined, contains one."""
        if self.is_defined:
            return sum(len(one.encoded(wire, even=False)) for one in self.items) % 2 == 1
        if self.are_items_defined:
            return any(len(one.encoded(wire, even=False)) % 2 for one in self.items)
        return any(one.shows_odd_length(wire) for one in self.items)


@dataclass(frozen=True)
class Frames:
    """Encapsulated pixel data with one fragment per frame, with or without offset tables."""

    fragments: tuple[bytes, ...]
    has_table: bool
    has_extended_table: bool
    tag: int = field(default=OFFSETS, init=False)

    def encoded(self, wire: Wire, *, even: bool) -> bytes:
        """Return the tables and the pixel data."""
        frames = [frame + b"\0" * (even and len(frame) % 2) for frame in self.fragments]
        offsets = [sum(8 + len(frame) for frame in frames[:place]) for place in range(len(frames))]
        tables = b""
        if self.has_extended_table:
            sizes = [len(frame) for frame in frames]
            for tag, numbers in ((OFFSETS, offsets), (LENGTHS, sizes)):
                tables += element(tag, "OV", pack(f"<{len(frames)}Q", *numbers), wire).data
        table = pack(f"<{len(frames)}L", *offsets) if self.has_table else b""
        items = [item(one, wire, defined=True) for one in (table, *frames)]
        return tables + sequence(PIXEL_DATA, items, wire, defined=False, vr="OB", inner=wire).data

    def shows_odd_length(self, _wire: Wire) -> bool:
        """Return whether a fragment has an odd length."""
        return any(len(one) % 2 for one in self.fragments)


@dataclass(frozen=True)
class Tree:
    """Dataset or item."""

    elements: tuple[Value | Group | Sequence | Frames, ...]

    def encoded(self, wire: Wire, *, even: bool) -> bytes:
        """Return its elements in ascending order."""
        ascending = sorted(self.elements, key=lambda one: one.tag)
        return b"".join(one.encoded(wire, even=even) for one in ascending)

    def shows_odd_length(self, wire: Wire) -> bool:
        """Return whether an odd length is visible without entering sequences of defined length."""
        return any(one.shows_odd_length(wire) for one in self.elements)


_DATA = st.binary(max_size=9)


@st.composite
def trees(draw: st.DrawFn, wire: Wire, depth: int = 2) -> Tree:
    """Draw a dataset with values of any length."""
    found: dict[int, Value | Group | Sequence | Frames] = {}
    for tag, vr in KNOWN.items():
        if draw(st.booleans()):
            found[tag] = Value(tag, vr, draw(_DATA))
    for tag in PRIVATE:
        if draw(st.booleans()):
            vr = draw(st.sampled_from(SHORT + LONG))
            is_creator = 0x10 <= tag & 0xFFFF <= 0xFF
            implied = "LO" if is_creator else "UN"
            found[tag] = Value(tag, implied if wire is IMPLICIT else vr, draw(_DATA))
    if draw(st.booleans()):
        inner = tuple(Value(0x00280000 | number, "UN", draw(_DATA)) for number in (1, 3))
        found[0x00280000] = Group(0x0028, inner)
    for tag in SEQUENCES if depth else ():
        if draw(st.booleans()):
            items = draw(st.lists(trees(wire, depth - 1), max_size=3))
            found[tag] = Sequence(tag, tuple(items), draw(st.booleans()), draw(st.booleans()))
    if wire is EXPLICIT and depth == 2 and draw(st.booleans()):
        frames = draw(st.lists(st.binary(min_size=1, max_size=9), max_size=5))
        found[OFFSETS] = Frames(tuple(frames), draw(st.booleans()), draw(st.booleans()))
    return Tree(tuple(found.values()))
