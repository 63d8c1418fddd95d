"""Program that encodes frames without loss, separate from the gear.

It has the same limits as `frame_decoder`. GDCM decodes each frame again, with a decoder that is
independent of the encoder's library. The result must equal the original bit for bit.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO, NamedTuple

from .frame_decoder import (
    BYTE,
    CHUNK,
    Frame,
    FrameError,
    FrameOutcome,
    bound_memory,
    decode,
    prepare_gdcm,
    serve,
)

JPEG_LS = "1.2.840.10008.1.2.4.80"
REQUEST = struct.Struct("<64sIIBBB???Q")
LENGTH = struct.Struct("<Q")
SPARE = 4096
# Measured with 16-bit JPEG 2000: 23 bytes of address space and 18 bytes of memory per sample.
ADDRESSES_PER_SAMPLE = 32


class RawFrame(NamedTuple):
    """Description of a native frame and of its encoding; samples have 8 or 16 bits.

    `bits` are those stored. For a colour frame, `is_planar` means that it is stored plane by plane,
    and `is_rgb` that JPEG 2000 may transform its colours.
    """

    transfer_syntax_uid: str
    rows: int
    columns: int
    samples: int
    allocated: int
    bits: int
    is_signed: bool
    is_planar: bool
    is_rgb: bool

    @property
    def size(self) -> int:
        """Length of its pixels, in bytes."""
        return self.rows * self.columns * self.samples * self.allocated // BYTE

    def request(self, size: int) -> bytes:
        """Return the request that precedes pixels of `size` bytes."""
        return REQUEST.pack(self.transfer_syntax_uid.encode(), *self[1:], size)

    @property
    def precision(self) -> int:
        """Bits of an encoded sample.

        JPEG-LS uses all allocated bits, so that decoders need not know the sign. JPEG 2000 encodes
        the sign. It uses only the stored bits if they need as many bytes as the allocated bits.
        """
        is_exact = self.transfer_syntax_uid != JPEG_LS and self.bits > self.allocated - BYTE
        return self.bits if is_exact else self.allocated


def encode(native: bytes, frame: RawFrame) -> bytes:
    """Return the bit stream of a frame; raises FrameError."""
    numpy: Any = import_module("numpy")
    codecs: Any = import_module("imagecodecs")
    width = frame.allocated // BYTE
    pixels = numpy.frombuffer(native, f"{'i' if frame.is_signed else 'u'}{width}")
    lowest = -(1 << frame.bits - 1) if frame.is_signed else 0
    if pixels.min() < lowest or pixels.max() >= lowest + (1 << frame.bits):
        raise FrameError(FrameOutcome.UNSUITABLE)
    shape = (frame.rows, frame.columns)
    if frame.is_planar:
        pixels = numpy.ascontiguousarray(pixels.reshape(frame.samples, *shape).transpose(1, 2, 0))
    else:
        pixels = pixels.reshape(*shape, *((frame.samples,) if frame.samples > 1 else ()))
    try:
        if frame.transfer_syntax_uid == JPEG_LS:
            # A bit stream of noise is larger than its pixels.
            max_size = frame.size + frame.size // 4 + SPARE
            coded = codecs.jpegls_encode(pixels.view(f"u{width}"), out=max_size)
        else:
            coded = codecs.jpeg2k_encode(
                pixels,
                level=0,
                codecformat="j2k",
                bitspersample=frame.precision,
                reversible=True,
                mct=frame.is_rgb,
                numthreads=1,
            )
    except (RuntimeError, ValueError) as error:
        raise FrameError from error
    _compare(coded, frame, memoryview(pixels).cast("B"))
    return bytes(coded)


def _compare(coded: bytes, frame: RawFrame, pixels: memoryview) -> None:
    """Decode a frame; raises FrameError if its pixels differ from the original."""
    shape = (frame.rows, frame.columns, frame.samples, frame.allocated, frame.precision)
    position, is_equal = 0, True
    with suppress(FrameError):
        for chunk in decode(coded, Frame(frame.transfer_syntax_uid, *shape)):
            is_equal = is_equal and pixels[position : position + len(chunk)] == chunk
            position += len(chunk)
        if is_equal and position == len(pixels):
            return
    raise FrameError(FrameOutcome.MISMATCH)


def _prepare() -> None:
    # More threads would reserve address space.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import_module("numpy")
    codecs: Any = import_module("imagecodecs")
    for name in ("jpegls_encode", "jpeg2k_encode"):
        getattr(codecs, name)  # imports the codec
    prepare_gdcm()


def _encoded(source: BinaryIO, size: int, syntax: bytes, *fields: Any) -> Iterator[bytes]:
    frame = RawFrame(syntax.rstrip(b"\0").decode(), *fields)
    bound_memory(ADDRESSES_PER_SAMPLE * frame.rows * frame.columns * frame.samples)
    coded = encode(source.read(size), frame)
    yield LENGTH.pack(len(coded))
    for position in range(0, len(coded), CHUNK):
        yield coded[position : position + CHUNK]


def main(argv: list[str]) -> None:
    """Encode frames; `argv` is the process id of the gear."""
    serve(int(argv[0]), _prepare, REQUEST, _encoded)
