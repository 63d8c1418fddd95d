"""Changes the transfer syntax of an image for a server that takes no other."""

import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ...reasons import OUT_OF_MEMORY, Kind, Reason
from ..deflate import InflatedTooLargeError, InflationError, inflate
from ..elements import ITEM, ITEM_DELIMITATION, SEQUENCE_DELIMITATION, UNDEFINED_LENGTH, Encoding
from ..spool import is_full, new_spool
from ..types import EncodedDataset, SOPInstance, Unreadable
from ..uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_FRAMES,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    name_of,
)
from .decoders import FrameDecoders
from .layout import (
    ALLOCATED,
    BYTE,
    COLOR,
    DESCRIPTION,
    PHOTOMETRIC,
    PLANAR,
    REPRESENTATION,
    WORD,
    Layout,
)
from .pixels import native_frames
from .recoding import (
    BIG,
    CHUNK,
    EXPLICIT,
    IMPLICIT,
    MAX_SHORT,
    US_OR_SS,
    Header,
    Input,
    Output,
    TooLargeError,
    UnconvertibleError,
    exchanged,
    roughness,
)
from .syntaxes import DECODABLE

MAX_DEPTH = 100
MAX_DESCRIPTION = 64
DOUBLE_WORD, MUCH_SMOOTHER = 32, 4
PIXEL_DATA = 0x7FE00010
# Extended Offset Table, its lengths, Encapsulated Pixel Data Value Total Length.
OFFSETS = (0x7FE00001, 0x7FE00002, 0x7FE00003)
TARGETS: dict[str, Encoding] = {
    IMPLICIT_VR_LITTLE_ENDIAN: IMPLICIT,
    EXPLICIT_VR_LITTLE_ENDIAN: EXPLICIT,
}
SOURCES: dict[str, Encoding] = {
    **TARGETS,
    EXPLICIT_VR_BIG_ENDIAN: BIG,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: EXPLICIT,
    **dict.fromkeys(DECODABLE, EXPLICIT),
}


@dataclass(frozen=True)
class _Held:
    """An element in a piece of its own, which may be written anew."""

    piece: int
    header: Header
    value: bytes


@dataclass
class _Level:
    """The dataset or item that is being converted, and what is known of it."""

    source: Encoding
    target: Encoding
    parent: "_Level | None" = None
    description: dict[int, bytes] = field(default_factory=dict)
    held: dict[int, _Held] = field(default_factory=dict)
    unsigned_or_signed: list[_Held] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """Number of sequences around it."""
        return self.parent.depth + 1 if self.parent else 0

    @property
    def pixel_vr(self) -> str:
        """US or SS, as Pixel Representation says here or further out; empty before it."""
        if value := self.description.get(REPRESENTATION):
            return "SS" if value[0] else "US"
        return self.parent.pixel_vr if self.parent else ""


