"""Bit streams of frames: joined from their fragments, and checked before decoding."""

import struct
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO

from ...values import frozen, replace
from ..uids import ANY_JPEG_2000, DEFLATED_FRAMES, JPEG, PLAIN, RLE_LOSSLESS
from .layout import BIT, BYTE, WORD, Layout
from .recoding import CHUNK, TooLargeError, UnconvertibleError

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SIZ, JP2 = b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  "
SOF_LOSSLESS, SOF_JPEG_LS = 0xC3, 0xF7
LOSSLESS = 3  # the lower bits of SOF3, SOF7, SOF11, SOF15 and of JPEG-LS
NO_SOF = (0xC4, 0xC8, 0xCC)
APP0, APP14, SOS, FILL = 0xE0, 0xEE, 0xDA, 0xFF
COD, SOT = b"\xff\x52", b"\xff\x90"
TRANSFORM = 13
IRREVERSIBLE = 0
MAX_HEAD = 1 << 20
MAX_TAIL = 1 << 16
# Two bytes of RLE decode to 128 bytes at most. In other syntaxes, a blank frame compresses to
# almost nothing. Real frames are not blank if decoding takes more than 132 MB of memory:
# 3072 x 3072 samples of JPEG 2000, or 2500 x 2500 pixels of JPEG in colour.
MAX_RUN = 64
MAX_RATIO = 300
MAX_MEMORY = 132_120_576
MEMORY_OF_SAMPLE = 14  # in bytes, for samples that are decoded to 16 bits
MEMORY_OF_JPEG = 7  # bytes per decoded byte
RLE_START = struct.Struct("<II")
SIZE_OF_RLE_HEADER = 64
TRUNCATED = "a frame is truncated"


@frozen
class BitStream:
    """Properties that a JPEG or JPEG 2000 frame declares; `color` is empty if not declared.

    `is_predicted` means lossless JPEG (ISO 10918-1 annex H), in contrast to JPEG-LS. `is_lossy`
    means that the pixels certainly lost precision when they were compressed.
    """

    rows: int
    columns: int
    samples: int
    bits: int
    signed: bool = False
    color: str = ""
    is_predicted: bool = False
    is_lossy: bool = False


@frozen
class CodedFrame:
    """The bit stream of a frame: a file, its size in bytes, its start, and whether it has an end.

    A bit stream without an end marker may be truncated.
    """

    source: BinaryIO
    size: int
    head: bytes
    has_end: bool


def join_fragments(
    fragments: Iterator[Iterator[bytes]],
    transfer_syntax_uid: str,
    layout: Layout,
    file: BinaryIO,
) -> Iterator[CodedFrame]:
    """Join the fragments of each frame in `file`; the next frame overwrites it.

    The first fragment of a frame starts with the start marker of a bit stream, which entropy
    coding rules out elsewhere. This also works if the offset table is missing or wrong. An RLE or
    deflated frame should be a single fragment (PS3.5 A.4.2). If an RLE frame has more, the first
    starts with an RLE header.

    Raises UnconvertibleError if a frame is far larger than its pixels.
    """
    for chunks in fragments:
        chunk = next(chunks, b"")
        if _starts_frame(chunk, transfer_syntax_uid, layout):
            if file.tell():
                yield _joined_frame(file, transfer_syntax_uid)
            file.seek(0)
            file.truncate()
        for data in chain([chunk], chunks):
            file.write(data)
            if file.tell() > layout.max_coded:
                raise UnconvertibleError("a frame is far larger than its pixels")
    if file.tell():
        yield _joined_frame(file, transfer_syntax_uid)


