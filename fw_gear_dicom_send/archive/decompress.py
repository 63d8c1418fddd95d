"""Decompresses streams without ever holding more of them than was asked for."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from functools import partial
from typing import Protocol

from .limits import PACKED_CHUNK_SIZE, ByteStream, TrailingGarbageError, read_fully

# `xz -9` needs 65 MiB; the format allows 4 GiB.
LZMA_MEMORY = 256 << 20
_DEFLATE64_SIZE = 128


class Codec(Protocol):
    """What the decompressors of bz2 and lzma have in common."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out without more data."""

    @property
    def unused_data(self) -> bytes:
        """What was found behind the end of the stream."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes."""


class ZlibDecompressor:
    """A Codec for deflate and gzip."""

    def __init__(self, wbits: int) -> None:
        """Expect the format that zlib knows by `wbits`."""
        self._codec = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""
        return self._codec.eof

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out without more data."""
        return not self._codec.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What was found behind the end of the stream."""
        return self._codec.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes."""
        return self._codec.decompress(self._codec.unconsumed_tail + data, max_length)


class Inflate64Decompressor:
    """A Codec for Deflate64, which Windows Explorer writes for members of 2 GiB and more.

    Its library returns all that comes out of its input, up to 26,000 times as much. So it is
    given little at once.
    """

    unused_data = b""

    def __init__(self) -> None:
        """Begin a stream."""
        # inflate64 takes 0.04 s to import, and few archives need it.
        from inflate64 import Inflater

        self._codec = Inflater()
        self._packed = b""
        self._unpacked = b""

    @property
    def eof(self) -> bool:
        """Whether all was returned up to the end of the stream."""
        return self._codec.eof and not self._unpacked

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out without more data."""
        return not (self._packed or self._unpacked)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes."""
        self._packed += data
        while self._packed and not self._unpacked and not self._codec.eof:
            self._unpacked = self._codec.inflate(self._packed[:_DEFLATE64_SIZE])
            self._packed = self._packed[_DEFLATE64_SIZE:]
        unpacked = self._unpacked[:max_length]
        self._unpacked = self._unpacked[max_length:]
        return unpacked


COMPRESSIONS: dict[bytes, Callable[[], Codec]] = {
    b"\x1f\x8b\x08": partial(ZlibDecompressor, zlib.MAX_WBITS + 16),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, LZMA_MEMORY),
}


class Decompressed:
    """A source, decompressed, never more of it in memory than was asked for.

    With `magic`, more streams that start with it may follow the first, padded with
    zeros, as after `cat a.gz b.gz`. Anything else that follows raises TrailingGarbageError,
    or is ignored, as gzip does. A stream that is cut short raises EOFError.
    """

    def __init__(
        self,
        source: ByteStream,
        codec: Callable[[], Codec],
        magic: bytes = b"",
        start: bytes = b"",
        *,
        ignore_garbage: bool = False,
    ) -> None:
        """Decompress `start`, then what `source` holds."""
        self._source = source
        self._new_codec = codec
        self._codec = codec()
        self._magic = magic
        self._ignore_garbage = ignore_garbage
        self._pending = start

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, and none only at the end."""
        while not self._codec.eof or self._next_stream():
            is_hungry = self._codec.needs_input
            data = b""
            if is_hungry:
                data = self._pending or self._source.read(PACKED_CHUNK_SIZE)
                self._pending = b""
            unpacked = self._codec.decompress(data, size)
            if unpacked:
                return unpacked
            if is_hungry and not data and not self._codec.eof:
                raise EOFError("the compressed data is cut short")
        return b""

    def _next_stream(self) -> bool:
        """Go on with the stream that follows, if there is one."""
        if not self._magic:
            return False
        rest = self._codec.unused_data.lstrip(b"\0")
        while not rest and (data := self._source.read(PACKED_CHUNK_SIZE)):
            rest = data.lstrip(b"\0")
        if not rest:
            return False
        rest += read_fully(self._source, len(self._magic))
        if not rest.startswith(self._magic):
            if self._ignore_garbage:
                return False
            raise TrailingGarbageError
        self._codec = self._new_codec()
        self._pending = rest
        return True
