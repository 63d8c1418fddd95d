"""Encoded elements, read once from the start and rewritten (PS3.5 section 7)."""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .. import elements
from ..dictionary import vr_of
from ..elements import ITEM, Encoding
from ..types import EncodedDataset, Span

CHUNK = 65536
MAX_SHORT = 0xFFFF
MAX_HELD = 16 << 20
SIZE_OF_PIECE = 500
DELIMITERS = ITEM >> 16
# The other VRs have a length of 32 bits, those to come as well (PS3.5 7.1.2).
SHORT_VRS = {vr.decode() for vr in elements.SHORT_VRS}
WORDS = {"US": "H", "SS": "H", "OW": "H", "AT": "H"}
WORDS |= {"UL": "I", "SL": "I", "FL": "I", "OF": "I", "OL": "I"}
WORDS |= {"FD": "Q", "OD": "Q", "OV": "Q", "SV": "Q", "UV": "Q"}
# What implicit VR data is where the dictionary leaves a choice (PS3.5 A.1): 16-bit
# words, and a length of 32 bits.
CHOICES = {"OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW"}
US_OR_SS = "US or SS"


class UnconvertibleError(Exception):
    """A dataset cannot be converted; the message is the cause, without a value of it."""


class TooLargeError(UnconvertibleError):
    """Converting a dataset would take more memory or disk space than it may."""


IMPLICIT = Encoding(implicit=True, little=True)
EXPLICIT = Encoding(implicit=False, little=True)
BIG = Encoding(implicit=False, little=False)


@dataclass(frozen=True)
class Header:
    """The start of an element; `vr` is empty for items and their delimiters."""

    tag: int
    vr: str
    length: int

    def encoded(self, coding: Encoding) -> bytes:
        """Encode in little endian."""
        group, element = self.tag >> 16, self.tag & 0xFFFF
        if coding.implicit or not self.vr:
            return struct.pack("<HHI", group, element, self.length)
        if self.vr in SHORT_VRS and self.length <= MAX_SHORT:
            return struct.pack("<HH2sH", group, element, self.vr.encode(), self.length)
        # What is too long for its VR goes as UN (PS3.5 6.2.2).
        vr = "UN" if self.vr in SHORT_VRS or self.vr == US_OR_SS else self.vr
        return struct.pack("<HH2sHI", group, element, vr.encode(), 0, self.length)


class Input:
    """The bytes of a dataset, read once from the start."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Read the chunks of an encoded dataset."""
        self._chunks = chunks
        self._buffer = bytearray()
        self.position = 0

    def at_end(self) -> bool:
        """Tell whether all is read."""
        return not self._has(1)

    def read(self, size: int) -> bytes:
        """Take exactly `size` bytes; raises UnconvertibleError if there are fewer."""
        if not self._has(size):
            raise UnconvertibleError("it ends early")
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.position += size
        return data

    def header(self, coding: Encoding) -> Header:
        """Take the start of an element.

        Raises UnconvertibleError if it ends early, or has no VR where it needs one.
        """
        order = "<" if coding.little else ">"
        group, element = struct.unpack(order + "HH", self.read(4))
        tag = group << 16 | element
        if group == DELIMITERS or coding.implicit:
            (length,) = struct.unpack(order + "I", self.read(4))
            return Header(tag, "" if group == DELIMITERS else dictionary_vr(tag), length)
        code = self.read(2)
        if not (code.isalpha() and code.isupper()):
            raise UnconvertibleError("an element has no VR")
        vr = code.decode("ascii")
        if vr in SHORT_VRS:
            (length,) = struct.unpack(order + "H", self.read(2))
        else:
            (length,) = struct.unpack(order + "2xI", self.read(6))
        return Header(tag, vr, length)

    def value(self, header: Header, coding: Encoding) -> Iterator[bytes]:
        """Take a value in little endian, some bytes at a time.

        UN and unknown VRs stay as they are. Raises UnconvertibleError if it ends
        early, or is no whole number of words.
        """
        code = WORDS.get(header.vr) if not coding.little else None
        if code and header.length % array(code).itemsize:
            raise UnconvertibleError("a value has a wrong length")
        left = header.length
        while left:
            block = self.read(min(left, CHUNK))
            left -= len(block)
            if code:
                words = array(code, block)
                words.byteswap()
                block = words.tobytes()
            yield block

    def skip(self, size: int) -> None:
        """Pass over `size` bytes; raises UnconvertibleError if there are fewer."""
        while size:
            size -= len(self.read(min(size, CHUNK)))

    def _has(self, size: int) -> bool:
        while len(self._buffer) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._buffer += chunk
        return True


class Output:
    """A dataset under construction: a spooled file, and pieces that may be changed later."""

    def __init__(self, spool: BinaryIO) -> None:
        """Write to an empty file, which the finished dataset owns."""
        self._spool = spool
        self._start = 0
        self._position = 0
        self._held = 0
        self._pieces: list[bytes | Span] = []

    def write(self, data: bytes) -> None:
        """Append."""
        self._spool.write(data)
        self._position += len(data)

    def hold(self, data: bytes, size: int = 0) -> int:
        """Append what may be replaced by `size` bytes; returns the number of the piece.

        Raises TooLargeError if all of that takes more than 16 MiB of memory.
        """
        self._held += len(data) + size + SIZE_OF_PIECE
        if self._held > MAX_HELD:
            raise TooLargeError("it has too many elements whose VR depends on others")
        self._cut()
        self._pieces.append(data)
        return len(self._pieces) - 1

    def replace(self, piece: int, data: bytes) -> None:
        """Put other bytes in the place of what was held."""
        self._pieces[piece] = data

    def finish(self) -> EncodedDataset:
        """Close the last piece."""
        self._cut()
        return EncodedDataset(self._spool, tuple(self._pieces))

    def _cut(self) -> None:
        if self._position > self._start:
            self._pieces.append(Span(self._start, self._position))
            self._start = self._position


def exchanged(block: bytes) -> bytes:
    """Exchange the two words of each pixel of 32 bits."""
    words = array("H", block)
    words[0::2], words[1::2] = words[1::2], words[0::2]
    return words.tobytes()


def roughness(block: bytes) -> int:
    """Add up how much neighbouring pixels of 32 bits differ, at every 16th place."""
    pixels = struct.unpack(f"<{len(block) // 4}I", block)
    return sum(abs(one - other) for one, other in zip(pixels[::16], pixels[1::16], strict=False))


def dictionary_vr(tag: int) -> str:
    """VR of an element in implicit VR; private ones and unknown ones are UN (PS3.5 6.2.2)."""
    group, element = tag >> 16, tag & 0xFFFF
    if group % 2:
        return "LO" if 0x10 <= element <= 0xFF else "UN"
    try:
        vr = vr_of(tag)
    except KeyError:
        return "UN"
    return CHOICES.get(vr, vr)
