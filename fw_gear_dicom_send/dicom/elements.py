"""Walks over an encoded dataset without decoding it (PS3.5 section 7)."""

from collections.abc import Iterator
from struct import Struct, error
from typing import BinaryIO, NamedTuple

UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_DELIMITATION = 0xFFFEE00D
SEQUENCE_DELIMITATION = 0xFFFEE0DD

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_VRS = SHORT_VRS | LONG_VRS

_WINDOW = 1 << 15
_MAX_TEXT = 1 << 16
_TAG_SIZE, _MIN_HEADER, _MAX_HEADER = 4, 8, 12
_LAST_GROUP = 0xFFFF
_MAX_NESTING = 64


class MalformedError(Exception):
    """The bytes are no dataset, or end before it does."""


class Encoding(NamedTuple):
    """How elements are encoded: implicit or explicit VR, little or big endian."""

    implicit: bool
    little: bool


class _Headers(NamedTuple):
    """The layouts of an element's header in one byte order."""

    explicit: Struct
    implicit: Struct
    unknown: Struct
    length: Struct
    tag: Struct


_LITTLE, _BIG = (
    _Headers(*(Struct(order + layout) for layout in ("HH2sH", "HHL", "HH2sHL", "L", "HH")))
    for order in "<>"
)


class ElementReader:
    """Reads the elements of a dataset in a seekable file, a window at a time."""

    def __init__(self, content: BinaryIO) -> None:
        """Read from `content`, whose position this reader moves at will."""
        self._content = content
        self._base = 0
        self._window = b""

    def bytes_at(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`, fewer where the file ends before."""
        if start < self._base or end > self._base + len(self._window):
            self._content.seek(start)
            self._window = self._content.read(max(_WINDOW, end - start))
            self._base = start
        return self._window[start - self._base : end - self._base]

    def text(self, start: int, end: int) -> str:
        """Return a value as text, without padding; no more than 64 KiB of it are read."""
        data = self.bytes_at(start, min(end, start + _MAX_TEXT))
        return data.decode("utf-8", "replace").strip(" \0")

    def tag_at(self, start: int, encoding: Encoding) -> int | None:
        """Return the tag of the element at `start`, None where the file ends before."""
        header = self.bytes_at(start, start + _TAG_SIZE)
        if len(header) < _TAG_SIZE:
            return None
        group, number = (_LITTLE if encoding.little else _BIG).tag.unpack(header)
        return int(group << 16 | number)

    def sniff(self, start: int, declared: Encoding) -> Encoding:
        """Return how the elements at `start` are really encoded.

        Some writers declare another VR encoding than they use. The byte order is
        taken as declared.
        """
        header = self.bytes_at(start, start + 6)
        return declared if len(header) < 6 else Encoding(not _is_vr(header[4:]), declared.little)

    def walk(
        self, start: int, encoding: Encoding, last_group: int = _LAST_GROUP, depth: int = 0
    ) -> Iterator[tuple[int, int, int, int]]:
        """Yield the elements from `start` to `last_group`, padding or the end of the file.

        Each comes as its tag, where its header starts, where its value starts, and
        where it ends, which for undefined length is behind its delimiter. Plain
        tuples, since an image has hundreds. Raises MalformedError for a sequence that
        does not hold together; a value may reach beyond the end of the file.
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
                if is_implicit or not (vr in LONG_VRS or _is_vr(vr)):
                    length = headers.implicit.unpack_from(window, at)[2]
                elif vr in LONG_VRS or self._is_long(start, headers):
                    if at > last:
                        raise MalformedError("an element's header is cut short")
                    length = headers.length.unpack_from(window, at + _MIN_HEADER)[0]
                    value = start + _MAX_HEADER
                if length == UNDEFINED_LENGTH and group != ITEM >> 16:
                    end = self._sequence_end(value, encoding, depth)
                else:
                    end = value + length
            else:
                end = value + length
            yield group << 16 | number, start, value, end
            start = end

    def _is_long(self, start: int, headers: _Headers) -> bool:
        """Tell whether an element of an unknown VR has the 12 byte header.

        It should (PS3.5 7.1.2), but some writers give their own VRs the short one.
        """
        header = self.bytes_at(start, start + _MAX_HEADER + 2)
        if len(header) < _MAX_HEADER:
            return False
        group, number, _, reserved, length = headers.unknown.unpack_from(header)
        if reserved:
            return False
        tag = (group, number)
        following = headers.tag.unpack_from(header, _MIN_HEADER)
        is_delimiter = following[0] == ITEM >> 16
        if following <= tag or not (is_delimiter or header[_MAX_HEADER:] in _VRS):
            return True
        # This may as well be a short header without value, and the next one.
        end = start + _MAX_HEADER + length
        after = self.bytes_at(end - 1, end + 4)
        return len(after) == 1 or (len(after) == 5 and headers.tag.unpack_from(after, 1) > tag)

    def _sequence_end(self, start: int, encoding: Encoding, depth: int) -> int:
        """Return where a sequence of undefined length ends, its delimiter included.

        In a big endian dataset it may be little endian, as those of an element of VR
        UN must be (PS3.5 6.2.2).
        """
        if depth > _MAX_NESTING:
            raise MalformedError("sequences are nested too deep")
        if self.bytes_at(start, start + 2) == b"\xfe\xff":
            encoding = encoding._replace(little=True)
        header = (_LITTLE if encoding.little else _BIG).implicit
        while True:
            try:
                group, number, length = header.unpack(self.bytes_at(start, start + 8))
            except error as exc:
                raise MalformedError("a sequence is cut short") from exc
            start += 8
            tag = group << 16 | number
            if tag == SEQUENCE_DELIMITATION:
                return start
            if tag != ITEM:
                raise MalformedError("a sequence holds something else than items")
            start = (
                self._item_end(start, encoding, depth)
                if length == UNDEFINED_LENGTH
                else start + length
            )

    def _item_end(self, start: int, encoding: Encoding, depth: int) -> int:
        """Return where an item of undefined length ends, its delimiter included.

        In an explicit VR dataset an item may be implicit, as those of an element of
        VR UN must be (PS3.5 6.2.2).
        """
        inner = encoding if encoding.implicit else self.sniff(start, encoding)
        for tag, _, value, _ in self.walk(start, inner, depth=depth + 1):
            if tag == ITEM_DELIMITATION:
                return value
        raise MalformedError("an item is cut short")


def _is_vr(vr: bytes) -> bool:
    return vr.isalpha() and vr.isupper()
