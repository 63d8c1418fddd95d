"""Conversion of an image to an uncompressed transfer syntax that the server accepts."""

import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ...reasons import OUT_OF_MEMORY, Kind, Reason
from ..deflate import InflatedTooLargeError, InflationError, inflate
from ..elements import SEQUENCE_DELIMITATION
from ..headers import ITEM, UNDEFINED_LENGTH, Encoding
from ..temporary_files import is_full
from ..types import SOPInstance, Unreadable
from ..uids import (
    DECODABLE,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_FRAMES,
    EXPLICIT_VR_BIG_ENDIAN,
    GE_BIG_ENDIAN_PIXELS,
    name_of,
)
from .frame_codecs import FrameDecoders
from .layout import ALLOCATED, BYTE, COLOR, LOSSY, PHOTOMETRIC, PLANAR, WORD, Layout
from .pixels import native_frames
from .recoding import (
    BIG,
    CHUNK,
    EXPLICIT,
    IMPLICIT,
    UNCOMPRESSED,
    Header,
    Input,
    Output,
    TooLargeError,
    UnconvertibleError,
)
from .rewriter import PIXEL_DATA, Level, ReplaceableElement, Rewriter, rewritten

SOURCES: dict[str, Encoding] = {
    **UNCOMPRESSED,
    EXPLICIT_VR_BIG_ENDIAN: BIG,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: EXPLICIT,
    GE_BIG_ENDIAN_PIXELS: IMPLICIT,
    **dict.fromkeys(DECODABLE, EXPLICIT),
}
WAS_LOSSY = b"01"


class _Converter(Rewriter):
    """Rewriter that also decodes compressed pixels, and swaps those of GE's transfer syntax."""

    def __init__(
        self, source: Input, target: Output, syntax: str, work: Path, decoders: FrameDecoders
    ) -> None:
        super().__init__(source, target, syntax, work)
        self._decoders = decoders
        self._padded = 0
        self._lossy: Level | None = None
        self._has_room = False

    def finish(self) -> tuple[Reason, ...]:
        """Return remarks; state in the dataset that its pixels come from a lossy compression.

        Only the bit stream shows this otherwise, and it is gone (PS3.3 C.7.6.1.1.5).
        """
        remarks = list(self.remarks)
        stated = self._lossy.replaceable.get(LOSSY) if self._lossy else None
        if self._lossy and stated and stated.value.strip(b" \0") != WAS_LOSSY:
            self._replace_value(self._lossy, LOSSY, WAS_LOSSY)
            remarks.append(Reason(Kind.LOSSY_COMPRESSION))
        if self._padded:
            remarks.append(Reason(Kind.FRAMES_PADDED, str(self._padded)))
        return tuple(remarks)

    def _element(self, header: Header, level: Level) -> None:
        """Leave room for Lossy Image Compression, which may be missing, in the order of tags."""
        if not (level.parent or self._has_room) and header.tag >= LOSSY:
            self._has_room = True
            if header.tag > LOSSY:
                missing = Header(LOSSY, "CS", len(WAS_LOSSY))
                piece = self._out.write_replaceable(b"", missing.length)
                level.replaceable[LOSSY] = ReplaceableElement(piece, missing, b"")
        super()._element(header, level)

    def _write_pixels(self, header: Header, level: Level) -> bool:
        """Decode compressed pixel data; an icon may also be uncompressed (PS3.5 A.4)."""
        if self._transfer_syntax_uid == GE_BIG_ENDIAN_PIXELS:
            return self._swap(header, level)
        is_coded = self._encapsulated and header.length == UNDEFINED_LENGTH
        if is_coded:
            self._decode(level)
        elif self._encapsulated and level.parent is None:
            raise UnconvertibleError("its pixel data is not encapsulated")
        return is_coded

    def _swap(self, header: Header, level: Level) -> bool:
        """Write big-endian pixels in little endian; pixels of one byte have no byte order."""
        if header.length == UNDEFINED_LENGTH:
            return False
        allocated = int.from_bytes(level.description.get(ALLOCATED, b""), "little")
        if allocated not in (BYTE, WORD):
            raise UnconvertibleError(f"the byte order of {allocated}-bit pixels is unknown")
        self._out.write(header.encoded(level.target))
        for block in self._in.value(header, BIG if allocated == WORD else IMPLICIT):
            self._out.write(block)
        return True

    def _decode(self, level: Level) -> None:
        """Write encapsulated pixel data as native pixel data (PS3.5 8.1, 8.2 and A.4)."""
        layout = Layout.of(level.description)
        vr = "OW" if layout.allocated > BYTE else "OB"
        self._out.write(Header(PIXEL_DATA, vr, layout.size).encoded(level.target))
        photometric = layout.photometric
        fragments = self._fragments(layout.max_coded)
        syntax = self._transfer_syntax_uid
        frames = native_frames(fragments, syntax, layout, self._decoders, self._work)
        with closing(frames):
            for frame in frames:
                for chunk in frame.chunks:
                    self._out.write(chunk)
                photometric = frame.photometric
                self._padded += frame.is_padded
                if frame.is_lossy and not level.parent:
                    self._lossy = level
        if layout.length % 2:
            self._out.write(b"\0")
        if photometric != layout.photometric:
            value = photometric.encode() + b" " * (len(photometric) % 2)
            self._replace_value(level, PHOTOMETRIC, value)
        if layout.samples == COLOR and self._transfer_syntax_uid != DEFLATED_FRAMES:
            self._replace_value(level, PLANAR, struct.pack("<H", 0))

    def _fragments(self, max_size: int) -> Iterator[Iterator[bytes]]:
        """Yield the fragments after the Basic Offset Table.

        Raises UnconvertibleError for a fragment of more than `max_size` bytes.
        """
        table = True
        while (item := self._in.header(EXPLICIT)).tag != SEQUENCE_DELIMITATION:
            if item.tag != ITEM:
                raise UnconvertibleError("its pixel data is damaged")
            if table:
                self._in.skip(item.length)
                table = False
            elif item.length > max_size:
                raise UnconvertibleError("a frame is far larger than its pixels")
            else:
                yield self._in.value(item, EXPLICIT)


