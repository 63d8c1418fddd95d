"""Decoding of compressed frames to native pixels (PS3.5 8.2, A.4 and annex G)."""

from collections.abc import Generator, Iterator
from pathlib import Path

from ...reasons import Kind
from ...values import frozen
from ..temporary_files import new_temporary_file
from ..uids import JPEG_LOSSY, PLAIN
from .coded_frames import TRUNCATED, BitStream, check_frame, join_fragments
from .frame_codecs import FrameDecoders
from .frame_decoder import Frame
from .layout import BIT, BYTE, COLORS, MONOCHROME, WORD, Layout
from .recoding import UnconvertibleError

BLACK = {"YBR_FULL": b"\0\x80\x80"}
BITS = bytes.maketrans(b"\0\1", b"01")


@frozen
class NativeFrame:
    """Pixels of a frame in chunks, colour by pixel, and their Photometric Interpretation.

    `is_padded` means that the frame was smaller than the image, `is_lossy` that its compression
    was lossy.
    """

    chunks: Iterator[bytes]
    photometric: str
    is_padded: bool
    is_lossy: bool


def native_frames(
    fragments: Iterator[Iterator[bytes]],
    transfer_syntax_uid: str,
    layout: Layout,
    decoders: FrameDecoders,
    work: Path,
) -> Generator[NativeFrame, None, None]:
    """Decode the fragments of encapsulated pixel data, one frame at a time.

    `fragments` are those after the Basic Offset Table, each in chunks. The caller must read each
    frame before the next. This process keeps only a chunk in memory. The decoder keeps a compressed
    frame and some copies of the native frame.

    Raises UnconvertibleError if a frame is damaged or contradicts the dataset, or if the number of
    frames differs from the dataset.
    """
    count = 0
    first: tuple[int, str] | None = None
    bits = _Bits()
    with new_temporary_file(work) as file:
        for coded in join_fragments(fragments, transfer_syntax_uid, layout, file):
            count += 1
            if count > layout.frames:
                break
            stream = check_frame(coded, transfer_syntax_uid, layout)
            color = _color(stream, transfer_syntax_uid, layout)
            first = first or (stream.bits, color)
            if stream.bits != first[0]:
                raise UnconvertibleError("its frames differ in precision")
            if color != first[1]:
                raise UnconvertibleError("its frames differ in colour space")
            frame = _frame(stream, transfer_syntax_uid, layout)
            with decoders.decoded(frame, coded.source, coded.size) as pixels:
                chunks = pixels if coded.has_end else _as_truncated(pixels)
                allocated = frame.allocated
                if stream.is_predicted:
                    chunks = _in_range(chunks, stream)
                    if stream.bits <= BYTE:
                        chunks, allocated = (words[::2] for words in chunks), BYTE
                if layout.allocated == BIT:
                    is_last = count == layout.frames
                    packed = chunks if transfer_syntax_uid in PLAIN else _packed(chunks)
                    chunks = bits.join(packed, layout.frame_bits, is_last)
                    yield NativeFrame(chunks, color, False, stream.is_lossy)
                    continue
                chunks = _extended(chunks, stream, layout, allocated)
                if allocated < layout.allocated:
                    chunks = _widened(chunks, is_signed=layout.signed)
                is_padded = (stream.rows, stream.columns) != (layout.rows, layout.columns)
                if is_padded:
                    chunks = _padded(chunks, stream, layout, BLACK.get(color, bytes(1)))
                yield NativeFrame(chunks, color, is_padded, stream.is_lossy)
    if count != layout.frames:
        raise UnconvertibleError("the number of frames differs from the dataset")


def _frame(stream: BitStream, transfer_syntax_uid: str, layout: Layout) -> Frame:
    """Return the description of a frame for the decoder, which gets packed bits as bytes.

    For lossless JPEG, it names 16 bits, as GDCM removes bits above the named ones.
    """
    if layout.allocated == BIT and transfer_syntax_uid in PLAIN:
        return Frame(transfer_syntax_uid, 1, layout.frame_size, 1, BYTE, BYTE)
    allocated = BYTE if stream.bits <= BYTE else WORD
    if transfer_syntax_uid in PLAIN:
        allocated = layout.allocated
    shape = (stream.rows, stream.columns, stream.samples)
    if stream.is_predicted:
        return Frame(transfer_syntax_uid, *shape, WORD, WORD)
    return Frame(transfer_syntax_uid, *shape, allocated, stream.bits)


