"""Compressed frames to native pixels (PS3.5 8.2, A.4 and annex G)."""

import struct
import zlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from pydicom import uid

from ..spool import new_spool
from .bitstreams import EOI, JP2, SIZ, SOI, BitStream, read_jpeg, read_jpeg_2000
from .decoders import FrameDecoders
from .frame_decoder import Frame
from .recoding import CHUNK, TooLargeError, UnconvertibleError

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
MAX_HEAD = 1 << 20
MAX_TAIL = 1 << 16
# Two bytes of RLE stand for 128 at most. Other frames may be blank and compress to almost
# nothing; with more samples than 3072 x 3072 no real one does, and decoding takes too much
# memory to find out.
MAX_RUN = 64
MAX_BLANK = 3072 * 3072
MAX_RATIO = 100
MAX_FRAME = 128 << 20


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
        if layout.frame_size > MAX_FRAME:
            raise TooLargeError(f"a frame would be longer than {MAX_FRAME >> 20} MiB")
        if layout.size > MAX_LENGTH:
            raise TooLargeError("its pixels would be longer than 4 GiB")
        return layout

    @property
    def frame_samples(self) -> int:
        """Number of samples in a frame."""
        return self.rows * self.columns * self.samples

    @property
    def frame_size(self) -> int:
        """Length of a native frame."""
        return self.frame_samples * self.allocated // BYTE

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
    """The pixels of a frame, colour by pixel and in chunks of whole words, and what they are."""

    chunks: Iterator[bytes]
    photometric: str


@dataclass(frozen=True)
class _CodedFrame:
    """The bit stream of a frame: a file, how long it is, and its start and end."""

    source: BinaryIO
    size: int
    head: bytes
    tail: bytes


def native_frames(
    fragments: Iterator[Iterator[bytes]],
    transfer_syntax_uid: str,
    layout: Layout,
    decoders: FrameDecoders,
    work: Path,
) -> Generator[NativeFrame, None, None]:
    """Decode the fragments of encapsulated pixel data, one frame at a time.

    Memory holds a chunk of them, the decoder a compressed frame and some copies of a native one.

    Args:
        fragments: What follows the Basic Offset Table, which is not needed, in chunks.
        transfer_syntax_uid: One of `DECODABLE`.
        layout: What the dataset says of the pixels.
        decoders: Decode one frame after the other.
        work: Folder for a compressed frame.

    Yields:
        As many frames as the dataset says, each of `layout.frame_size` bytes, which are to be
        taken before the next frame.

    Raises:
        UnconvertibleError: A frame is damaged or contradicts the dataset, or there
            are more or fewer of them.
    """
    count = 0
    first: tuple[int, str] | None = None
    with new_spool(work) as spool:
        for coded in _joined(fragments, transfer_syntax_uid, layout, spool):
            count += 1
            if count > layout.frames:
                break
            _check_size(coded, transfer_syntax_uid, layout)
            stream = _examined(coded, transfer_syntax_uid, layout)
            color = _color(stream, transfer_syntax_uid, layout)
            first = first or (stream.bits, color)
            if stream.bits != first[0]:
                raise UnconvertibleError("its frames differ in precision")
            if color != first[1]:
                raise UnconvertibleError("its frames differ in colour space")
            frame = Frame(
                transfer_syntax_uid,
                layout.rows,
                layout.columns,
                layout.samples,
                layout.allocated,
                stream.bits,
            )
            with decoders.decoded(frame, coded.source, coded.size) as chunks:
                yield NativeFrame(_extended(chunks, stream, layout), color)
    if count != layout.frames:
        raise UnconvertibleError("it holds more or fewer frames than the dataset says")


