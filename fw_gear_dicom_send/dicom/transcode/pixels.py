"""Compressed frames to native pixels (PS3.5 8.2, A.4 and annex G)."""

import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydicom import uid

from .bitstreams import EOI, JP2, SIZ, SOI, BitStream, read_jpeg, read_jpeg_2000, unpack_bits
from .recoding import UnconvertibleError

JPEG_LOSSY = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit}
JPEG = JPEG_LOSSY | {uid.JPEGLosslessP14, uid.JPEGLosslessSV1, uid.JPEGLSLossless}
JPEG |= {uid.JPEGLSNearLossless}
JPEG_2000 = {uid.JPEG2000Lossless, uid.JPEG2000}
DECODABLE = JPEG | JPEG_2000 | {uid.RLELossless}

SAMPLES, PHOTOMETRIC, PLANAR, FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
ROWS, COLUMNS, ALLOCATED = 0x00280010, 0x00280011, 0x00280100
STORED, HIGH_BIT, REPRESENTATION = 0x00280101, 0x00280102, 0x00280103
NUMBERS = (SAMPLES, ROWS, COLUMNS, ALLOCATED, STORED, HIGH_BIT, REPRESENTATION)
DESCRIPTION = frozenset((*NUMBERS, PHOTOMETRIC, PLANAR, FRAMES))

# What three decoded components are: half-sampled colours come out in full, and
# JPEG 2000 takes its own colour transform back (PS3.3 C.7.6.3.1.2, PS3.5 8.2.4).
COLORS = {
    "RGB": "RGB",
    "YBR_FULL": "YBR_FULL",
    "YBR_FULL_422": "YBR_FULL",
    "YBR_ICT": "RGB",
    "YBR_RCT": "RGB",
}
MONOCHROME, COLOR = 1, 3
BYTE, WORD = 8, 16
MAX_LENGTH = 0xFFFFFFFE
OVERHEAD = 65536
MAX_COMPLAINTS = 65536
RLE_HEADER = struct.Struct("<16I")
LENGTH = struct.Struct("<Q")
# GDCM tries its 8-bit decoder on 12-bit frames first, and old encoders wrote
# parameters that a sequential JPEG does not use.
HARMLESS = (b"Unsupported JPEG data precision", b"Invalid SOS parameters for sequential JPEG")


@dataclass(frozen=True)
class Layout:
    """How the pixels of an image lie in memory (PS3.3 C.7.6.3); lengths in bytes."""

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    photometric: str
    frames: int

    @classmethod
    def of(cls, description: Mapping[int, bytes]) -> "Layout":
        """Read the little-endian values of an Image Pixel module.

        Raises UnconvertibleError if they lack or make no image that can be decoded.
        """
        try:
            numbers = {tag: struct.unpack("<H", description[tag])[0] for tag in NUMBERS}
            frames = int(description.get(FRAMES, b"").strip(b" \0") or 1)
            photometric = description[PHOTOMETRIC].decode("ascii").strip(" \0")
        except (KeyError, ValueError, struct.error) as error:
            raise UnconvertibleError("its pixels are not described") from error
        layout = cls(
            rows=numbers[ROWS],
            columns=numbers[COLUMNS],
            samples=numbers[SAMPLES],
            allocated=numbers[ALLOCATED],
            stored=numbers[STORED],
            high_bit=numbers[HIGH_BIT],
            signed=numbers[REPRESENTATION] == 1,
            photometric=photometric,
            frames=frames,
        )
        if layout.allocated % BYTE or layout.frame_size == 0 or frames < 1:
            raise UnconvertibleError("its pixels are described in a way that cannot be decoded")
        if layout.samples != MONOCHROME and (layout.samples != COLOR or photometric not in COLORS):
            raise UnconvertibleError("its colours cannot be decoded")
        if layout.size > MAX_LENGTH:
            raise UnconvertibleError("its pixels would be longer than 4 GiB")
        return layout

    @property
    def frame_size(self) -> int:
        """Length of a native frame."""
        return self.rows * self.columns * self.samples * self.allocated // BYTE

    @property
    def size(self) -> int:
        """Length of all native frames, padded to be even."""
        length = self.frame_size * self.frames
        return length + length % 2

    @property
    def max_coded(self) -> int:
        """Length above which a compressed frame cannot be in earnest."""
        return 2 * self.frame_size + OVERHEAD


