"""Reader of the elements of an encoded dataset, without decoding it (PS3.5 section 7)."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct, error
from typing import BinaryIO, NamedTuple

from .dictionary import is_known, vr_of

UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_DELIMITATION = 0xFFFEE00D
SEQUENCE_DELIMITATION = 0xFFFEE0DD
_SEQUENCE_STARTS = (b"\xfe\xff\0\xe0", b"\xfe\xff\xdd\xe0", b"\xff\xfe\xe0\0", b"\xff\xfe\xe0\xdd")
"""Tags that may start a sequence of undefined length: an item, or the sequence delimiter."""

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_TEXT_VRS = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UI".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_VRS = SHORT_VRS | LONG_VRS
_NO_VR = frozenset((b"",))

_WINDOW = 1 << 15
_MAX_TEXT = 1 << 16
_TAG_SIZE, _MIN_HEADER, _MAX_HEADER = 4, 8, 12
_LAST_GROUP = 0xFFFF
MAX_NESTING = 10_000
"""Maximum number of open sequences around an element, of about 100 bytes of memory each."""
OPEN = -1
"""End of an element of undefined length whose items have not been read."""
_MAX_NOTED = 1 << 17
MAX_PLAIN_TEXT = 64
"""Bytes of a text value; the length of a longer one may be damaged."""
_MAX_SEARCHED = 1 << 12
_VR_OF_HEADER = re.compile(b"|".join(sorted(SHORT_VRS | LONG_VRS)))
_MAX_IRREGULAR = 3
"""Elements without a known VR to read ahead, in a row, to find the length of the first."""


TOO_DEEP = f"sequences are nested more than {MAX_NESTING:,} levels deep"


class MalformedError(Exception):
    """The bytes are not a dataset, or end before the dataset does."""


class TruncatedError(MalformedError):
    """The bytes end before the dataset does."""


class Encoding(NamedTuple):
    """Encoding of elements: implicit or explicit VR, little or big endian."""

    implicit: bool
    little: bool


class Element(NamedTuple):
    """An element: its tag, the offsets of its header and value, and its end."""

    tag: int
    start: int
    value: int
    end: int


@dataclass
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


class _Form(NamedTuple):
    """One reading of an element's header: the offset of the value, and its length."""

    value: int
    length: int


class _Headers(NamedTuple):
    """Layouts of an element's header in one byte order."""

    explicit: Struct
    implicit: Struct
    without_vr: Struct
    unknown: Struct
    length: Struct
    tag: Struct


_LITTLE, _BIG = (
    _Headers(*(Struct(order + layout) for layout in ("HH2sH", "HHL", "HH0sL", "HH2sHL", "L", "HH")))
    for order in "<>"
)


