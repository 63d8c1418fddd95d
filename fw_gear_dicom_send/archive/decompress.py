"""Decompression of streams with bounded memory."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from functools import partial
from io import RawIOBase
from typing import Any, BinaryIO

from ..inflation import InflateError, decompressobj
from .limits import CHUNK_SIZE, PACKED_CHUNK_SIZE, TrailingGarbageError, read_fully

# `xz -9` needs 65 MiB; the format allows 4 GiB.
LZMA_MEMORY = 256 << 20
_DEFLATE64_SIZE = 128


class ZlibDecompressor:
    """A decompressor of deflate and gzip with the interface of those of bz2 and lzma."""

    eof, needs_input, unused_data = False, True, b""

    def __init__(self, wbits: int, new_codec: Callable[[int], Any] = decompressobj) -> None:
        """Decompress the format that `wbits` means in zlib."""
        self.wbits = wbits
        self._codec = new_codec(wbits)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes."""
        codec = self._codec
        unpacked: bytes = codec.decompress(codec.unconsumed_tail + data, max_length)
        self.eof, self.needs_input = codec.eof, not codec.unconsumed_tail
        self.unused_data = codec.unused_data
        return unpacked


class Inflate64Decompressor:
    """A decompressor of Deflate64, which Windows Explorer writes for members of 2 GiB and more.

    The library returns the whole output for its input, up to 26,000 times as much. It therefore
    gets small pieces of input.
    """

    eof, needs_input, unused_data = False, True, b""

    def __init__(self) -> None:
        """Start a stream."""
        # inflate64 takes 0.04 s to import, and few archives need it.
        from inflate64 import Inflater

        self._codec = Inflater()
        self._packed = b""
        self._unpacked = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most `max_length` bytes."""
        self._packed += data
        while self._packed and not self._unpacked and not self._codec.eof:
            self._unpacked = self._codec.inflate(self._packed[:_DEFLATE64_SIZE])
            self._packed = self._packed[_DEFLATE64_SIZE:]
        unpacked = self._unpacked[:max_length]
        self._unpacked = self._unpacked[max_length:]
        self.eof = self._codec.eof and not self._unpacked
        self.needs_input = not (self._packed or self._unpacked)
        return unpacked


Codec = ZlibDecompressor | Inflate64Decompressor | bz2.BZ2Decompressor | lzma.LZMADecompressor


class DecompressedStream:
    """A source, decompressed with bounded memory.

    With `magic`, further streams that start with it may follow the first, padded with zeros, as
    `cat a.gz b.gz` writes them. Any other trailing data raises TrailingGarbageError, or is ignored
    with `ignore_garbage`, as gzip does. A truncated stream raises EOFError.

    isal decodes up to 64 KiB ahead, and returns none of it at an error. zlib then reads the source
    from its start again, so that nothing before the damage is lost.
    """

    def __init__(
        self,
        source: BinaryIO | RawIOBase,
        codec: Callable[[], Codec],
        magic: bytes = b"",
        start: bytes = b"",
        *,
        ignore_garbage: bool = False,
    ) -> None:
        """Decompress `start`, then the data of `source`."""
        self._source = source
        self._new_codec = codec
        self._codec = codec()
        self._magic = magic
        self._ignore_garbage = ignore_garbage
        self._pending = start
        self._position = 0

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; empty only at the end."""
        try:
            data = self._read(size)
        except InflateError:
            if not isinstance(self._codec, ZlibDecompressor):
                raise
            self._restart(self._codec.wbits)
            data = self._read(size)
        self._position += len(data)
        return data

    def _restart(self, wbits: int) -> None:
        """Decompress the source again, by zlib, up to the current position."""
        self._source.seek(0)
        self._new_codec = partial(ZlibDecompressor, wbits, zlib.decompressobj)
        self._codec = self._new_codec()
        position = 0
        while position < self._position:
            position += len(self._read(min(self._position - position, CHUNK_SIZE)))

    def _read(self, size: int) -> bytes:
        while not self._codec.eof or self._next_stream():
            needs_input = self._codec.needs_input
            data = b""
            if needs_input:
                data = self._pending or self._source.read(PACKED_CHUNK_SIZE)
                self._pending = b""
            unpacked = self._codec.decompress(data, size)
            if unpacked:
                return unpacked
            if needs_input and not data and not self._codec.eof:
                raise EOFError("the compressed data is truncated")
        return b""

    def _next_stream(self) -> bool:
        """Continue with the next stream; return False if there is none."""
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