@dataclass(frozen=True)
class NativeFrame:
    """The pixels of a frame, colour by pixel, and what they are."""

    pixels: bytes
    photometric: str


def native_frames(
    fragments: Iterator[bytes], transfer_syntax_uid: str, layout: Layout, work: Path
) -> Iterator[NativeFrame]:
    """Decode the fragments of encapsulated pixel data, one frame at a time.

    Memory holds a compressed frame and some copies of a native one.

    Args:
        fragments: What follows the Basic Offset Table, which is not needed.
        transfer_syntax_uid: One of `DECODABLE`.
        layout: What the dataset says of the pixels.
        work: Folder for a small temporary file.

    Yields:
        As many frames as the dataset says, each of `layout.frame_size` bytes.

    Raises:
        UnconvertibleError: A frame is damaged or contradicts the dataset, or there
            are more or fewer of them.
    """
    streams = _joined(fragments, transfer_syntax_uid, layout.max_coded)
    if transfer_syntax_uid == uid.RLELossless:
        color = COLORS.get(layout.photometric, layout.photometric)
        frames: Iterator[NativeFrame] = (
            NativeFrame(_unpack_rle(data, layout), color) for data in streams
        )
    else:
        frames = _decoded(streams, transfer_syntax_uid, layout, work)
    count = 0
    colors: set[str] = set()
    for frame in frames:
        count += 1
        colors.add(frame.photometric)
        if count > layout.frames:
            break
        if len(frame.pixels) != layout.frame_size:
            raise UnconvertibleError("a frame has another size than the dataset says")
        yield frame
    if count != layout.frames:
        raise UnconvertibleError("it holds more or fewer frames than the dataset says")
    if len(colors) > 1:
        raise UnconvertibleError("its frames differ in colour space")


def _joined(fragments: Iterator[bytes], transfer_syntax_uid: str, most: int) -> Iterator[bytes]:
    """Join the fragments of each frame, which takes up `most` bytes.

    The start of a bit stream tells a frame's first fragment: within one, entropy
    coding rules it out, and it holds where an offset table is missing or wrong.
    An RLE frame is always one fragment (PS3.5 A.4.2).
    """
    starts = (SIZ, JP2) if transfer_syntax_uid in JPEG_2000 else (SOI,)
    frame = bytearray()
    for fragment in fragments:
        if frame and (transfer_syntax_uid == uid.RLELossless or fragment.startswith(starts)):
            yield bytes(frame)
            frame.clear()
        frame += fragment
        if len(frame) > most:
            raise UnconvertibleError("a frame is far longer than its pixels")
    if frame:
        yield bytes(frame)


def _unpack_rle(data: bytes, layout: Layout) -> bytes:
    """Decode an RLE frame: a PackBits segment for each byte of a pixel (PS3.5 annex G)."""
    width = layout.allocated // BYTE
    step = layout.samples * width
    if len(data) < RLE_HEADER.size:
        raise UnconvertibleError("a frame is damaged")
    count, *offsets = RLE_HEADER.unpack_from(data)
    bounds = [*offsets[:step], len(data)]
    if count != step or bounds[0] < RLE_HEADER.size or bounds != sorted(bounds):
        raise UnconvertibleError("a frame is damaged")
    pixels = bytearray(layout.frame_size)
    for segment in range(step):
        sample, byte = divmod(segment, width)
        coded = data[bounds[segment] : bounds[segment + 1]]
        try:
            plane = unpack_bits(coded, layout.rows * layout.columns)
        except ValueError as error:
            raise UnconvertibleError("a frame is damaged") from error
        # The most significant byte comes first.
        pixels[sample * width + width - 1 - byte :: step] = plane
    return bytes(pixels)


