"""Lossless compression of an uncompressed image."""

from array import array
from pathlib import Path

from ...reasons import OUT_OF_MEMORY, Kind, Reason
from ..elements import SEQUENCE_DELIMITATION
from ..headers import ITEM, UNDEFINED_LENGTH
from ..types import SOPInstance, Unreadable
from ..uids import JPEG_2000_LOSSLESS
from .frame_codecs import FrameEncoders
from .frame_encoder import RawFrame
from .frame_processes import UnsuitableError
from .layout import BYTE, COLOR, MONOCHROME, PHOTOMETRIC, PLANAR, WORD, Layout
from .recoding import CHUNK, EXPLICIT, UNCOMPRESSED, Header, Input, Output, UnconvertibleError
from .rewriter import PIXEL_DATA, Level, Rewriter, rewritten

MAX_SAMPLES = 1 << 24
"""Samples of the largest frame to compress, as encoding takes 18 bytes of memory per sample."""
MIN_STORED = 2
GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
RGB, YBR_FULL = "RGB", "YBR_FULL"
BY_PIXEL, BY_PLANE = b"\0\0", b"\1\0"


class _Compressor(Rewriter):
    """Rewriter that compresses pixels and writes other elements in explicit VR (PS3.5 A.4)."""

    def __init__(
        self, source: Input, target: Output, syntax: str, work: Path, encoders: FrameEncoders
    ) -> None:
        super().__init__(source, target, syntax, work)
        self._encoders = encoders
        self.has_pixels = False

    def _write_pixels(self, header: Header, level: Level) -> bool:
        """Compress the pixels of the image; do not change an icon."""
        if level.parent:
            return False
        layout = _layout_of(header, level)
        shape = (layout.rows, layout.columns, layout.samples, layout.allocated, layout.stored)
        frame = RawFrame(
            self._transfer_syntax_uid,
            *shape,
            is_signed=layout.signed,
            is_planar=layout.samples == COLOR and level.description[PLANAR] == BY_PLANE,
            is_rgb=layout.photometric == RGB,
        )
        self.has_pixels = True
        self._out.write(Header(PIXEL_DATA, "OB", UNDEFINED_LENGTH).encoded(EXPLICIT))
        offsets = array("I")
        size_of_table = layout.frames * offsets.itemsize
        self._out.write(Header(ITEM, "", size_of_table).encoded(EXPLICIT))
        table = self._out.write_replaceable(b"", size_of_table)
        offset = 0
        # Offsets have 32 bits, which suffices: the length of the pixels has 32 bits as well.
        for _ in range(layout.frames):
            offsets.append(offset)
            offset += self._fragment(frame, level)
            if offset > layout.size:
                raise UnsuitableError("it would not be smaller")
        self._in.skip(header.length - layout.length)
        self._out.replace(table, offsets.tobytes())
        self._out.write(Header(SEQUENCE_DELIMITATION, "", 0).encoded(EXPLICIT))
        if frame.samples == COLOR:
            self._replace_value(level, PLANAR, BY_PIXEL)
            if frame.is_rgb and self._transfer_syntax_uid == JPEG_2000_LOSSLESS:
                self._replace_value(level, PHOTOMETRIC, b"YBR_RCT ")
        return True

    def _fragment(self, frame: RawFrame, level: Level) -> int:
        """Write a frame as one fragment, and return its length including its header."""
        native = self._in.value(Header(PIXEL_DATA, "OB", frame.size), level.source)
        with self._encoders.encoded(frame, native) as coded:
            size = coded.size + coded.size % 2
            header = Header(ITEM, "", size).encoded(EXPLICIT)
            self._out.write(header)
            for chunk in coded.chunks:
                self._out.write(chunk)
        self._out.write(bytes(coded.size % 2))
        return len(header) + size


def _layout_of(header: Header, level: Level) -> Layout:
    """Return the layout of the pixels.

    Raises UnsuitableError for a layout that the transfer syntaxes do not support (PS3.5 8.2.3,
    8.2.4), or that many decoders do not decode correctly.
    """
    try:
        layout = Layout.of(level.description)
    except UnconvertibleError as error:
        raise UnsuitableError(str(error)) from error
    is_grey = layout.samples == MONOCHROME and layout.photometric in GREY
    is_color = (
        layout.samples == COLOR
        and layout.photometric in (RGB, YBR_FULL)
        and not layout.signed
        and level.description.get(PLANAR) in (BY_PIXEL, BY_PLANE)
    )
    is_usual = (
        layout.allocated in (BYTE, WORD)
        and MIN_STORED <= layout.stored <= layout.allocated
        and layout.high_bit == layout.stored - 1
        and header.vr in ("OB", "OW")
        and header.length in (layout.length, layout.size)
        and layout.frame_samples <= MAX_SAMPLES
    )
    if not (is_usual and (is_grey or is_color)):
        raise UnsuitableError("its pixel layout is not supported")
    return layout


def compress(
    instance: SOPInstance, transfer_syntax_uid: str, encoders: FrameEncoders, work: Path
) -> SOPInstance | Unreadable | None:
    """Compress an image without loss.

    `instance` is in Explicit or Implicit VR Little Endian, and `transfer_syntax_uid` is JPEG-LS
    Lossless or JPEG 2000 Lossless. Each frame is encoded, then decoded and compared with the
    original. A new dataset of more than 1 MiB is stored in `work`.

    Returns an image that shares nothing with `instance`; the caller closes both. Returns None if
    the image cannot be compressed or would not be smaller, and an Unreadable if compression failed.
    Raises OSError.
    """

    def write(output: Output) -> tuple[Reason, ...]:
        source = Input(instance.dataset.blocks(CHUNK))
        compressor = _Compressor(source, output, transfer_syntax_uid, work, encoders)
        compressor.dataset(UNCOMPRESSED[instance.transfer_syntax_uid], EXPLICIT)
        if not compressor.has_pixels or output.finish().size >= instance.dataset.size:
            raise UnsuitableError("it would not be smaller")
        return compressor.remarks

    try:
        return rewritten(instance, transfer_syntax_uid, work, write)
    except UnsuitableError:
        return None
    except (UnconvertibleError, MemoryError) as error:
        return Unreadable(Reason(Kind.NOT_COMPRESSED, str(error) or OUT_OF_MEMORY))
