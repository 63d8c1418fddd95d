"""Repair of odd lengths, as a single one can end the association (PS3.5 7.1, PS3.8 annex E).

Each value and each fragment of odd length gets the padding byte of its VR. Enclosing lengths,
group lengths and offset tables are updated. All other bytes are unchanged.
"""

from bisect import bisect_right
from collections.abc import Callable, Generator
from struct import Struct
from typing import Any

from ..values import field, mutable
from .dictionary import implicit_vr
from .elements import (
    ITEM_DELIMITATION,
    MAX_NESTING,
    OPEN,
    SEQUENCE_DELIMITATION,
    TOO_DEEP,
    Element,
    ElementReader,
)
from .headers import ITEM, SHORT_VRS, TAG_SIZE, UNDEFINED_LENGTH, Encoding, MalformedError
from .types import Patch, Span

_TEXT_VRS = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UR UT".split())
_PIXEL_DATA = 0x7FE00010
_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002
"""Extended Offset Table and Extended Offset Table Lengths."""
_ITEMS = (b"\xfe\xff\0\xe0", b"\xff\xfe\xe0\0")
_ITEM_HEADER = 8
_SHORT, _LONG = 2, 4
_MAX_SHORT = 0xFFFF
_MAX_PATCHES = 100_000
_MAX_TABLE = 1 << 24

_Step = Generator["_Step", tuple[int, int], tuple[int, int]]
"""Repair of one dataset, item or sequence: yields the nested ones, returns growth and end."""


class _LimitError(MalformedError):
    """A dataset has more odd lengths, or is nested deeper, than allowed in memory."""


def odd_length_patches(reader: ElementReader, start: int, encoding: Encoding) -> list[Patch]:
    """Return patches that make all lengths of the dataset at `start` even.

    The dataset extends to the end of the file. A single byte after the last element, and a dataset
    that cannot be read, are padded at the end. Raises MalformedError for more than 50,000 odd
    lengths, and for odd lengths in more than 10,000 nested sequences.
    """
    repair = _Repair(reader)
    try:
        growth, _ = _run(repair.elements(start, reader.size, encoding))
    except _LimitError:
        raise
    except MalformedError:
        repair.patches, growth = [], 0
    if (reader.size - start + growth) % 2:
        repair.patches.append(Patch(reader.size, reader.size, b"\0"))
    return sorted(repair.patches, key=lambda patch: (patch.start, patch.end))


def _run(step: _Step) -> tuple[int, int]:
    """Run a step and the nested ones without recursion, and return its growth and end."""
    steps = [step]
    result: Any = None
    error: MalformedError | None = None
    while steps:
        try:
            nested = steps[-1].throw(error) if error else steps[-1].send(result)
            result = error = None
            if len(steps) > 2 * MAX_NESTING:
                error = _LimitError(TOO_DEEP)
            else:
                steps.append(nested)
        except StopIteration as stop:
            steps.pop()
            result, error = stop.value, None
        except MalformedError as exc:
            steps.pop()
            error = exc
    if error:
        raise error
    growth, end = result
    return growth, end


@mutable
class _Level:
    """State of the walk over one dataset or item: its current group and its offset tables."""

    group: int = -1
    group_length: Element | None = None
    growth: int = 0
    tables: dict[int, Element] = field(default_factory=dict)


