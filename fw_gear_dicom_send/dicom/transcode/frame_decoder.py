"""Program that decodes compressed frames, separate from the gear.

Some damaged frames crash GDCM, and others only cause messages on its standard error. Any decoder
may use too much memory or time. `frame_codecs` therefore runs this file as a separate process.

This file imports no module of the package. The gear imports the types of frames from here, so
modules that only the program needs are imported later.
"""

import os
import re
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import cache
from importlib import import_module
from itertools import pairwise
from runpy import run_path
from typing import Any, BinaryIO, NamedTuple

RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
ANSWER = struct.Struct("<BI")
SECONDS = struct.Struct("<d")
READY = b"R"
REQUEST = struct.Struct("<64sIIBBBQ")
"""Layout of a request: all fields of a frame, and the size of its bit stream."""
BYTE = 8
CHUNK = 65536
NO_RUN = 128
RLE_HEADER = struct.Struct("<16I")
MAX_STDERR = 65536
# GDCM first tries its 8-bit decoder on 12-bit frames. Old encoders wrote parameters that a
# sequential JPEG does not use.
HARMLESS = (b"Unsupported JPEG data precision", b"Invalid SOS parameters for sequential JPEG")
MEMORY_ERROR = re.compile(rb"bad_alloc|memory", re.IGNORECASE)
# Measured with 16-bit JPEG 2000: 29 bytes of address space and 14 bytes of memory per sample.
ADDRESSES_PER_SAMPLE = 32
SPARE_ADDRESSES = 64 << 20
SANDBOX = os.path.join(os.path.dirname(__file__), os.pardir, "sandbox.py")


class FrameOutcome(IntEnum):
    """Result for a frame; only an encoder returns UNSUITABLE and MISMATCH."""

    DONE = 0
    DAMAGED = 1
    OUT_OF_MEMORY = 2
    UNSUITABLE = 3
    MISMATCH = 4


class FrameError(Exception):
    """A frame cannot be decoded, or encoded for the reason in `outcome`."""

    def __init__(self, outcome: FrameOutcome = FrameOutcome.DAMAGED) -> None:
        """Give the result for the frame."""
        super().__init__(outcome)
        self.outcome = outcome


class Frame(NamedTuple):
    """Description of a compressed frame.

    `allocated` is the size of a decoded sample in bits, a multiple of 8; `bits` is its precision.
    """

    transfer_syntax_uid: str
    rows: int
    columns: int
    samples: int
    allocated: int
    bits: int

    @property
    def size(self) -> int:
        """Length of its pixels, in bytes."""
        return self.rows * self.columns * self.samples * self.allocated // BYTE

    def request(self, size: int) -> bytes:
        """Return the request that precedes a bit stream of `size` bytes."""
        return REQUEST.pack(self.transfer_syntax_uid.encode(), *self[1:], size)


def decode(coded: bytes, frame: Frame) -> Iterator[bytes]:
    """Yield the little-endian pixels of a frame, colour by pixel, without colour conversion.

    Raises FrameError for a damaged frame, perhaps only after the last chunk.
    """
    if frame.transfer_syntax_uid == RLE:
        return decode_rle(coded, frame)
    if frame.transfer_syntax_uid == DEFLATED_FRAMES:
        return inflate(coded, frame)
    if frame.transfer_syntax_uid in JPEG_LS and frame.bits < BYTE:
        coded = with_thresholds(coded, frame)
    return _decode_by_gdcm(coded, frame)


def _decode_by_gdcm(coded: bytes, frame: Frame) -> Iterator[bytes]:
    gdcm: Any = import_module("gdcm")
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(coded)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((frame.columns, frame.rows, 1))
    image.SetDataElement(element)
    is_grey = frame.samples == 1
    color = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2" if is_grey else "RGB")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(color))
    syntax = gdcm.TransferSyntax.GetTSType(frame.transfer_syntax_uid)
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    bits = frame.bits
    image.SetPixelFormat(gdcm.PixelFormat(frame.samples, frame.allocated, bits, bits - 1, 0))
    with _check_stderr():
        text: str | None = image.GetBuffer()
    if not text:
        raise FrameError
    # GDCM's Python layer returns bytes as text. Encoding it in one call would take five times the
    # memory.
    for position in range(0, len(text), CHUNK):
        yield text[position : position + CHUNK].encode("utf-8", "surrogateescape")


@contextmanager
def _check_stderr() -> Iterator[None]:
    """Raise FrameError or MemoryError if the block writes an error to standard error."""
    file = sys.stderr.fileno()
    os.lseek(file, 0, os.SEEK_SET)
    os.truncate(file, 0)
    yield
    messages = os.pread(file, MAX_STDERR, 0)
    if MEMORY_ERROR.search(messages):
        raise MemoryError
    if not all(line.startswith(HARMLESS) for line in messages.splitlines()):
        raise FrameError


def decode_rle(coded: bytes, frame: Frame) -> Iterator[bytes]:
    """Decode an RLE frame, which has a PackBits segment for each byte of a pixel (PS3.5 annex G).

    Raises FrameError.
    """
    width = frame.allocated // BYTE
    step = frame.samples * width
    if len(coded) < RLE_HEADER.size:
        raise FrameError
    count, *offsets = RLE_HEADER.unpack_from(coded)
    bounds = [*offsets[:step], len(coded)]
    if count != step or bounds[0] < RLE_HEADER.size or bounds != sorted(bounds):
        raise FrameError
    size = frame.rows * frame.columns
    segments = [unpack_bits(coded[start:end], size) for start, end in pairwise(bounds)]
    for planes in zip(*segments, strict=True):
        pixels = bytearray(step * len(planes[0]))
        for segment, plane in enumerate(planes):
            sample, byte = divmod(segment, width)
            # The most significant byte comes first.
            pixels[sample * width + width - 1 - byte :: step] = plane
        yield bytes(pixels)


