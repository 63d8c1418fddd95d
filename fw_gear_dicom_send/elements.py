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

_WINDOW = 1 << 15
_DEEPEST = 64


class MalformedError(Exception):
    """The bytes are no dataset, or end before it does."""


class Encoding(NamedTuple):
    """How elements are encoded: implicit or explicit VR, little or big endian."""

    implicit: bool
    little: bool


class Element(NamedTuple):
    """Where an element lies: header from `start`, value from `value` to `end`.

    An element of undefined length ends behind its delimiter.
    """

    tag: int
    vr: bytes
    start: int
    value: int
    end: int


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

    def sniff(self, start: int, declared: Encoding) -> Encoding:
        """Return how the elements at `start` are really encoded.

        Some writers declare another VR encoding than they use. The byte order is
        taken as declared.
        """
        header = self.bytes_at(start, start + 6)
        return declared if len(header) < 6 else Encoding(not _is_vr(header[4:]), declared.little)

    def walk(self, start: int, encoding: Encoding, depth: int = 0) -> Iterator[Element]:
        """Yield the elements from `start` on, until padding or the end of the file.

        Raises MalformedError for a sequence that does not hold together; a value
        may reach beyond the end of the file.
        """
        order = "<" if encoding.little else ">"
        implicit_header, explicit_header = Struct(order + "HHL"), Struct(order + "HH2sH")
        long_length = Struct(order + "L")
        window, base = self._window, self._base
        while True:
            at = start - base
            if at < 0 or at + 12 > len(window):
                self.bytes_at(start, start + 12)
                window, base, at = self._window, self._base, start - self._base
                if at + 8 > len(window):
                    return
            group, number, vr, length = explicit_header.unpack_from(window, at)
            if not (group or number):
                return
            value = start + 8
            if encoding.implicit or vr not in SHORT_VRS:
                if encoding.implicit or not (vr in LONG_VRS or _is_vr(vr)):
                    vr, length = b"", implicit_header.unpack_from(window, at)[2]
                elif vr in LONG_VRS or self._is_long(start, order):
                    if at + 12 > len(window):
                        raise MalformedError("an element's header is cut short")
                    length = long_length.unpack_from(window, at + 8)[0]
                    value += 4
            if length == UNDEFINED_LENGTH and group != ITEM >> 16:
                end = self._sequence_end(value, encoding, depth)
                window, base = self._window, self._base
            else:
                end = value + length
            yield Element(group << 16 | number, vr, start, value, end)
            start = end

    def _is_long(self, start: int, order: str) -> bool:
        """Tell whether an element of an unknown VR has the 12 byte header.

        It should (PS3.5 7.1.2), but some writers give their own VRs the short one.
        """
        header = self.bytes_at(start, start + 12)
        try:
            tag, number, _, reserved, length = Struct(order + "HH2sHL").unpack(header)
        except error:
            return False
        if reserved:
            return False
        after = self.bytes_at(start + 12 + length, start + 16 + length)
        return not after or (len(after) == 4 and Struct(order + "HH").unpack(after) > (tag, number))

    def _sequence_end(self, start: int, encoding: Encoding, depth: int) -> int:
        """Return where a sequence of undefined length ends, its delimiter included."""
        if depth > _DEEPEST:
            raise MalformedError("sequences are nested too deep")
        header = Struct(("<" if encoding.little else ">") + "HHL")
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
        for element in self.walk(start, inner, depth + 1):
            if element.tag == ITEM_DELIMITATION:
                return element.value
        raise MalformedError("an item is cut short")


def _is_vr(vr: bytes) -> bool:
    return vr.isalpha() and vr.isupper()