class _Repair:
    """Repair of one dataset: the patches found so far."""

    def __init__(self, reader: ElementReader) -> None:
        self._reader = reader
        self.patches: list[Patch] = []

    def elements(
        self, start: int, limit: int | None, encoding: Encoding, *, is_item: bool = False
    ) -> _Step:
        """Repair elements up to `limit`, or to a delimiter; return their growth and their end.

        Raises MalformedError if they do not fill their range.
        """
        level = _Level()
        total, position, is_open = 0, start, True
        while is_open and (limit is None or position < limit):
            is_open = False
            for tag, head, value, end in self._reader.walk(position, encoding, is_open=True):
                if tag == ITEM_DELIMITATION and limit is None:
                    self._leave_group(level, encoding)
                    return total, value
                if limit is not None and end > limit:
                    raise MalformedError("an element reaches beyond its sequence or dataset")
                element = Element(tag, head, value, end)
                if tag >> 16 != level.group:
                    self._leave_group(level, encoding)
                    level.group, level.growth = tag >> 16, 0
                if tag & 0xFFFF == 0:
                    level.group_length = element
                    level.growth = 0
                growth, position = yield from self._element(element, level, encoding)
                level.growth += growth
                total += growth
                is_open = end == OPEN
                if position == limit:
                    break
        self._leave_group(level, encoding)
        if limit is None or (is_item and position != limit):
            raise MalformedError("the length of an item does not match its elements")
        return total, position

    def _leave_group(self, level: _Level, encoding: Encoding) -> None:
        length, level.group_length = level.group_length, None
        if not length or not level.growth or length.end - length.value != _LONG:
            return
        # A wrong group length, which no reader needs, may leave no room for the growth.
        if (
            self._reader.number(length.value, length.end, encoding) + level.growth
            <= UNDEFINED_LENGTH
        ):
            self._add_to(length.value, _LONG, level.growth, encoding)

    def _element(self, element: Element, level: _Level, encoding: Encoding) -> _Step:
        """Repair an element, and return its growth in bytes and its end."""
        tag, value, end = element.tag, element.value, element.end
        vr = self._vr(element, encoding)
        if tag in (_OFFSETS, _LENGTHS):
            level.tables[tag] = element
        if end == OPEN:
            mark = len(self.patches)
            if tag == _PIXEL_DATA or vr in (b"OB", b"OW"):
                try:
                    return self._fragments(value, level, encoding)
                except MalformedError:  # a sequence, not pixel data
                    del self.patches[mark:]
            return (yield self._items(value, None, encoding))
        size = self._size_of_length(element, vr, encoding)
        if vr == b"SQ" or (vr == b"UN" and self._reader.bytes_at(value, value + 4) in _ITEMS):
            mark = len(self.patches)
            try:
                growth, _ = yield self._items(value, end, encoding)
            except MalformedError as exc:
                del self.patches[mark:]
                if isinstance(exc, _LimitError) and (end - value) % 2:
                    raise
            else:
                if growth:
                    self._add_to(value - size, size, growth, encoding)
                return growth, end
        if (end - value) % 2 == 0:
            return 0, end
        self._put(end, end, b" " if vr in _TEXT_VRS else b"\0")
        if size == _SHORT and end - value == _MAX_SHORT:
            # A value that is too long for its VR gets VR UN (PS3.5 6.2.2).
            head = self._reader.bytes_at(element.start, element.start + 4)
            length = (_MAX_SHORT + 1).to_bytes(_LONG, encoding.order)
            self._put(element.start, value, head + b"UN\0\0" + length)
            return 1 + _LONG, end
        self._add_to(value - size, size, 1, encoding)
        return 1, end

    def _items(self, start: int, limit: int | None, encoding: Encoding) -> _Step:
        """Repair items up to `limit`, or to a delimiter; return their growth and their end."""
        total, position = 0, start
        encoding = self._reader.item_encoding(position, encoding)
        while limit is None or position < limit:
            tag, length = self._item_header(position, encoding)
            content = position + _ITEM_HEADER
            if tag == SEQUENCE_DELIMITATION and limit is None:
                return total, content
            if tag != ITEM:
                raise MalformedError("a sequence contains something other than items")
            inner = encoding
            if not encoding.implicit:
                inner = self._reader.sniff(content, encoding)
            end = None if length == UNDEFINED_LENGTH else content + length
            growth, position = yield self.elements(content, end, inner, is_item=True)
            if growth and end is not None:
                self._add_to(content - _LONG, _LONG, growth, encoding)
            total += growth
        if position != limit:
            raise MalformedError("the length of a sequence does not match its items")
        return total, position

    def _fragments(self, start: int, level: _Level, encoding: Encoding) -> tuple[int, int]:
        """Repair the fragments of encapsulated pixel data, and its offset tables (PS3.5 A.4).

        Returns their growth and their end.
        """
        position, first = start, -1
        odd_ends: list[int] = []
        table = Span(start, start)
        growth = 0
        while True:
            tag, length = self._item_header(position, encoding)
            content = position + _ITEM_HEADER
            if tag == SEQUENCE_DELIMITATION:
                break
            if tag != ITEM or length == UNDEFINED_LENGTH:
                raise MalformedError("pixel data contains something other than fragments")
            position = content + length
            if length % 2:
                growth += 1
                self._put(position, position, b"\0")
                self._add_to(content - _LONG, _LONG, 1, encoding)
            if first < 0:
                table, first = Span(content, position), position
            elif length % 2:
                odd_ends.append(position - first)
        if odd_ends:

            def moved(offset: int) -> int:
                """Add the bytes inserted before a fragment to its offset."""
                return offset + bisect_right(odd_ends, offset)

            self._change(table, "L", moved, encoding)
            if offsets := level.tables.pop(_OFFSETS, None):
                self._change(Span(offsets.value, offsets.end), "Q", moved, encoding)
            if lengths := level.tables.pop(_LENGTHS, None):
                where = Span(lengths.value, lengths.end)
                self._change(where, "Q", lambda size: size + size % 2, encoding)
        return growth, content

    def _change(
        self, where: Span, code: str, change: Callable[[int], int], encoding: Encoding
    ) -> None:
        """Change each number in a table, unless the table is far too large."""
        size = where.end - where.start
        if size <= _MAX_TABLE:
            item = Struct(("<" if encoding.little else ">") + code)
            table = self._reader.bytes_at(where.start, where.start + size // item.size * item.size)
            data = b"".join(item.pack(change(number)) for (number,) in item.iter_unpack(table))
            self._put(where.start, where.start + len(data), data)

    def _vr(self, element: Element, encoding: Encoding) -> bytes:
        """Return an element's VR, `UN` if unknown."""
        if encoding.implicit:
            return implicit_vr(element.tag).encode()
        return self._reader.bytes_at(element.start + 4, element.start + 6)

    def _size_of_length(self, element: Element, vr: bytes, encoding: Encoding) -> int:
        """Return the size of the length field in a header, in bytes."""
        if encoding.implicit or element.value - element.start > _ITEM_HEADER:
            return _LONG
        length = self._reader.number(element.value - _SHORT, element.value, encoding)
        return _SHORT if vr in SHORT_VRS or length == element.end - element.value else _LONG

    def _item_header(self, start: int, encoding: Encoding) -> tuple[int, int]:
        tag = self._reader.tag_at(start, encoding)
        length = self._reader.number(start + TAG_SIZE, start + _ITEM_HEADER, encoding)
        if tag is None:
            raise MalformedError("a sequence is truncated")
        return tag, length

    def _add_to(self, start: int, size: int, growth: int, encoding: Encoding) -> None:
        number = self._reader.number(start, start + size, encoding) + growth
        if number >= 1 << 8 * size:
            raise MalformedError("a length has no room for padding")
        self._put(start, start + size, number.to_bytes(size, encoding.order))

    def _put(self, start: int, end: int, data: bytes) -> None:
        self.patches.append(Patch(start, end, data))
        if len(self.patches) > _MAX_PATCHES:
            raise _LimitError("it has too many odd lengths")
