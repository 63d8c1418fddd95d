"""Reader of the elements of an encoded dataset, without decoding it (PS3.5 section 7)."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from struct import error
from typing import NamedTuple

from ..values import field, mutable
from .dictionary import is_known, vr_of
from .headers import (
    ITEM,
    LAYOUTS,
    LONG_VRS,
    MAX_HEADER,
    MIN_HEADER,
    SEQUENCE_STARTS,
    SHORT_VRS,
    TAG_SIZE,
    UNDEFINED_LENGTH,
    VRS,
    Encoding,
    HeaderReader,
    MalformedError,
    TruncatedError,
)

ITEM_DELIMITATION = 0xFFFEE00D
SEQUENCE_DELIMITATION = 0xFFFEE0DD
_TEXT_VRS = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UI".split())
_NO_VR = frozenset((b"",))
_LAST_GROUP = 0xFFFF
MAX_NESTING = 10_000
"""Maximum number of open sequences around an element, of about 100 bytes of memory each."""
OPEN = -1
"""End of an element of undefined length whose items have not been read."""
_MAX_NOTED = 1 << 17
MAX_PLAIN_TEXT = 64
"""Bytes of a text value; the length of a longer one may be damaged."""
_MAX_SEARCHED = 1 << 12
_VR_OF_HEADER = re.compile(b"|".join(sorted(VRS)))
TOO_DEEP = f"sequences are nested more than {MAX_NESTING:,} levels deep"


class Element(NamedTuple):
    """An element: its tag, the offsets of its header and value, and its end."""

    tag: int
    start: int
    value: int
    end: int


@mutable
class Scan:
    """Progress of a scan: the end and tag of the last element, and whether all tags ascended.

    `noted` are the elements that the scan was asked to note, `undefined` the tags of those with
    undefined length. `error` is what ended it, if anything. `trailing` is the number of bytes after
    the dataset.
    """

    end: int
    last_tag: int = -1
    is_ordered: bool = True
    noted: list[Element] = field(default_factory=list)
    undefined: set[int] = field(default_factory=set)
    error: MalformedError | None = None
    trailing: int = 0

    def note(self, element: Element) -> None:
        """Note an element; raises MalformedError for more elements than a group can have."""
        if len(self.noted) == _MAX_NOTED:
            raise MalformedError(f"group {element.tag >> 16:04X} has duplicate elements")
        self.noted.append(element)


class ElementReader(HeaderReader):
    """Reader of the elements of a dataset in a seekable file, a window at a time."""

    lengths = 0
    """All lengths of values so far, joined by OR, including those in nested items."""

    def until(self, size: int) -> "ElementReader":
        """Return a reader of the first `size` bytes of the file."""
        return ElementReader(self._content, size)

    def walk(
        self,
        start: int,
        encoding: Encoding,
        last_group: int = _LAST_GROUP,
        *,
        is_open: bool = False,
    ) -> Iterator[tuple[int, int, int, int]]:
        """Yield the elements from `start` to `last_group`, padding or the end of the file.

        Each is a tuple of the tag, the start of the header, the start of the value, and the end.
        An element of undefined length ends after its delimiter. With `is_open`, its end is OPEN,
        and the walk ends with it. The tuples are plain for speed. A value may reach beyond the end
        of the file.

        Raises TruncatedError if the file ends within a header or a sequence. Raises MalformedError
        for an inconsistent sequence, and for an element with no VR and no plausible length.
        """
        is_implicit = encoding.implicit
        headers = LAYOUTS[encoding.little]
        unpack = headers.explicit.unpack_from
        base, last = 0, -1
        while True:
            at = start - base
            if not 0 <= at <= last:
                self.bytes_at(start, start + MAX_HEADER)
                window, base = self._window, self._base
                last = len(window) - MAX_HEADER
                at = start - base
                if at + MIN_HEADER > len(window):
                    return
            group, number, vr, length = unpack(window, at)
            if group > last_group or not (group or number):
                return
            value = start + MIN_HEADER
            if is_implicit or vr not in SHORT_VRS:
                if is_implicit or group == ITEM >> 16:
                    length = headers.implicit.unpack_from(window, at)[2]
                elif vr in LONG_VRS and at <= last:
                    length = headers.length.unpack_from(window, at + MIN_HEADER)[0]
                    value = start + MAX_HEADER
                else:
                    value, length = self._irregular(start, headers)
                if length == UNDEFINED_LENGTH and group != ITEM >> 16:
                    if is_open:
                        yield group << 16 | number, start, value, OPEN
                        return
                    end = self._sequence_end(value, encoding)
                else:
                    end = value + length
            else:
                end = value + length
            yield group << 16 | number, start, value, end
            start = end

    def advance(  # noqa: PLR0912
        self, scan: Scan, encoding: Encoding, marks: tuple[int, ...], group: int = 0
    ) -> None:
        """Advance `scan` over all elements, to padding or the end of the file.

        Notes the elements of `group`, and the first element at or after each of `marks`, which
        ascend and end with ITEM. Stops before an element that ends beyond the file.

        This is `walk` as a tight loop. After an error, `scan` ends after the last good element.
        """
        headers = LAYOUTS[encoding.little]
        unpack = (headers.without_vr if encoding.implicit else headers.explicit).unpack_from
        plain_vrs = _NO_VR if encoding.implicit else SHORT_VRS
        previous, mark, lengths, is_noted = scan.last_tag, 0, 0, False
        at, base, last = scan.end, 0, -1
        try:
            while True:
                if not 0 <= at <= last:
                    start = base + at
                    self.bytes_at(start, start + MAX_HEADER)
                    window, base = self._window, self._base
                    last = len(window) - MAX_HEADER
                    at, limit = start - base, self.size - base
                    if at + MIN_HEADER > len(window):
                        return
                number, minor, vr, length = unpack(window, at)
                tag = number << 16 | minor
                if not previous < tag < mark:
                    if not 0 < tag < ITEM:
                        return
                    is_noted = tag >= mark or tag in marks or number == group
                    scan.is_ordered = scan.is_ordered and tag > previous
                    mark = tag + 1 if number == group else marks[bisect_right(marks, tag)]
                if vr in plain_vrs:
                    value = at + MIN_HEADER
                    if length > MAX_PLAIN_TEXT:
                        element = Element(tag, base + at, base + value, base + value + length)
                        if self.hides_element(element, encoding):
                            scan.is_ordered = False
                elif vr in LONG_VRS and at <= last:
                    (length,) = headers.length.unpack_from(window, at + MIN_HEADER)
                    value = at + MAX_HEADER
                else:
                    start, length = self._irregular(base + at, headers)
                    value = start - base
                if length == UNDEFINED_LENGTH:
                    length = self._sequence_end(base + value, encoding) - base - value
                    if is_noted:
                        scan.undefined.add(tag)
                end = value + length
                if end > limit:
                    return
                lengths |= length
                if is_noted:
                    scan.note(Element(tag, base + at, base + value, base + end))
                    is_noted = False
                at, previous = end, tag
        finally:
            scan.end, scan.last_tag = base + at, previous
            self.lengths |= lengths

    def hides_element(self, element: Element, encoding: Encoding) -> bool:
        """Return whether a long text contains a NUL and a known element with a higher tag.

        If so, the length of the text is damaged: each header has a NUL, but no text does.
        """
        tag, start, value, end = element
        if end - value <= MAX_PLAIN_TEXT:
            return False
        vr = b"" if encoding.implicit else self.bytes_at(start + TAG_SIZE, start + TAG_SIZE + 2)
        if (vr or _vr_of(tag)) not in _TEXT_VRS:
            return False
        data = self.bytes_at(value, min(end, value + _MAX_SEARCHED))
        if b"\0" not in data.rstrip(b"\0") or data[:TAG_SIZE] in SEQUENCE_STARTS:
            return False
        header = LAYOUTS[encoding.little].implicit
        if vr:
            found = _VR_OF_HEADER.finditer(data, TAG_SIZE, len(data) - 2)
            places = [match.start() - TAG_SIZE for match in found]
        else:
            places = list(range(0, len(data) - MIN_HEADER + 1, 2))
        for at in places:
            group, minor, length = header.unpack_from(data, at)
            is_within = vr or length <= self.size
            if is_within and tag < (group << 16 | minor) < ITEM and _vr_of(group << 16 | minor):
                return True
        return False

    def item_encoding(self, start: int, encoding: Encoding) -> Encoding:
        """Return the encoding of the items at `start` in an element with this encoding.

        They may be little endian in a big endian dataset. In an element of VR UN they must be
        (PS3.5 6.2.2).
        """
        if self.bytes_at(start, start + 2) == SEQUENCE_STARTS[0][:2]:
            return encoding._replace(little=True)
        return encoding

    def _sequence_end(self, start: int, encoding: Encoding) -> int:
        """Return the end of a sequence of undefined length, including its delimiter.

        An item of undefined length may be implicit VR in an explicit VR dataset. In an element of
        VR UN it must be (PS3.5 6.2.2). Sequences in sequences are read without recursion.
        """
        encoding = self.item_encoding(start, encoding)
        around: list[tuple[Encoding, Encoding]] = []
        while True:
            header = LAYOUTS[encoding.little].implicit
            try:
                group, number, length = header.unpack(self.bytes_at(start, start + MIN_HEADER))
            except error as exc:
                raise TruncatedError("a sequence is truncated") from exc
            start += MIN_HEADER
            tag = group << 16 | number
            if tag == SEQUENCE_DELIMITATION:
                if not around:
                    return start
                encoding, inner = around.pop()
            elif tag != ITEM:
                raise MalformedError("a sequence contains something other than items")
            elif length != UNDEFINED_LENGTH:
                self.lengths |= length
                start += length
                continue
            else:
                inner = encoding if encoding.implicit else self.sniff(start, encoding)
            for tag, _, value, end in self.walk(start, inner, is_open=True):
                start = value
                if tag == ITEM_DELIMITATION:
                    break
                if end == OPEN:
                    around.append((encoding, inner))
                    if len(around) == MAX_NESTING:
                        raise MalformedError(TOO_DEEP)
                    encoding = self.item_encoding(start, inner)
                    break
                self.lengths |= end - value
            else:
                raise TruncatedError("an item is truncated")


def _vr_of(tag: int) -> bytes:
    """Return the VR of an element from the dictionary, empty if unknown."""
    return vr_of(tag).encode() if is_known(tag) else b""