def _decoded(
    streams: Iterator[bytes], transfer_syntax_uid: str, layout: Layout, work: Path
) -> Iterator[NativeFrame]:
    """Decode JPEG frames in a process apart, which a damaged one may end."""
    first = next(streams, b"")
    if not first:
        return
    expected = _examined(first, transfer_syntax_uid, layout)
    program = [sys.executable, "-P", str(Path(__file__).with_name("frame_decoder.py"))]
    arguments = (layout.rows, layout.columns, layout.samples, expected.bits)
    with (
        tempfile.TemporaryFile(dir=work) as complaints,
        subprocess.Popen(  # noqa: S603
            [*program, transfer_syntax_uid, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
        ) as process,
    ):
        read = 0
        try:
            data: bytes | None = first
            while data is not None:
                stream = _examined(data, transfer_syntax_uid, layout)
                if stream.bits != expected.bits:
                    raise UnconvertibleError("its frames differ in precision")
                pixels = _exchanged(process, data)
                # The decoder shares the file's position, which is to stay at its end.
                said = os.pread(complaints.fileno(), MAX_COMPLAINTS, read)
                read += len(said)
                if not all(line.startswith(HARMLESS) for line in said.splitlines()) or not pixels:
                    raise UnconvertibleError("a frame is damaged")
                yield NativeFrame(
                    _extended(pixels, stream, layout), _color(stream, transfer_syntax_uid, layout)
                )
                data = next(streams, None)
        except BaseException:
            process.kill()
            with suppress(BrokenPipeError):
                _pipes(process)[0].close()
            raise


def _pipes(process: "subprocess.Popen[bytes]") -> tuple[IO[bytes], IO[bytes]]:
    """Return the decoder's input and output."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("the decoder needs pipes")
    return process.stdin, process.stdout


def _exchanged(process: "subprocess.Popen[bytes]", frame: bytes) -> bytes:
    """Give the decoder a frame, and take its pixels: none if it cannot, or has ended."""
    to_decoder, from_decoder = _pipes(process)
    try:
        to_decoder.write(LENGTH.pack(len(frame)))
        to_decoder.write(frame)
        to_decoder.flush()
    except BrokenPipeError:
        return b""
    length = from_decoder.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return b""
    return from_decoder.read(*LENGTH.unpack(length))


def _examined(data: bytes, transfer_syntax_uid: str, layout: Layout) -> BitStream:
    """Check that a frame is whole and is what the dataset says."""
    if not data.rstrip(b"\x00\xff").endswith(EOI):
        raise UnconvertibleError("a frame ends early")
    try:
        stream = read_jpeg_2000(data) if transfer_syntax_uid in JPEG_2000 else read_jpeg(data)
    except (IndexError, ValueError, struct.error) as error:
        raise UnconvertibleError("a frame is damaged") from error
    shape = (stream.rows, stream.columns, stream.samples)
    if shape != (layout.rows, layout.columns, layout.samples):
        raise UnconvertibleError("a frame has another size than the dataset says")
    if not (BYTE if stream.bits <= BYTE else WORD) == layout.allocated >= stream.bits:
        raise UnconvertibleError("a frame has another precision than the dataset says")
    return stream


def _extended(pixels: bytes, stream: BitStream, layout: Layout) -> bytes:
    """Fill the bits above the coded ones so that a pixel has the sign that the dataset says.

    Bit streams that know no sign, or the other one, leave them as they must not be
    (PS3.5 8.1.1).
    """
    if stream.signed == layout.signed or stream.bits == layout.allocated:
        return pixels
    if stream.bits > layout.stored:
        return pixels
    if stream.bits < layout.stored or layout.high_bit != layout.stored - 1:
        raise UnconvertibleError("a frame has another precision than the dataset says")
    sign, mask = 1 << (stream.bits - 1) % BYTE, (2 << (stream.bits - 1) % BYTE) - 1
    table = bytes(
        byte | ~mask & 0xFF if layout.signed and byte & sign else byte & mask for byte in range(256)
    )
    if layout.allocated == BYTE:
        return pixels.translate(table)
    extended = bytearray(pixels)
    extended[1::2] = extended[1::2].translate(table)
    return bytes(extended)


def _color(stream: BitStream, transfer_syntax_uid: str, layout: Layout) -> str:
    """Name what the components of a decoded frame are; GDCM does not change colours.

    A lossy JPEG stream that says what it holds is right where the dataset
    contradicts it; lossless ones are coded as the dataset says.
    """
    if layout.samples == MONOCHROME:
        return layout.photometric
    if transfer_syntax_uid in JPEG_LOSSY and stream.color:
        return stream.color
    return COLORS[layout.photometric]