class _Converter:
    """Reads elements in one encoding and writes them in another, with equal values.

    Sequences and items come out with undefined length, and without group lengths,
    which would not stay true (PS3.5 7.2, 7.5).
    """

    def __init__(
        self,
        source: Input,
        target: Output,
        transfer_syntax_uid: str,
        decoders: FrameDecoders,
        work: Path,
    ) -> None:
        self._in = source
        self._out = target
        self._transfer_syntax_uid = transfer_syntax_uid
        self._encapsulated = transfer_syntax_uid in DECODABLE
        self._decoders = decoders
        self._work = work
        self.padded = 0

    def dataset(self, source: Encoding, target: Encoding) -> None:
        """Convert the whole dataset."""
        level = _Level(source, target)
        while not self._in.at_end():
            self._element(self._in.header(source), level)
        self._settle(level)

    def _element(self, header: Header, level: _Level) -> None:
        tag, length = header.tag, header.length
        if not header.vr:
            raise UnconvertibleError("an item is where none may be")
        if tag == PIXEL_DATA and self._encapsulated and self._is_coded(header, level):
            self._pixel_data(level)
        elif (header.vr == "SQ" and length) or length == UNDEFINED_LENGTH:
            self._sequence(header, level)
        elif tag & 0xFFFF == 0 or (self._encapsulated and tag in OFFSETS):
            self._in.skip(length)
        elif tag in DESCRIPTION and length <= MAX_DESCRIPTION:
            self._described(header, level)
        elif header.vr == US_OR_SS and length <= MAX_SHORT and not level.target.implicit:
            held = _Held(self._out.hold(b"", length), header, self._in.read(length))
            level.unsigned_or_signed.append(held)
        else:
            self._plain(header, level)

    def _is_coded(self, header: Header, level: _Level) -> bool:
        """Tell whether pixel data is compressed; that of an icon may be either (PS3.5 A.4)."""
        if header.length != UNDEFINED_LENGTH and level.parent is None:
            raise UnconvertibleError("its pixels are not encapsulated")
        return header.length == UNDEFINED_LENGTH

    def _described(self, header: Header, level: _Level) -> None:
        """Copy an element that describes pixels, and keep it in mind."""
        value = b"".join(self._in.value(header, level.source))
        level.description[header.tag] = value
        data = header.encoded(level.target) + value
        if self._encapsulated and header.tag in (PHOTOMETRIC, PLANAR):
            level.held[header.tag] = _Held(self._out.hold(data), header, value)
        else:
            self._out.write(data)

    def _plain(self, header: Header, level: _Level) -> None:
        """Copy an element."""
        if header.tag == PIXEL_DATA and header.vr == "OW" and not level.source.little:
            allocated = int.from_bytes(level.description.get(ALLOCATED, b""), "little")
            if allocated == DOUBLE_WORD:
                self._double_words(header, level)
                return
            if allocated > WORD:
                raise UnconvertibleError("its pixels can be read in two ways")
        self._out.write(header.encoded(level.target))
        for block in self._in.value(header, level.source):
            self._out.write(block)

    def _double_words(self, header: Header, level: _Level) -> None:
        """Copy big-endian pixels of 32 bits as OW.

        PS3.5 7.3 swaps the bytes of each 16-bit word, and the less significant word comes
        first. Some writers swap whole pixels instead. The wrong reading exchanges the words,
        so that neighbours differ far more.
        """
        if header.length % 4:
            raise UnconvertibleError("a value has a wrong length")
        as_words = as_pixels = 0
        with new_spool(self._work) as spool:
            for block in self._in.value(header, level.source):
                spool.write(block)
                as_words += roughness(block)
                as_pixels += roughness(exchanged(block))
            spool.seek(0)
            self._out.write(header.encoded(level.target))
            for block in iter(partial(spool.read, CHUNK), b""):
                is_exchanged = as_pixels * MUCH_SMOOTHER < as_words
                self._out.write(exchanged(block) if is_exchanged else block)

    def _sequence(self, header: Header, level: _Level) -> None:
        if header.vr not in ("SQ", "UN"):
            raise UnconvertibleError("an element has no length")
        if level.depth == MAX_DEPTH:
            raise UnconvertibleError("its sequences are nested too deeply")
        source, target = level.source, level.target
        self._out.write(Header(header.tag, header.vr, UNDEFINED_LENGTH).encoded(target))
        if header.vr == "UN":
            # A sequence of unknown VR is implicit VR in any syntax (PS3.5 6.2.2).
            source = target = IMPLICIT
        end = None if header.length == UNDEFINED_LENGTH else self._in.position + header.length
        while end is None or self._in.position < end:
            item = self._in.header(source)
            if item.tag == SEQUENCE_DELIMITATION and end is None:
                break
            if item.tag != ITEM:
                raise UnconvertibleError("a sequence is damaged")
            self._out.write(Header(ITEM, "", UNDEFINED_LENGTH).encoded(target))
            self._item(item.length, _Level(source, target, level))
            self._out.write(Header(ITEM_DELIMITATION, "", 0).encoded(target))
        if end is not None and self._in.position != end:
            raise UnconvertibleError("a sequence is damaged")
        self._out.write(Header(SEQUENCE_DELIMITATION, "", 0).encoded(target))

    def _item(self, length: int, level: _Level) -> None:
        end = None if length == UNDEFINED_LENGTH else self._in.position + length
        while end is None or self._in.position < end:
            header = self._in.header(level.source)
            if header.tag == ITEM_DELIMITATION and end is None:
                break
            self._element(header, level)
        if end is not None and self._in.position != end:
            raise UnconvertibleError("a sequence is damaged")
        self._settle(level)

    def _settle(self, level: _Level) -> None:
        """Write the elements that Pixel Representation was needed for.

        An item without one has that of the dataset around it, which may come later.
        """
        if not level.pixel_vr and level.parent:
            level.parent.unsigned_or_signed += level.unsigned_or_signed
            return
        vr = level.pixel_vr or "US"
        for held in level.unsigned_or_signed:
            header = Header(held.header.tag, vr, held.header.length)
            self._out.replace(held.piece, header.encoded(level.target) + held.value)

    def _pixel_data(self, level: _Level) -> None:
        """Write encapsulated pixel data as native (PS3.5 8.1, 8.2 and A.4)."""
        layout = Layout.of(level.description)
        vr = "OW" if layout.allocated > BYTE else "OB"
        self._out.write(Header(PIXEL_DATA, vr, layout.size).encoded(level.target))
        photometric = layout.photometric
        fragments = self._fragments(layout.max_coded)
        frames = native_frames(
            fragments, self._transfer_syntax_uid, layout, self._decoders, self._work
        )
        with closing(frames):
            for frame in frames:
                for chunk in frame.chunks:
                    self._out.write(chunk)
                photometric = frame.photometric
                if frame.is_padded:
                    self.padded += 1
        if layout.length % 2:
            self._out.write(b"\0")
        if photometric != layout.photometric:
            value = photometric.encode() + b" " * (len(photometric) % 2)
            self._rewrite(level, PHOTOMETRIC, value)
        if layout.samples == COLOR and self._transfer_syntax_uid != DEFLATED_FRAMES:
            self._rewrite(level, PLANAR, struct.pack("<H", 0))

    def _rewrite(self, level: _Level, tag: int, value: bytes) -> None:
        if held := level.held.get(tag):
            header = Header(tag, held.header.vr, len(value))
            self._out.replace(held.piece, header.encoded(level.target) + value)

    def _fragments(self, most: int) -> Iterator[Iterator[bytes]]:
        """Take the fragments behind the Basic Offset Table, none longer than `most` bytes."""
        table = True
        while (item := self._in.header(EXPLICIT)).tag != SEQUENCE_DELIMITATION:
            if item.tag != ITEM:
                raise UnconvertibleError("its pixel data is damaged")
            if table:
                self._in.skip(item.length)
                table = False
            elif item.length > most:
                raise UnconvertibleError("a frame is far longer than its pixels")
            else:
                yield self._in.value(item, EXPLICIT)