def _joined(
    fragments: Iterator[Iterator[bytes]],
    transfer_syntax_uid: str,
    layout: Layout,
    spool: BinaryIO,
) -> Iterator[_CodedFrame]:
    """Join the fragments of each frame in `spool`, which is overwritten by the next.

    The start of a bit stream tells a frame's first fragment: within one, entropy
    coding rules it out, and it holds where an offset table is missing or wrong.
    An RLE frame is always one fragment (PS3.5 A.4.2).
    """
    starts = (SIZ, JP2) if transfer_syntax_uid in JPEG_2000 else (SOI,)
    for chunks in fragments:
        chunk = next(chunks, b"")
        if transfer_syntax_uid == uid.RLELossless or chunk.startswith(starts):
            if size := spool.tell():
                yield _coded(spool, size)
            spool.seek(0)
            spool.truncate()
        for data in chain([chunk], chunks):
            spool.write(data)
            if spool.tell() > layout.max_coded:
                raise UnconvertibleError("a frame is far longer than its pixels")
    if size := spool.tell():
        yield _coded(spool, size)


def _coded(source: BinaryIO, size: int) -> _CodedFrame:
    source.seek(0)
    head = source.read(MAX_HEAD)
    source.seek(max(0, size - MAX_TAIL))
    return _CodedFrame(source, size, head, source.read())


def _check_size(coded: _CodedFrame, transfer_syntax_uid: str, layout: Layout) -> None:
    """Check that a frame is not far shorter than its pixels, however well it is compressed."""
    if transfer_syntax_uid == uid.RLELossless:
        if coded.size * MAX_RUN < layout.frame_size:
            raise UnconvertibleError("a frame is damaged")
    elif layout.frame_samples > MAX_BLANK and layout.frame_size > _weight(coded) * MAX_RATIO:
        raise TooLargeError("a large frame would be far longer than what it holds")


def _weight(coded: _CodedFrame) -> int:
    """Return the length of a bit stream without what only fills it."""
    packer = zlib.compressobj(1)
    coded.source.seek(0)
    chunks = iter(partial(coded.source.read, CHUNK), b"")
    return sum(len(packer.compress(chunk)) for chunk in chunks) + len(packer.flush())


def _examined(coded: _CodedFrame, transfer_syntax_uid: str, layout: Layout) -> BitStream:
    """Check that a frame is whole and is what the dataset says."""
    if transfer_syntax_uid == uid.RLELossless:
        shape = (layout.rows, layout.columns, layout.samples, layout.allocated)
        return BitStream(*shape, signed=layout.signed)
    if not coded.tail.rstrip(b"\x00\xff").endswith(EOI):
        raise UnconvertibleError("a frame ends early")
    read = read_jpeg_2000 if transfer_syntax_uid in JPEG_2000 else read_jpeg
    try:
        stream = read(coded.head)
    except (IndexError, ValueError, struct.error) as error:
        raise UnconvertibleError("a frame is damaged") from error
    if (stream.rows, stream.columns, stream.samples) != (
        layout.rows,
        layout.columns,
        layout.samples,
    ):
        raise UnconvertibleError("a frame has another size than the dataset says")
    if not (BYTE if stream.bits <= BYTE else WORD) == layout.allocated >= stream.bits:
        raise UnconvertibleError("a frame has another precision than the dataset says")
    return stream


def _extended(chunks: Iterator[bytes], stream: BitStream, layout: Layout) -> Iterator[bytes]:
    """Fill the bits above the coded ones so that a pixel has the sign that the dataset says.

    Bit streams that know no sign, or the other one, leave them as they must not be
    (PS3.5 8.1.1).
    """
    if stream.signed == layout.signed or stream.bits == layout.allocated:
        return chunks
    if stream.bits > layout.stored:
        return chunks
    if stream.bits < layout.stored or layout.high_bit != layout.stored - 1:
        raise UnconvertibleError("a frame has another precision than the dataset says")
    sign, mask = 1 << (stream.bits - 1) % BYTE, (2 << (stream.bits - 1) % BYTE) - 1
    table = bytes(
        byte | ~mask & 0xFF if layout.signed and byte & sign else byte & mask for byte in range(256)
    )
    return _translated(chunks, table, layout.allocated // BYTE)


def _translated(chunks: Iterator[bytes], table: bytes, width: int) -> Iterator[bytes]:
    """Replace the most significant byte of each sample of `width` bytes."""
    position = 0
    for chunk in chunks:
        samples = bytearray(chunk)
        first = (width - 1 - position) % width
        samples[first::width] = samples[first::width].translate(table)
        position += len(chunk)
        yield bytes(samples)


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
