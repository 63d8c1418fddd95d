"""Compressed frames to native pixels (PS3.5 8.2, A.4 and annex G)."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..spool import new_spool
from .bitstreams import BitStream
from .coded_frames import ENDS_EARLY, examined, joined
from .decoders import FrameDecoders
from .frame_decoder import Frame
from .layout import BIT, BYTE, COLORS, MONOCHROME, WORD, Layout
from .recoding import TooLargeError, UnconvertibleError
from .syntaxes import JPEG_LOSSY, PLAIN

BLACK = {"YBR_FULL": b"\0\x80\x80"}
BITS = bytes.maketrans(b"\0\1", b"01")


@dataclass(frozen=True)
class NativeFrame:
    """The pixels of a frame, colour by pixel and in chunks, and what they are.

    `is_padded` tells whether the frame is smaller than the image.
    """

    chunks: Iterator[bytes]
    photometric: str
    is_padded: bool


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
        As many frames as the dataset says, which are to be taken before the next frame.

    Raises:
        UnconvertibleError: A frame is damaged or contradicts the dataset, or there
            are more or fewer of them.
    """
    count = 0
    first: tuple[int, str] | None = None
    bits = _Bits()
    with new_spool(work) as spool:
        for coded in joined(fragments, transfer_syntax_uid, layout, spool):
            count += 1
            if count > layout.frames:
                break
            stream = examined(coded, transfer_syntax_uid, layout)
            color = _color(stream, transfer_syntax_uid, layout)
            first = first or (stream.bits, color)
            if stream.bits != first[0]:
                raise UnconvertibleError("its frames differ in precision")
            if color != first[1]:
                raise UnconvertibleError("its frames differ in colour space")
            frame = _frame(stream, transfer_syntax_uid, layout)
            with decoders.decoded(frame, coded.source, coded.size) as pixels:
                chunks = pixels if coded.has_end else _as_ending_early(pixels)
                if layout.allocated == BIT:
                    is_last = count == layout.frames
                    packed = chunks if transfer_syntax_uid in PLAIN else _packed(chunks)
                    yield NativeFrame(bits.joined(packed, layout.frame_bits, is_last), color, False)
                    continue
                chunks = _extended(chunks, stream, layout, frame.allocated)
                if frame.allocated < layout.allocated:
                    chunks = _widened(chunks, is_signed=layout.signed)
                is_padded = (stream.rows, stream.columns) != (layout.rows, layout.columns)
                if is_padded:
                    chunks = _padded(chunks, stream, layout, BLACK.get(color, bytes(1)))
                yield NativeFrame(chunks, color, is_padded)
    if count != layout.frames:
        raise UnconvertibleError("it holds more or fewer frames than the dataset says")


def _frame(stream: BitStream, transfer_syntax_uid: str, layout: Layout) -> Frame:
    """Tell the decoder what a frame is; packed bits are bytes to it."""
    if layout.allocated == BIT and transfer_syntax_uid in PLAIN:
        return Frame(transfer_syntax_uid, 1, layout.frame_size, 1, BYTE, BYTE)
    allocated = BYTE if stream.bits <= BYTE else WORD
    if transfer_syntax_uid in PLAIN:
        allocated = layout.allocated
    shape = (stream.rows, stream.columns, stream.samples)
    return Frame(transfer_syntax_uid, *shape, allocated, stream.bits)


def _as_ending_early(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Tell the reason where a frame that has no end cannot be decoded."""
    try:
        yield from chunks
    except TooLargeError:
        raise
    except UnconvertibleError as error:
        raise UnconvertibleError(ENDS_EARLY) from error


class _Bits:
    """Joins frames of one bit a pixel, of which each begins where the last ends (PS3.5 8.1.1)."""

    def __init__(self) -> None:
        self._rest = 0
        self._count = 0

    def joined(self, chunks: Iterator[bytes], bits: int, is_last: bool) -> Iterator[bytes]:
        """Yield the whole bytes of a frame, and the last one if no other frame follows."""
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
    """Pack pixels of a byte into bits; the first is the least significant one (PS3.5 8.1.1)."""
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
    """Fill what a frame lacks at the right and below with black."""
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
    return _translated(chunks, table, allocated // BYTE)


def _widened(chunks: Iterator[bytes], *, is_signed: bool) -> Iterator[bytes]:
    """Make 16 bits of samples of 8, as the dataset allocates them."""
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
    """Name what the components of a decoded frame are; GDCM does not change colours.

    A lossy JPEG stream that says what it holds is right where the dataset
    contradicts it; lossless ones are coded as the dataset says.
    """
    if layout.samples == MONOCHROME:
        return layout.photometric
    if transfer_syntax_uid in JPEG_LOSSY and stream.color:
        return stream.color
    return COLORS[layout.photometric]
