"""Rewriter of the elements of a dataset in another encoding (PS3.5 section 7)."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from ...reasons import Kind, Reason
from ...values import field, frozen, mutable, replace
from ..elements import ITEM_DELIMITATION, SEQUENCE_DELIMITATION
from ..headers import ITEM, UNDEFINED_LENGTH, Encoding
from ..temporary_files import new_temporary_file
from ..types import SOPInstance
from ..uids import DECODABLE
from .layout import ALLOCATED, DESCRIPTION, LOSSY, PHOTOMETRIC, PLANAR, REPRESENTATION, WORD
from .recoding import (
    CHUNK,
    IMPLICIT,
    MAX_SHORT,
    US_OR_SS,
    Header,
    Input,
    Output,
    UnconvertibleError,
    roughness,
    swap_words,
)

MAX_DEPTH = 100
MAX_DESCRIPTION = 64
DOUBLE_WORD, MUCH_SMOOTHER = 32, 4
PIXEL_DATA = 0x7FE00010
# Extended Offset Table, Extended Offset Table Lengths, Encapsulated Pixel Data Value Total Length.
OFFSETS = (0x7FE00001, 0x7FE00002, 0x7FE00003)


@frozen
class ReplaceableElement:
    """An element in a separate piece, which can be replaced."""

    piece: int
    header: Header
    value: bytes


@mutable
class Level:
    """State of the dataset or item that is being converted."""

    source: Encoding
    target: Encoding
    parent: "Level | None" = None
    description: dict[int, bytes] = field(default_factory=dict)
    replaceable: dict[int, ReplaceableElement] = field(default_factory=dict)
    unsigned_or_signed: list[ReplaceableElement] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """Number of enclosing sequences."""
        return self.parent.depth + 1 if self.parent else 0

    @property
    def pixel_vr(self) -> str:
        """US or SS by the nearest Pixel Representation, here or further out; empty if unknown."""
        if value := self.description.get(REPRESENTATION):
            return "SS" if value[0] else "US"
        return self.parent.pixel_vr if self.parent else ""


class Rewriter:
    """Reader of elements in one encoding that writes them in another.

    Values do not change. Sequences and items get undefined length. Group lengths are omitted, as
    they would become wrong (PS3.5 7.2, 7.5).
    """

    def __init__(self, source: Input, target: Output, syntax: str, work: Path) -> None:
        """Read from `source`, and write to `target`.

        `syntax` is the transfer syntax of the encapsulated pixels before or after, if any. `work`
        is the folder for temporary files.
        """
        self._in = source
        self._out = target
        self._transfer_syntax_uid = syntax
        self._encapsulated = syntax in DECODABLE
        self._work = work
        self._has_group_lengths = False

    @property
    def remarks(self) -> tuple[Reason, ...]:
        """Changes of the dataset so far, other than the encoding."""
        return (Reason(Kind.GROUP_LENGTHS_REMOVED),) if self._has_group_lengths else ()

    def dataset(self, source: Encoding, target: Encoding) -> None:
        """Convert the whole dataset."""
        level = Level(source, target)
        while self._in.has(1):
            self._element(self._in.header(source), level)
        self._resolve_vrs(level)

    def _element(self, header: Header, level: Level) -> None:
        tag, length = header.tag, header.length
        if not header.vr:
            raise UnconvertibleError("an item is outside of a sequence")
        if tag == PIXEL_DATA and self._write_pixels(header, level):
            return
        if (header.vr == "SQ" and length) or length == UNDEFINED_LENGTH:
            self._sequence(header, level)
        elif tag & 0xFFFF == 0 or (self._encapsulated and tag in OFFSETS):
            self._in.skip(length)
            self._has_group_lengths |= tag & 0xFFFF == 0
        elif tag in DESCRIPTION and length <= MAX_DESCRIPTION:
            self._described(header, level)
        elif header.vr == US_OR_SS and length <= MAX_SHORT and not level.target.implicit:
            piece, value = self._out.write_replaceable(b"", length), self._in.read(length)
            level.unsigned_or_signed.append(ReplaceableElement(piece, header, value))
        else:
            self._plain(header, level)

    def _write_pixels(self, header: Header, level: Level) -> bool:  # noqa: ARG002
        """Rewrite pixel data; return False if it must be copied instead."""
        return False

    def _described(self, header: Header, level: Level) -> None:
        """Copy an element that describes pixels, and record its value."""
        value = b"".join(self._in.value(header, level.source))
        level.description[header.tag] = value
        data = header.encoded(level.target) + value
        if self._encapsulated and header.tag in (PHOTOMETRIC, PLANAR, LOSSY):
            piece = self._out.write_replaceable(data)
            level.replaceable[header.tag] = ReplaceableElement(piece, header, value)
        else:
            self._out.write(data)

    def _plain(self, header: Header, level: Level) -> None:
        """Copy an element."""
        if level.source.little and header.length <= CHUNK:
            self._out.write(header.encoded(level.target) + self._in.read(header.length))
            return
        if header.tag == PIXEL_DATA and header.vr == "OW" and not level.source.little:
            allocated = int.from_bytes(level.description.get(ALLOCATED, b""), "little")
            if allocated == DOUBLE_WORD:
                self._double_words(header, level)
                return
            if allocated > WORD:
                raise UnconvertibleError(f"the word order of {allocated}-bit pixels is ambiguous")
        self._out.write(header.encoded(level.target))
        for block in self._in.value(header, level.source):
            self._out.write(block)

    def _double_words(self, header: Header, level: Level) -> None:
        """Copy big-endian pixels of 32 bits as OW.

        PS3.5 7.3 swaps the bytes of each 16-bit word, and the less significant word comes
        first. Some writers swap whole pixels instead. The wrong reading swaps the words, so that
        neighbouring pixels differ far more.
        """
        if header.length % 4:
            raise UnconvertibleError("the length of a value does not match its VR")
        as_words = as_pixels = 0
        with new_temporary_file(self._work) as file:
            for block in self._in.value(header, level.source):
                file.write(block)
                as_words += roughness(block)
                as_pixels += roughness(swap_words(block))
            file.seek(0)
            self._out.write(header.encoded(level.target))
            for block in iter(partial(file.read, CHUNK), b""):
                is_swapped = as_pixels * MUCH_SMOOTHER < as_words
                self._out.write(swap_words(block) if is_swapped else block)

    def _sequence(self, header: Header, level: Level) -> None:
        if header.vr not in ("SQ", "UN"):
            raise UnconvertibleError("an element of undefined length is not a sequence")
        if level.depth == MAX_DEPTH:
            raise UnconvertibleError("its sequences are nested too deeply")
        source, target = level.source, level.target
        self._out.write(Header(header.tag, header.vr, UNDEFINED_LENGTH).encoded(target))
        if header.vr == "UN":
            # A sequence of VR UN is in implicit VR in every transfer syntax (PS3.5 6.2.2).
            source = target = IMPLICIT
        end = None if header.length == UNDEFINED_LENGTH else self._in.position + header.length
        while end is None or self._in.position < end:
            item = self._in.header(source)
            if item.tag == SEQUENCE_DELIMITATION and end is None:
                break
            if item.tag != ITEM:
                raise UnconvertibleError("a sequence is damaged")
            self._out.write(Header(ITEM, "", UNDEFINED_LENGTH).encoded(target))
            self._item(item.length, Level(source, target, level))
            self._out.write(Header(ITEM_DELIMITATION, "", 0).encoded(target))
        if end is not None and self._in.position != end:
            raise UnconvertibleError("a sequence is damaged")
        self._out.write(Header(SEQUENCE_DELIMITATION, "", 0).encoded(target))

    def _item(self, length: int, level: Level) -> None:
        end = None if length == UNDEFINED_LENGTH else self._in.position + length
        while end is None or self._in.position < end:
            header = self._in.header(level.source)
            if header.tag == ITEM_DELIMITATION and end is None:
                break
            self._element(header, level)
        if end is not None and self._in.position != end:
            raise UnconvertibleError("a sequence is damaged")
        self._resolve_vrs(level)

    def _resolve_vrs(self, level: Level) -> None:
        """Write the elements whose VR depends on Pixel Representation.

        An item without Pixel Representation inherits it from the enclosing dataset, where it may
        follow the item.
        """
        if not level.pixel_vr and level.parent:
            level.parent.unsigned_or_signed += level.unsigned_or_signed
            return
        vr = level.pixel_vr or "US"
        for element in level.unsigned_or_signed:
            header = Header(element.header.tag, vr, element.header.length)
            self._out.replace(element.piece, header.encoded(level.target) + element.value)

    def _replace_value(self, level: Level, tag: int, value: bytes) -> None:
        if element := level.replaceable.get(tag):
            header = Header(tag, element.header.vr, len(value))
            self._out.replace(element.piece, header.encoded(level.target) + value)


def rewritten(
    instance: SOPInstance,
    transfer_syntax_uid: str,
    work: Path,
    write: Callable[[Output], tuple[Reason, ...]],
) -> SOPInstance:
    """Return an image with the dataset that `write` writes, and with the remarks it returns.

    The image owns a new file in `work`, and shares nothing with `instance`. Nothing stays open if
    `write` raises an error.
    """
    with ExitStack() as stack:
        output = Output(stack.enter_context(new_temporary_file(work)))
        remarks = write(output)
        stack.pop_all()
    return replace(
        instance,
        transfer_syntax_uid=transfer_syntax_uid,
        dataset=output.finish(),
        remarks=(*instance.remarks, *remarks),
    )
