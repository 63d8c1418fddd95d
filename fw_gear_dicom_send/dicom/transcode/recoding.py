"""Input and output of encoded elements for a rewrite of a dataset (PS3.5 section 7)."""

import struct
from array import array
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ...reasons import Kind
from .. import headers
from ..dictionary import implicit_vr
from ..headers import ITEM, Encoding
from ..types import EncodedDataset, Span
from ..uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

CHUNK = 65536
MAX_SHORT = 0xFFFF
MAX_REPLACEABLE = 16 << 20
SIZE_OF_PIECE = 500
DELIMITERS = ITEM >> 16
LITTLE = headers.LAYOUTS[True]
# All other VRs, including future ones, have a length of 32 bits (PS3.5 7.1.2).
SHORT_VRS = {vr.decode() for vr in headers.SHORT_VRS}
WORDS = {"US": "H", "SS": "H", "OW": "H", "AT": "H"}
WORDS |= {"UL": "I", "SL": "I", "FL": "I", "OF": "I", "OL": "I"}
WORDS |= {"FD": "Q", "OD": "Q", "OV": "Q", "SV": "Q", "UV": "Q"}
US_OR_SS = "US or SS"


class UnconvertibleError(Exception):
    """A dataset cannot be converted; the message is the cause and contains no values."""

    def __init__(self, cause: str, kind: Kind = Kind.NOT_CONVERTIBLE) -> None:
        """Give the cause, and the kind of the failure."""
        super().__init__(cause)
        self.kind = kind


class TooLargeError(UnconvertibleError):
    """Converting a dataset would exceed the limits of memory or disk space."""


IMPLICIT = Encoding(implicit=True, little=True)
EXPLICIT = Encoding(implicit=False, little=True)
BIG = Encoding(implicit=False, little=False)
UNCOMPRESSED = {IMPLICIT_VR_LITTLE_ENDIAN: IMPLICIT, EXPLICIT_VR_LITTLE_ENDIAN: EXPLICIT}
"""Transfer syntaxes to convert to, and to compress from."""


class Header(NamedTuple):
    """The start of an element; `vr` is empty for items and their delimiters."""

    tag: int
    vr: str
    length: int

    def encoded(self, coding: Encoding) -> bytes:
        """Return the header in little endian."""
        tag, vr, length = self
        if coding.implicit or not vr:
            return LITTLE.implicit.pack(tag >> 16, tag & 0xFFFF, length)
        if vr in SHORT_VRS and length <= MAX_SHORT:
            return LITTLE.explicit.pack(tag >> 16, tag & 0xFFFF, vr.encode(), length)
        # A value that is too long for its VR gets VR UN (PS3.5 6.2.2).
        vr = "UN" if vr in SHORT_VRS or vr == US_OR_SS else vr
        return LITTLE.unknown.pack(tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)


