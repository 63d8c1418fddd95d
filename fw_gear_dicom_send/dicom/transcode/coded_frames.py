"""Bit streams of frames: joined from their fragments, and checked before decoding."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import BinaryIO

from ..uids import ANY_JPEG_2000, DEFLATED_FRAMES, JPEG, PLAIN, RLE_LOSSLESS
from .bitstreams import EOI, JP2, SIZ, SOI, BitStream, read_jpeg, read_jpeg_2000
from .layout import BIT, BYTE, WORD, Layout
from .recoding import CHUNK, TooLargeError, UnconvertibleError

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


@dataclass(frozen=True)
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