def convert(
    instance: SOPInstance, transfer_syntax_uid: str, decoders: FrameDecoders, work: Path
) -> SOPInstance | Unreadable:
    """Re-encode an image without changing its values.

    Compressed pixel data is decoded without further loss. Photometric Interpretation and Planar
    Configuration are set to match the decoded pixels. A new dataset of more than 1 MiB is stored
    in `work`.

    Returns an image that shares nothing with `instance`; the caller closes both. Returns an
    Unreadable if the image cannot be converted without loss to `transfer_syntax_uid`, which is
    Explicit or Implicit VR Little Endian. Raises OSError if the disk of `work` is full.
    """
    source_uid = instance.transfer_syntax_uid

    def write(output: Output) -> tuple[Reason, ...]:
        source, target = SOURCES.get(source_uid), UNCOMPRESSED.get(transfer_syntax_uid)
        if source is None or target is None:
            raise UnconvertibleError("no decoder is available")
        is_deflated = source_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
        chunks = instance.dataset.blocks(CHUNK)
        chunks = inflate(chunks) if is_deflated else chunks
        if source == target and (is_deflated or source_uid in UNCOMPRESSED):
            for chunk in chunks:
                output.write(chunk)
            return ()
        converter = _Converter(Input(chunks), output, source_uid, work, decoders)
        converter.dataset(source, target)
        return converter.finish()

    try:
        return rewritten(instance, transfer_syntax_uid, work, write)
    except (TooLargeError, InflatedTooLargeError, MemoryError) as error:
        return Unreadable(Reason(Kind.IMAGE_TOO_LARGE, str(error) or OUT_OF_MEMORY))
    except (UnconvertibleError, InflationError, OSError) as error:
        if isinstance(error, OSError) and is_full(error):
            raise
        kind, cause = Kind.NOT_CONVERTIBLE, str(error)
        if isinstance(error, UnconvertibleError):
            kind = error.kind
        elif isinstance(error, OSError):
            cause = error.strerror or "it cannot be read completely"
        names = (name_of(source_uid), name_of(transfer_syntax_uid))
        return Unreadable(Reason(kind, f"{names[0]} to {names[1]}: {cause}"))