def convert(
    instance: SOPInstance, transfer_syntax_uid: str, decoders: FrameDecoders, work: Path
) -> SOPInstance | Unreadable:
    """Re-encode an image, so that its values stay as they are.

    Compressed pixel data is decoded; what was lost before is all that is lost. Its
    Photometric Interpretation and Planar Configuration become those of the decoded
    pixels. The new dataset lies in `work` if it is longer than 1 MiB.

    Args:
        instance: The image; it stays open, whatever happens.
        transfer_syntax_uid: Explicit or Implicit VR Little Endian.
        decoders: Decode compressed frames.
        work: Folder for temporary files.

    Returns:
        The image in the other syntax, whose dataset the caller closes; or why it
        cannot be converted without loss.
    """
    spool = new_spool(work)
    try:
        dataset, remarks = _converted(instance, transfer_syntax_uid, spool, decoders, work)
    except (TooLargeError, MemoryError) as error:
        spool.close()
        return Unreadable(Reason(Kind.IMAGE_TOO_LARGE, str(error) or OUT_OF_MEMORY))
    except UnconvertibleError as error:
        spool.close()
        names = (name_of(instance.transfer_syntax_uid), name_of(transfer_syntax_uid))
        return Unreadable(Reason(Kind.NOT_CONVERTIBLE, f"{names[0]} to {names[1]}: {error}"))
    except BaseException:
        spool.close()
        raise
    return replace(
        instance,
        transfer_syntax_uid=transfer_syntax_uid,
        dataset=dataset,
        remarks=(*instance.remarks, *remarks),
    )


def _converted(
    instance: SOPInstance,
    transfer_syntax_uid: str,
    spool: BinaryIO,
    decoders: FrameDecoders,
    work: Path,
) -> tuple[EncodedDataset, tuple[Reason, ...]]:
    """Convert into `spool`; raises UnconvertibleError, and nothing else for bad data."""
    source_uid = instance.transfer_syntax_uid
    source, target = SOURCES.get(source_uid), TARGETS.get(transfer_syntax_uid)
    if source is None or target is None:
        raise UnconvertibleError("there is no decoder for it")
    chunks = instance.dataset.blocks(CHUNK)
    if source_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        chunks = inflate(chunks)
    output = Output(spool)
    remarks: tuple[Reason, ...] = ()
    try:
        if source == target and source_uid not in DECODABLE:
            for chunk in chunks:
                output.write(chunk)
        else:
            converter = _Converter(Input(chunks), output, source_uid, decoders, work)
            converter.dataset(source, target)
            if converter.padded:
                remarks = (Reason(Kind.FRAMES_PADDED, str(converter.padded)),)
    except InflatedTooLargeError as error:
        raise TooLargeError(str(error)) from error
    except InflationError as error:
        raise UnconvertibleError(str(error)) from error
    except OSError as error:
        if is_full(error):
            raise
        raise UnconvertibleError(error.strerror or "it cannot be read to its end") from error
    return output.finish(), remarks