def inflate(coded: bytes, frame: Frame) -> Iterator[bytes]:
    """Inflate a frame, which one byte of padding may follow (PS3.5 A.4.13); raises FrameError."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    size = 0
    try:
        while chunk := inflater.decompress(coded, CHUNK):
            size += len(chunk)
            if size > frame.size:
                raise FrameError
            yield chunk
            coded = inflater.unconsumed_tail
    except zlib.error as error:
        raise FrameError from error
    if not inflater.eof:
        raise FrameError


def with_thresholds(coded: bytes, frame: Frame) -> bytes:
    """Return a JPEG-LS bit stream of less than 8 bits with explicit default thresholds.

    GDCM's decoder has other default thresholds than ISO 14495-1 C.2.4.1.1.1. Raises FrameError
    if the scan header is truncated.
    """
    scan = coded.find(b"\xff\xda")
    if scan < 0 or b"\xff\xf8" in coded[:scan]:
        return coded
    if len(coded) < scan + 6 + 2 * frame.samples:
        raise FrameError
    near = coded[scan + 5 + 2 * frame.samples]
    max_value = (1 << frame.bits) - 1
    factor = 256 // (max_value + 1)
    thresholds = [near + 1]
    for default, weight, minimum in ((3, 3, 2), (7, 5, 3), (21, 7, 4)):
        threshold = max(minimum, default // factor + weight * near)
        thresholds.append(threshold if thresholds[-1] <= threshold <= max_value else thresholds[-1])
    preset = struct.pack(">HHB5H", 0xFFF8, 13, 1, max_value, *thresholds[1:], 64)
    return coded[:scan] + preset + coded[scan:]


def unpack_bits(data: bytes, size: int) -> Iterator[bytearray]:
    """Decode an RLE segment of `size` bytes, a chunk at a time (PS3.5 G.3.2).

    Raises FrameError if it decodes to fewer bytes, or if anything but padding follows them.
    """
    unpacked = bytearray()
    position = 0
    for start in range(0, size, CHUNK):
        length = min(CHUNK, size - start)
        while len(unpacked) < length and position + 1 < len(data):
            code = data[position]
            if code < NO_RUN:
                unpacked += data[position + 1 : position + 2 + code]
                position += 2 + code
            elif code > NO_RUN:
                unpacked += data[position + 1 : position + 2] * (257 - code)
                position += 2
            else:
                position += 1
        if len(unpacked) < length:
            raise FrameError
        chunk = unpacked[:length]
        del unpacked[:length]
        yield chunk
    if unpacked or data[position:].strip(b"\x00\x80"):
        raise FrameError


@cache
def _memory() -> int:
    """Return an open file with the size of this process; the sandbox forbids to open it later."""
    return os.open("/proc/self/statm", os.O_RDONLY)


def bound_memory(size: int) -> None:
    """Limit the address space of this process to `size` bytes above its current use, on Linux."""
    if sys.platform == "linux":
        pages = int(os.pread(_memory(), MAX_STDERR, 0).split()[0])
        _limit("RLIMIT_AS", pages * os.sysconf("SC_PAGE_SIZE") + SPARE_ADDRESSES + size)


def _limit(kind: str, value: int) -> None:
    """Change a soft limit of this process, unless its hard limit is lower."""
    import resource

    number = getattr(resource, kind)
    _, hard = resource.getrlimit(number)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(number, (value, hard))


def serve(
    parent: int,
    prepare: Callable[[], object],
    requests: struct.Struct,
    respond: Callable[..., Iterator[bytes]],
) -> None:
    """Process frames from standard input, and write the results to standard output.

    Each frame follows its limit of CPU time in `SECONDS` and a request with the layout `requests`,
    whose last field is the length of the frame in bytes. `respond` yields the result, given
    standard input, this length and the other fields. It calls `bound_memory` first. The result is
    written in chunks; an `ANSWER` precedes each. The last chunk is empty.
    """
    source, target = sys.stdin.buffer, sys.stdout.buffer
    if sys.platform == "linux":
        _memory()
    run_path(SANDBOX)["confine"](parent, prepare)
    target.write(READY)
    target.flush()
    while request := source.read(SECONDS.size + requests.size):
        (seconds,) = SECONDS.unpack_from(request)
        _limit("RLIMIT_CPU", int(time.process_time() + seconds) + 1)
        *fields, size = requests.unpack_from(request, SECONDS.size)
        outcome = FrameOutcome.DONE
        try:
            for chunk in respond(source, size, *fields):
                target.write(ANSWER.pack(FrameOutcome.DONE, len(chunk)))
                target.write(chunk)
        except FrameError as error:
            outcome = error.outcome
        except MemoryError:
            outcome = FrameOutcome.OUT_OF_MEMORY
        target.write(ANSWER.pack(outcome, 0))
        target.flush()


def prepare_gdcm() -> None:
    """Import GDCM, and turn off its traces, so that it writes errors to standard error only."""
    gdcm: Any = import_module("gdcm")
    gdcm.Trace.WarningOff()
    gdcm.Trace.ErrorOff()


def _decoded(source: BinaryIO, size: int, syntax: bytes, *shape: int) -> Iterator[bytes]:
    frame = Frame(syntax.rstrip(b"\0").decode(), *shape)
    samples = frame.rows * frame.columns * frame.samples
    bound_memory(ADDRESSES_PER_SAMPLE * samples + 3 * size)
    return decode(source.read(size), frame)


def main(argv: list[str]) -> None:
    """Decode frames; `argv` is the process id of the gear."""
    serve(int(argv[0]), prepare_gdcm, REQUEST, _decoded)


if __name__ == "__main__":
    main(sys.argv[1:])