class ElementReader:
    """Reader of the elements of a dataset in a seekable file, a window at a time."""

    def __init__(self, content: BinaryIO, size: int = -1) -> None:
        """Read from `content`, or its first `size` bytes only; the reader moves its position."""
        self._content = content
        self._base = 0
        self._window = b""
        self._size = size
        self._lengths = 0

    @property
    def has_odd_length(self) -> bool:
        """Whether any value so far has an odd length, including values in nested items."""
        return self._lengths % 2 == 1

    @property
    def size(self) -> int:
        """Length of the file, in bytes."""
        if self._size < 0:
            self._size = self._content.seek(0, 2)
        return self._size

    def until(self, size: int) -> "ElementReader":
        """Return a reader of the first `size` bytes of the file."""
        return ElementReader(self._content, size)

    def bytes_at(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`, or fewer if the file ends earlier."""
        if start < self._base or end > self._base + len(self._window):
            self._content.seek(start)
            self._window = self._content.read(max(_WINDOW, end - start))
            if 0 <= self._size < start + len(self._window):
                self._window = self._window[: max(self._size - start, 0)]
            self._base = start
        return self._window[start - self._base : end - self._base]

    def find(self, data: bytes, start: int) -> int:
        """Return the offset of `data` within one window from `start`, or -1."""
        self.bytes_at(start, start + len(data))
        found = self._window.find(data, start - self._base)
        return found if found < 0 else self._base + found

    def last(self, size: int) -> bytes:
        """Return the last bytes of the file without moving the window."""
        self._content.seek(max(self.size - size, 0))
        return self._content.read(size)

    def text(self, start: int, end: int) -> str:
        """Return the first 64 KiB of a value as text, without padding."""
        data = self.bytes_at(start, min(end, start + _MAX_TEXT))
        return data.decode("utf-8", "replace").strip(" \0")

    def tag_at(self, start: int, encoding: Encoding) -> int | None:
        """Return the tag of the element at `start`, or None if the file ends before it."""
        header = self.bytes_at(start, start + _TAG_SIZE)
        if len(header) < _TAG_SIZE:
            return None
        group, number = (_LITTLE if encoding.little else _BIG).tag.unpack(header)
        return int(group << 16 | number)

    def has_vr(self, start: int) -> bool:
        """Return whether the element at `start` has a VR that DICOM defines."""
        return self.bytes_at(start + _TAG_SIZE, start + _TAG_SIZE + 2) in _VRS

    def sniff(self, start: int, declared: Encoding) -> Encoding:
        """Return the actual encoding of the elements at `start`.

        Some writers declare another VR encoding than they use. The declared byte order is kept.
        If the first element has no VR, the next one decides.
        """
        header = self.bytes_at(start, start + _MIN_HEADER)
        if len(header) < _TAG_SIZE + 2:
            return declared
        if _is_vr(header[4:6]):
            return Encoding(False, declared.little)
        if declared.implicit or len(header) < _MIN_HEADER:
            return Encoding(True, declared.little)
        headers = _LITTLE if declared.little else _BIG
        group, number, length = headers.implicit.unpack(header)
        tag, end = group << 16 | number, start + _MIN_HEADER + length
        following = self.bytes_at(end, end + _MIN_HEADER)
        if len(following) == _MIN_HEADER and not _is_vr(following[4:6]):
            group, number, length = headers.implicit.unpack(following)
            value = end + _MIN_HEADER
            is_sequence = (
                length == UNDEFINED_LENGTH
                and self.bytes_at(value, value + _TAG_SIZE) in _SEQUENCE_STARTS
            )
            if group << 16 | number > tag and (is_sequence or value + length <= self.size):
                return Encoding(True, declared.little)
        forms = self._forms(start, headers)[:-1]
        is_explicit = max(self._ranks(forms, start, headers, _MAX_IRREGULAR)) > 1
        return Encoding(not is_explicit, declared.little)

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
        headers = _LITTLE if encoding.little else _BIG
        unpack = headers.explicit.unpack_from
        window, base = self._window, self._base
        last = len(window) - _MAX_HEADER
        while True:
            at = start - base
            if not 0 <= at <= last:
                self.bytes_at(start, start + _MAX_HEADER)
                window, base = self._window, self._base
                last = len(window) - _MAX_HEADER
                at = start - base
                if at + _MIN_HEADER > len(window):
                    return
            group, number, vr, length = unpack(window, at)
            if group > last_group or not (group or number):
                return
            value = start + _MIN_HEADER
            if is_implicit or vr not in SHORT_VRS:
                if is_implicit or group == ITEM >> 16:
                    length = headers.implicit.unpack_from(window, at)[2]
                elif vr in LONG_VRS and at <= last:
                    length = headers.length.unpack_from(window, at + _MIN_HEADER)[0]
                    value = start + _MAX_HEADER
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

    def advance(  # noqa: PLR0912, PLR0915
        self, scan: Scan, encoding: Encoding, marks: tuple[int, ...], group: int = 0
    ) -> None:
        """Advance `scan` over all elements, to padding or the end of the file.

        Notes the elements of `group`, and the first element at or after each of `marks`. `marks`
        ascend and end with ITEM. The scan stops before an element that ends beyond the file.

        This is `walk` as a tight loop, as each image passes through it. It raises the same errors;
        `scan` then ends after the last good element.
        """
        headers = _LITTLE if encoding.little else _BIG
        unpack = (headers.without_vr if encoding.implicit else headers.explicit).unpack_from
        plain_vrs = _NO_VR if encoding.implicit else SHORT_VRS
        previous, mark, lengths, is_noted = scan.last_tag, 0, 0, False
        window, base = self._window, self._base
        last = len(window) - _MAX_HEADER
        at, limit = scan.end - base, self.size - base
        try:
            while True:
                if not 0 <= at <= last:
                    start = base + at
                    self.bytes_at(start, start + _MAX_HEADER)
                    window, base = self._window, self._base
                    last = len(window) - _MAX_HEADER
                    at, limit = start - base, self.size - base
                    if at + _MIN_HEADER > len(window):
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
                    value = at + _MIN_HEADER
                    if length > MAX_PLAIN_TEXT:
                        element = Element(tag, base + at, base + value, base + value + length)
                        if self.hides_element(element, encoding):
                            scan.is_ordered = False
                elif vr in LONG_VRS and at <= last:
                    (length,) = headers.length.unpack_from(window, at + _MIN_HEADER)
                    value = at + _MAX_HEADER
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
            self._lengths |= lengths

    def hides_element(self, element: Element, encoding: Encoding) -> bool:
        """Return whether a long text contains a NUL and a known element with a higher tag.

        If so, the length of the text is damaged: each header has a NUL, but no text does.
        """
        tag, start, value, end = element
        if end - value <= MAX_PLAIN_TEXT:
            return False
        vr = b"" if encoding.implicit else self.bytes_at(start + _TAG_SIZE, start + _TAG_SIZE + 2)
        if (vr or _vr_of(tag)) not in _TEXT_VRS:
            return False
        data = self.bytes_at(value, min(end, value + _MAX_SEARCHED))
        if b"\0" not in data.rstrip(b"\0") or data[:_TAG_SIZE] in _SEQUENCE_STARTS:
            return False
        header = (_LITTLE if encoding.little else _BIG).implicit
        if vr:
            found = _VR_OF_HEADER.finditer(data, _TAG_SIZE, len(data) - 2)
            places = [match.start() - _TAG_SIZE for match in found]
        else:
            places = list(range(0, len(data) - _MIN_HEADER + 1, 2))
        for at in places:
            group, minor, length = header.unpack_from(data, at)
            is_within = vr or length <= self.size
            if is_within and tag < (group << 16 | minor) < ITEM and _vr_of(group << 16 | minor):
                return True
        return False

    def _irregular(self, start: int, headers: _Headers) -> _Form:
        """Return the form of an element's header whose VR DICOM does not define.

        It should be the long form (PS3.5 7.1.2). Some writers use the short form for their own
        VRs, or omit the VR. The form that leads to the next element or the end of the file wins.

        Raises MalformedError if no form does, and TruncatedError if the header is truncated.
        """
        header = self.bytes_at(start, start + _MAX_HEADER)
        vr = header[_TAG_SIZE:][:2]
        if vr in LONG_VRS and len(header) < _MAX_HEADER:
            raise TruncatedError("the header of an element is truncated")
        forms = self._forms(start, headers)
        ranks = self._ranks(forms, start, headers, _MAX_IRREGULAR)
        if not any(ranks) and not _is_vr(vr):
            raise MalformedError("an element has no VR and no plausible length")
        return forms[ranks.index(max(ranks))]

    def _forms(self, start: int, headers: _Headers) -> list[_Form]:
        """Return the possible forms of an element's header: likeliest first, implicit last."""
        header = self.bytes_at(start, start + _MAX_HEADER)
        value = start + _MIN_HEADER
        short = _Form(value, headers.explicit.unpack_from(header)[3])
        implicit = _Form(value, headers.implicit.unpack_from(header)[2])
        if len(header) < _MAX_HEADER:
            return [short, implicit]
        reserved, length = headers.unknown.unpack(header)[3:]
        return [*([] if reserved else [_Form(start + _MAX_HEADER, length)]), short, implicit]

    def _ranks(self, forms: list[_Form], start: int, headers: _Headers, depth: int) -> list[int]:
        """Return how surely each form leads to another element: 0 for no, 2 for certain."""
        group, number = headers.tag.unpack_from(self.bytes_at(start, start + _TAG_SIZE))
        ranks = []
        for value, length in forms:
            end = value + length
            if length == UNDEFINED_LENGTH:
                ranks.append(2 * (self.bytes_at(value, value + _TAG_SIZE) in _SEQUENCE_STARTS))
            elif end >= self.size:
                ranks.append(2 * (end == self.size))
            else:
                ranks.append(self._rank(end, group << 16 | number, headers, depth))
        return ranks

    def _rank(self, start: int, previous: int, headers: _Headers, depth: int) -> int:
        """Return how surely an element with a higher tag than `previous` starts at `start`."""
        header = self.bytes_at(start, start + _MAX_HEADER)
        if len(header) < _MIN_HEADER:
            return 1
        group, number, vr, length = headers.explicit.unpack_from(header)
        tag = group << 16 | number
        if tag <= previous or group == ITEM >> 16:
            # Zeros are padding. The length of a delimiter is zero.
            is_item = tag == ITEM or not any(header[4:8])
            return 2 * is_item if group == ITEM >> 16 else int(not any(header))
        if depth and vr not in _VRS:
            return max(self._ranks(self._forms(start, headers), start, headers, depth - 1))
        if vr in LONG_VRS:
            return 2 * (not length and len(header) == _MAX_HEADER)
        is_within = start + _MIN_HEADER + length <= self.size
        return is_within + (vr in SHORT_VRS) if is_within else int(_is_vr(vr))

    def item_encoding(self, start: int, encoding: Encoding) -> Encoding:
        """Return the encoding of the items at `start` in an element with this encoding.

        They may be little endian in a big endian dataset. In an element of VR UN they must be
        (PS3.5 6.2.2).
        """
        if self.bytes_at(start, start + 2) == _SEQUENCE_STARTS[0][:2]:
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
            header = (_LITTLE if encoding.little else _BIG).implicit
            try:
                group, number, length = header.unpack(self.bytes_at(start, start + _MIN_HEADER))
            except error as exc:
                raise TruncatedError("a sequence is truncated") from exc
            start += _MIN_HEADER
            tag = group << 16 | number
            if tag == SEQUENCE_DELIMITATION:
                if not around:
                    return start
                encoding, inner = around.pop()
            elif tag != ITEM:
                raise MalformedError("a sequence contains something other than items")
            elif length != UNDEFINED_LENGTH:
                self._lengths |= length
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
                self._lengths |= end - value
            else:
                raise TruncatedError("an item is truncated")


def _vr_of(tag: int) -> bytes:
    """Return the VR of an element from the dictionary, empty if unknown."""
    return vr_of(tag).encode() if is_known(tag) else b""


def _is_vr(vr: bytes) -> bool:
    return vr.isalpha() and vr.isupper()