def _starts_frame(chunk: bytes, transfer_syntax_uid: str, layout: Layout) -> bool:
    """Return whether a fragment that starts with `chunk` is the first of a frame."""
    if transfer_syntax_uid == DEFLATED_FRAMES:
        return True
    if transfer_syntax_uid != RLE_LOSSLESS:
        return chunk.startswith((SIZ, JP2) if transfer_syntax_uid in ANY_JPEG_2000 else SOI)
    if len(chunk) < SIZE_OF_RLE_HEADER:
        return False
    segments, offset = RLE_START.unpack_from(chunk)
    expected = layout.samples * max(1, layout.allocated // BYTE)
    return bool(segments == expected and SIZE_OF_RLE_HEADER <= offset <= layout.max_coded)


def _joined_frame(file: BinaryIO, transfer_syntax_uid: str) -> CodedFrame:
    """Return the frame in a file; add the end marker that a JPEG lacks."""
    size = file.tell()
    file.seek(max(0, size - MAX_TAIL))
    tail = file.read()
    has_end = True
    if transfer_syntax_uid in ANY_JPEG_2000:
        has_end = tail.rstrip(b"\x00\xff").endswith(EOI)
    elif transfer_syntax_uid in JPEG:
        # Bytes after the end marker are not part of a JPEG.
        has_end = EOI in tail
        if not has_end:
            size += file.write(EOI)
    file.seek(0)
    return CodedFrame(file, size, file.read(MAX_HEAD), has_end)


def _content_size(coded: CodedFrame) -> int:
    """Return the deflated size of a bit stream, to which filler adds almost nothing."""
    packer = zlib.compressobj(1)
    coded.source.seek(0)
    chunks = iter(partial(coded.source.read, CHUNK), b"")
    return sum(len(packer.compress(chunk)) for chunk in chunks) + len(packer.flush())


def check_frame(coded: CodedFrame, transfer_syntax_uid: str, layout: Layout) -> BitStream:
    """Return the properties of a frame that is complete and matches the dataset.

    Raises UnconvertibleError if the frame cannot be decoded safely.
    """
    if transfer_syntax_uid in PLAIN:  # deflated frames are inflated a chunk at a time
        if transfer_syntax_uid == RLE_LOSSLESS and coded.size * MAX_RUN < layout.frame_size:
            raise UnconvertibleError("a frame is damaged")
        shape = (layout.rows, layout.columns, layout.samples, layout.allocated)
        return BitStream(*shape, signed=layout.signed)
    is_jpeg_2000 = transfer_syntax_uid in ANY_JPEG_2000
    if not coded.head.startswith((SIZ, JP2) if is_jpeg_2000 else SOI):
        raise UnconvertibleError("a frame does not match its transfer syntax")
    # GDCM reports that a JPEG is truncated, but fills the missing part of a JPEG 2000 image.
    if is_jpeg_2000 and not coded.has_end:
        raise UnconvertibleError(TRUNCATED)
    try:
        stream = read_jpeg_2000(coded.head) if is_jpeg_2000 else read_jpeg(coded.head)
    except (IndexError, ValueError, struct.error) as error:
        raise UnconvertibleError("a frame is damaged") from error
    memory = layout.frame_size * MEMORY_OF_JPEG
    if is_jpeg_2000 or stream.is_predicted:
        memory = layout.frame_samples * MEMORY_OF_SAMPLE
    if memory > MAX_MEMORY and layout.frame_size > _content_size(coded) * MAX_RATIO:
        raise TooLargeError("a frame is suspiciously small for its number of pixels")
    if stream.samples != layout.samples or not _fits_size(stream, layout):
        raise UnconvertibleError("the size of a frame differs from the dataset")
    if not _fits_precision(stream.bits, layout.allocated):
        raise UnconvertibleError("the precision of a frame differs from the dataset")
    return stream


def _fits_precision(bits: int, allocated: int) -> bool:
    """Return whether samples of `bits` bits can be stored in `allocated` bits."""
    if BIT in (bits, allocated):
        return bits == allocated
    return 0 < bits <= allocated <= WORD


def _fits_size(stream: BitStream, layout: Layout) -> bool:
    """Return whether a frame fits the size of the image.

    A frame of a multi-frame image may be smaller: some writers cut tiles at the edge.
    """
    if layout.frames == 1 or layout.allocated == BIT:
        return (stream.rows, stream.columns) == (layout.rows, layout.columns)
    return 0 < stream.rows <= layout.rows and 0 < stream.columns <= layout.columns


def read_jpeg(data: bytes) -> BitStream:
    """Read the headers of a JPEG or JPEG-LS bit stream up to its scan (ISO 10918-1 B.2.2, B.2.3).

    A JFIF or Adobe marker declares the colour space. Otherwise components named R, G and B mean
    RGB, and unevenly sampled ones mean YBR. JPEG-LS declares its maximum error in the header of a
    scan (ISO 14495-1 C.2.3). Raises ValueError, IndexError or struct.error if a header is damaged.
    One example is a scan that has a component twice: GDCM would leave another one undefined.
    """
    color, position = "", len(SOI)
    stream: BitStream | None = None
    has_error = False
    while data[position] == FILL:
        marker = data[position + 1]
        if marker == FILL:
            position += 1
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        segment = data[position + 4 : position + 2 + length]
        if marker == SOS:
            end = 1 + 2 * segment[0]
            if stream and len(set(segment[1:end:2])) == segment[0]:
                return replace(stream, is_lossy=segment[end] > 0) if has_error else stream
            break
        if marker == APP0 and segment.startswith(b"JFIF\0"):
            color = "YBR_FULL"
        elif marker == APP14 and segment.startswith(b"Adobe") and len(segment) >= 12:
            color = "YBR_FULL" if segment[11] else "RGB"
        elif marker == SOF_JPEG_LS or (marker & 0xF0 == 0xC0 and marker not in NO_SOF):
            bits, rows, columns, samples = struct.unpack_from(">BHHB", segment)
            end = 6 + 3 * samples
            if not color and segment[6:end:3] == b"RGB":
                color = "RGB"
            elif not color and len(set(segment[7:end:3])) > 1:
                color = "YBR_FULL"
            has_error = marker == SOF_JPEG_LS
            stream = BitStream(
                rows,
                columns,
                samples,
                bits,
                color=color,
                is_predicted=marker == SOF_LOSSLESS,
                is_lossy=marker & LOSSLESS != LOSSLESS,
            )
        position += 2 + length
    raise ValueError("a frame is damaged")


def read_jpeg_2000(data: bytes) -> BitStream:
    """Read the SIZ segment of a JPEG 2000 bit stream (ISO 15444-1 A.5.1).

    Raises ValueError, IndexError or struct.error if it is damaged, or if its components differ in
    precision or size.
    """
    start = data.find(SIZ)
    if start < 0:
        raise ValueError("a frame is damaged")
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    (samples,) = struct.unpack_from(">H", data, start + 40)
    components = data[start + 42 : start + 42 + 3 * samples]
    if components != bytes((components[0], 1, 1)) * samples:
        raise ValueError("its colours cannot be decoded")
    return BitStream(
        rows=bottom - top,
        columns=right - left,
        samples=samples,
        bits=(components[0] & 0x7F) + 1,
        signed=components[0] > 0x7F,
        is_lossy=_is_irreversible(data, start + len(SIZ) - len(COD)),
    )


def _is_irreversible(data: bytes, position: int) -> bool:
    """Return whether the main header names the irreversible wavelet (ISO 15444-1 A.6.1).

    Reversible streams may also have lost precision, by truncation, which no header shows.
    """
    while position + TRANSFORM < len(data):
        marker = data[position : position + len(COD)]
        if marker in (COD, SOT):
            return marker == COD and data[position + TRANSFORM] == IRREVERSIBLE
        position += len(COD) + int.from_bytes(data[position + 2 : position + 4], "big")
    return False