class Input:
    """Reader of an encoded dataset, from start to end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Read from the chunks of an encoded dataset."""
        self._chunks = chunks
        self._buffer = b""
        self._offset = 0
        self.position = 0

    def read(self, size: int) -> bytes:
        """Read exactly `size` bytes; raises UnconvertibleError if there are fewer."""
        start = self._take(size)
        return self._buffer[start : start + size]

    def header(self, coding: Encoding) -> Header:
        """Read the header of an element.

        Raises UnconvertibleError if it is truncated or lacks a required VR.
        """
        layouts = headers.LAYOUTS[coding.little]
        start = self._take(headers.MIN_HEADER)
        group, element, code, length = layouts.explicit.unpack_from(self._buffer, start)
        tag = group << 16 | element
        if group == DELIMITERS or coding.implicit:
            (length,) = layouts.length.unpack_from(self._buffer, start + headers.TAG_SIZE)
            return Header(tag, "" if group == DELIMITERS else implicit_vr(tag), length)
        if code not in headers.VRS and not (code.isalpha() and code.isupper()):
            raise UnconvertibleError("an element has no VR")
        vr = code.decode("ascii")
        if vr not in SHORT_VRS:
            # The buffer is another one after a chunk was read.
            start = self._take(layouts.length.size)
            (length,) = layouts.length.unpack_from(self._buffer, start)
        return Header(tag, vr, length)

    def _take(self, size: int) -> int:
        """Return the offset in the buffer of the next `size` bytes, and pass over them."""
        if not self.has(size):
            raise UnconvertibleError("it is truncated")
        start = self._offset
        self._offset += size
        self.position += size
        return start

    def value(self, header: Header, coding: Encoding) -> Iterator[bytes]:
        """Yield a value in little endian, in blocks.

        Values of UN and unknown VRs are not changed. Raises UnconvertibleError if the value is
        truncated, or its length is not a multiple of the word size.
        """
        code = WORDS.get(header.vr) if not coding.little else None
        if code and header.length % array(code).itemsize:
            raise UnconvertibleError("the length of a value does not match its VR")
        remaining = header.length
        while remaining:
            block = self.read(min(remaining, CHUNK))
            remaining -= len(block)
            if code:
                words = array(code, block)
                words.byteswap()
                block = words.tobytes()
            yield block

    def skip(self, size: int) -> None:
        """Skip `size` bytes; raises UnconvertibleError if there are fewer."""
        while size:
            part = min(size, CHUNK)
            self._take(part)
            size -= part

    def has(self, size: int) -> bool:
        """Return whether at least `size` bytes follow."""
        while len(self._buffer) - self._offset < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._buffer = self._buffer[self._offset :] + chunk
            self._offset = 0
        return True


class Output:
    """A dataset under construction: a spooled file, and pieces that can be replaced later."""

    def __init__(self, file: BinaryIO) -> None:
        """Write to an empty file, which the finished dataset will own."""
        self._file = file
        self._pending = bytearray()
        self._start = 0
        self._position = 0
        self._replaceable_size = 0
        self._pieces: list[bytes | Span] = []

    def write(self, data: bytes) -> None:
        """Append bytes; short ones are collected, as a write to the file costs more."""
        self._position += len(data)
        if len(data) < CHUNK:
            self._pending += data
            if len(self._pending) >= CHUNK:
                self._flush()
        else:
            self._flush()
            self._file.write(data)

    def write_replaceable(self, data: bytes, size: int = 0) -> int:
        """Append a piece that `size` bytes may replace later, and return its number.

        Raises TooLargeError if all such pieces take more than 16 MiB of memory.
        """
        self._replaceable_size += len(data) + size + SIZE_OF_PIECE
        if self._replaceable_size > MAX_REPLACEABLE:
            raise TooLargeError("it has too many elements whose VR depends on other elements")
        self._cut()
        self._pieces.append(data)
        return len(self._pieces) - 1

    def replace(self, piece: int, data: bytes) -> None:
        """Replace a piece."""
        self._pieces[piece] = data

    def finish(self) -> EncodedDataset:
        """Return the finished dataset."""
        self._cut()
        self._flush()
        return EncodedDataset(self._file, tuple(self._pieces))

    def _flush(self) -> None:
        self._file.write(self._pending)
        self._pending.clear()

    def _cut(self) -> None:
        if self._position > self._start:
            self._pieces.append(Span(self._start, self._position))
            self._start = self._position


def swap_words(block: bytes) -> bytes:
    """Swap the two words of each 32-bit pixel."""
    words = array("H", block)
    words[0::2], words[1::2] = words[1::2], words[0::2]
    return words.tobytes()


def roughness(block: bytes) -> int:
    """Return the sum of differences between neighbouring 32-bit pixels, at every 16th pixel."""
    pixels = struct.unpack(f"<{len(block) // 4}I", block)
    return sum(
        abs(first - second) for first, second in zip(pixels[::16], pixels[1::16], strict=False)
    )