def _as_truncated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pixels of a frame without end marker; report a failed decoding as truncation."""
    try:
        yield from chunks
    except UnconvertibleError as error:
        if error.kind is not Kind.NOT_CONVERTIBLE:
            raise
        raise UnconvertibleError(TRUNCATED) from error


class _Bits:
    """Frames with one-bit pixels, joined without gaps (PS3.5 8.1.1)."""

    def __init__(self) -> None:
        self._rest = 0
        self._count = 0

    def join(self, chunks: Iterator[bytes], bits: int, is_last: bool) -> Iterator[bytes]:
        """Yield the complete bytes of a frame; for the last frame, also an incomplete byte."""
        if self._count == bits % BYTE == 0:
            yield from chunks
            return
        data = b"".join(chunks)
        value = int.from_bytes(data, "little") & ((1 << bits) - 1)
        value = value << self._count | self._rest
        size, self._count = divmod(self._count + bits, BYTE)
        self._rest = value >> size * BYTE
        if is_last and self._count:
            size += 1
        yield (value & ((1 << size * BYTE) - 1)).to_bytes(size, "little")


def _packed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Pack one-byte pixels into bits, least significant bit first (PS3.5 8.1.1)."""
    pixels = b""
    for chunk in chunks:
        pixels += chunk
        whole = len(pixels) // BYTE * BYTE
        yield _as_bits(pixels[:whole])
        pixels = pixels[whole:]
    yield _as_bits(pixels)


def _as_bits(pixels: bytes) -> bytes:
    size = (len(pixels) + BYTE - 1) // BYTE
    return int(b"0" + pixels.translate(BITS)[::-1], 2).to_bytes(size, "little")


def _padded(
    chunks: Iterator[bytes], stream: BitStream, layout: Layout, black: bytes
) -> Iterator[bytes]:
    """Pad a frame with black at the right and at the bottom."""
    size = layout.samples * layout.allocated // BYTE
    black *= size // len(black)
    length = stream.columns * size
    margin = black * (layout.columns - stream.columns)
    pixels = bytearray()
    for chunk in chunks:
        pixels += chunk
        while len(pixels) >= length:
            yield bytes(pixels[:length]) + margin
            del pixels[:length]
    for _ in range(layout.rows - stream.rows):
        yield black * layout.columns


def _extended(
    chunks: Iterator[bytes], stream: BitStream, layout: Layout, allocated: int
) -> Iterator[bytes]:
    """Extend the sign of each pixel into the bits above the coded ones.

    Bit streams without a sign, or with another sign than the dataset, decode to wrong upper bits
    (PS3.5 8.1.1).
    """
    if stream.signed == layout.signed or stream.bits == layout.allocated:
        return chunks
    if stream.bits > layout.stored:
        return chunks
    if stream.bits < layout.stored or layout.high_bit != layout.stored - 1:
        raise UnconvertibleError("the precision of a frame differs from the dataset")
    sign, mask = 1 << (stream.bits - 1) % BYTE, (2 << (stream.bits - 1) % BYTE) - 1
    table = bytes(
        byte | ~mask & 0xFF if layout.signed and byte & sign else byte & mask for byte in range(256)
    )
    return _translated(chunks, table, allocated // BYTE)


def _in_range(chunks: Iterator[bytes], stream: BitStream) -> Iterator[bytes]:
    """Yield the 16-bit samples of a lossless JPEG, complete ones in each chunk.

    Differences are added modulo 65536 (ISO 10918-1 H.2.1), so that samples of a damaged frame may
    exceed their precision. Raises UnconvertibleError for such a sample. Bits above Bits Stored are
    kept: they may be a sign, an overlay or padding.
    """
    # Only the high byte of a sample of more than 8 bits can exceed its precision.
    bounds = [range(1 << min(max(stream.bits - bits, 0), BYTE)) for bits in (0, BYTE)]
    data = b""
    for chunk in chunks:
        words = data + chunk if data else chunk
        end = len(words) // 2 * 2
        words, data = words[:end], words[end:]
        for byte, bound in enumerate(bounds):
            if len(bound) <= 0xFF and words[byte::2].translate(None, bytes(bound)):
                raise UnconvertibleError("a sample exceeds the precision of its image")
        yield words


def _widened(chunks: Iterator[bytes], *, is_signed: bool) -> Iterator[bytes]:
    """Widen samples of 8 bits to the 16 bits that the dataset allocates."""
    table = bytes(0xFF if is_signed and byte & 0x80 else 0 for byte in range(256))
    for chunk in chunks:
        samples = bytearray(2 * len(chunk))
        samples[0::2] = chunk
        samples[1::2] = chunk.translate(table)
        yield bytes(samples)


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
    """Return the Photometric Interpretation of a decoded frame; GDCM does not convert colours.

    A colour space that a lossy JPEG declares overrides the dataset. For other syntaxes, the
    dataset decides.
    """
    if layout.samples == MONOCHROME:
        return layout.photometric
    if transfer_syntax_uid in JPEG_LOSSY and stream.color:
        return stream.color
    return COLORS[layout.photometric]
