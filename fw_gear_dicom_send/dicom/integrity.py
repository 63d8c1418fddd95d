"""Checks of a dataset: whether it is complete, and whether an offset lies between two elements.

Most images end with Pixel Data whose length meets the end of the file. For these, the elements
around the offset are checked. For others all elements are, which takes longer (PS3.5 7.1).
"""

from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from struct import pack
from typing import Literal

from ..reasons import Kind, Reason
from ..text import quantity
from .dictionary import description_of, is_known
from .elements import Element, ElementReader, Scan
from .headers import ITEM, UNDEFINED_LENGTH, Encoding, MalformedError, TruncatedError
from .part10 import DatasetLocation
from .types import Span, Unreadable
from .uids import ENCAPSULATED, NATIVE, name_of

_PIXEL_DATA = 0x7FE00010
PIXELS = frozenset((0x00287FE0, 0x7FE00008, 0x7FE00009, _PIXEL_DATA))
"""Pixel Data Provider URL, and all kinds of pixel data."""
_TRAILING_PADDING = 0xFFFCFFFC
_DESCRIPTION = frozenset((0x00280010, 0x00280011, 0x00280100))
"""Rows, Columns, Bits Allocated."""
NOTED = PIXELS | _DESCRIPTION
"""Elements that show whether an image is complete."""
_ITEM_TAG = b"\xfe\xff\x00\xe0"
_END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0\0\0\0\0"
_REPEATING_GROUPS = (0x50, 0x60)
_MAX_CANDIDATES = 8
_MIN_HEADER, _LONG_HEADER = 8, 12
_CHUNK = 1 << 16


@dataclass(frozen=True)
class IntegrityResult:
    """Remarks on a dataset, and whether it consists only of ordered elements and padding."""

    remarks: tuple[Reason, ...]
    is_sound: bool


@dataclass(frozen=True)
class _Survey:
    """Result of a walk over all elements.

    `tags` are the tags of `PIXELS` and `_DESCRIPTION` that were found. `missing` describes the
    missing part of a truncated file. `damage` is the offset of the first byte that is not part of
    an element in order. It is None if elements and padding fill the file.
    """

    tags: frozenset[int]
    missing: str
    damage: int | None


def check_integrity(
    reader: ElementReader, location: DatasetLocation, scan: Scan, insert_at: int | None
) -> Unreadable | IntegrityResult:
    """Return remarks on a dataset, or why it cannot be sent.

    A truncated file cannot be sent. Nor can a dataset that is damaged around `insert_at`, the
    offset at which elements will be inserted. Values of odd length are allowed here.
    `scan` must have passed all elements, and noted those of NOTED.
    """
    encoding = location.encoding
    tags = {element.tag for element in scan.noted}
    pixels = None
    if scan.end != reader.size or _PIXEL_DATA not in tags:
        pixels = last_pixel_data(reader, encoding, scan.end)
        pixels = pixels or last_pixel_data(reader, encoding, location.start)
    if pixels:
        starts = {element.start for element in scan.noted if element.tag == _PIXEL_DATA}
        is_sound = scan.is_ordered and pixels.start in {*starts, scan.end}
        if is_sound or insert_at is None:
            return IntegrityResult((), is_sound)
    elif scan.is_ordered and scan.end == reader.size:
        return IntegrityResult(_remarks(tags), True)
    survey = _survey(reader, location, pixels)
    if survey.missing and not pixels:
        return Unreadable(Reason(Kind.TRUNCATED, survey.missing))
    if insert_at is not None and survey.damage is not None:
        return Unreadable(Reason(Kind.DAMAGED, str(survey.damage)))
    is_sound = survey.damage is None
    return IntegrityResult(_remarks(survey.tags) if is_sound else (), is_sound)


def check_pixel_data(location: DatasetLocation, scan: Scan) -> Unreadable | tuple[Reason, ...]:
    """Return remarks on Pixel Data, or why its image cannot be sent (PS3.5 A.4).

    Without fragments in a compressed transfer syntax, it would end the association. Fragments in
    an uncompressed one are rejected by some servers only. Icons in sequences may be of either kind.
    """
    uid = location.transfer_syntax_uid
    if _PIXEL_DATA in scan.undefined:
        if uid not in NATIVE:
            return ()
        detail = f"encapsulated, but {name_of(uid)} rules that out"
        return (Reason(Kind.PIXEL_DATA_ENCODING, detail),)
    if uid in ENCAPSULATED and any(element.tag == _PIXEL_DATA for element in scan.noted):
        detail = f"not encapsulated, but {name_of(uid)} requires that"
        return Unreadable(Reason(Kind.PIXEL_DATA_ENCODING, detail))
    return ()


def _remarks(tags: Set[int]) -> tuple[Reason, ...]:
    is_incomplete = tags >= _DESCRIPTION and not tags & PIXELS
    return (Reason(Kind.NO_PIXEL_DATA),) if is_incomplete else ()


def last_pixel_data(reader: ElementReader, encoding: Encoding, start: int) -> Span | None:
    """Return the range of Pixel Data that meets the end of the file, soon after `start`.

    The search covers the part of the file in memory. The file may end with padding.
    """
    tag = _encoded(_PIXEL_DATA, encoding)
    order: Literal["little", "big"] = "little" if encoding.little else "big"
    header = _MIN_HEADER if encoding.implicit else _LONG_HEADER
    for _ in range(_MAX_CANDIDATES):
        start = reader.find(tag, start)
        if start < 0:
            return None
        value = start + header
        length = int.from_bytes(reader.bytes_at(value - 4, value), order)
        end = value + length
        if length == UNDEFINED_LENGTH:
            is_coded = reader.bytes_at(value, value + len(_ITEM_TAG)) == _ITEM_TAG
            if is_coded and reader.last(len(_END_OF_SEQUENCE)) == _END_OF_SEQUENCE:
                return Span(start, reader.size)
        elif end <= reader.size and _is_padded(reader, encoding, end):
            return Span(start, end)
        start += 1
    return None


def _is_padded(reader: ElementReader, encoding: Encoding, start: int) -> bool:
    """Return whether only zeros or Data Set Trailing Padding follow (PS3.10 7.2)."""
    if is_padding(reader, start):
        return True
    if reader.bytes_at(start, start + 4) != _encoded(_TRAILING_PADDING, encoding):
        return False
    return _end_of_element(reader, encoding, start) == reader.size


def _end_of_element(reader: ElementReader, encoding: Encoding, start: int) -> int:
    """Return the end of the element at `start`, or -1 if there is no element."""
    with suppress(MalformedError):
        for _, _, _, end in reader.walk(start, encoding):
            return end
    return -1


def _encoded(tag: int, encoding: Encoding) -> bytes:
    return pack("<HH" if encoding.little else ">HH", tag >> 16, tag & 0xFFFF)


def _is_plausible(reader: ElementReader, tag: int, start: int, encoding: Encoding) -> bool:
    """Return whether the element at `start` may be a DICOM element."""
    if encoding.implicit:
        return is_in_dictionary(tag) or bool(tag >> 16 & 1) or not tag & 0xFFFF
    return reader.has_vr(start)


def is_in_dictionary(tag: int) -> bool:
    """Return whether an element is in the dictionary, counting repeating groups."""
    return is_known(tag) or tag >> 24 in _REPEATING_GROUPS


def _survey(reader: ElementReader, location: DatasetLocation, pixels: Span | None) -> _Survey:
    """Walk over all elements; only a sequence may contain `pixels`."""
    encoding, size = location.encoding, reader.size
    position, previous = location.start, -1
    found: set[int] = set()
    missing = ""
    damage = None
    try:
        for element in map(Element._make, reader.walk(position, encoding)):
            tag, start, value, end = element
            hides_pixels = pixels and start < pixels.start < end and not _holds_items(reader, value)
            if damage is None and (
                hides_pixels or not is_element(reader, element, previous, encoding)
            ):
                damage = start
            if end > size:
                if not encoding.implicit or (is_in_dictionary(tag) and tag > previous):
                    total = quantity(end - value, "byte")
                    missing = f"{_name(tag, encoding)} has {size - value:,} of {total}"
                break
            if tag in _DESCRIPTION or tag in PIXELS:
                found.add(tag)
            position, previous = end, tag
        else:
            if damage is None and not is_padding(reader, position):
                damage = position
            if not found & PIXELS and is_start_of_header(reader, encoding, position, previous):
                damage = position if damage is None else damage
                missing = "it ends within the header of an element"
    except TruncatedError:
        damage = position if damage is None else damage
        tag = reader.tag_at(position, encoding) or 0
        if tag > previous and _is_plausible(reader, tag, position, encoding):
            missing = f"it ends within {_name(tag, encoding)}"
    except MalformedError:
        damage = position if damage is None else damage
    return _Survey(frozenset(found), missing, damage)


def is_element(reader: ElementReader, element: Element, previous: int, encoding: Encoding) -> bool:
    """Return whether an element after the tag `previous` is plausible and within the file."""
    tag, start, value, end = element
    return (
        tag < ITEM
        and (tag > previous or _is_plausible(reader, tag, start, encoding))
        and end <= reader.size
        and not _cuts_item(reader, value, end, encoding)
        and not reader.hides_element(element, encoding)
    )


def _cuts_item(reader: ElementReader, value: int, end: int, encoding: Encoding) -> bool:
    """Return whether a value contains an item that reaches beyond its end."""
    while value + _MIN_HEADER <= end and _holds_items(reader, value):
        is_little = encoding.little or reader.bytes_at(value, value + 1) == _ITEM_TAG[:1]
        length = int.from_bytes(
            reader.bytes_at(value + 4, value + _MIN_HEADER), "little" if is_little else "big"
        )
        if length == UNDEFINED_LENGTH:
            return False
        value += _MIN_HEADER + length
    return value > end


def _holds_items(reader: ElementReader, value: int) -> bool:
    return reader.bytes_at(value, value + len(_ITEM_TAG)) in (_ITEM_TAG, b"\xff\xfe\xe0\0")


def _name(tag: int, encoding: Encoding) -> str:
    """Return the name of an element; without VR, an unknown tag may be part of a value."""
    if is_known(tag):
        return description_of(tag)
    if encoding.implicit:
        return "an unknown element"
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def is_padding(reader: ElementReader, start: int) -> bool:
    """Return whether no element follows: less than a header, or only zeros to the end."""
    if reader.size - start < _MIN_HEADER:
        return True
    return all(
        not any(reader.bytes_at(at, min(at + _CHUNK, reader.size)))
        for at in range(start, reader.size, _CHUNK)
    )


def is_start_of_header(reader: ElementReader, encoding: Encoding, start: int, tag: int) -> bool:
    """Return whether the last bytes may be an incomplete header of an element after `tag`."""
    rest = reader.bytes_at(start, start + _MIN_HEADER)
    group = int.from_bytes(rest[:2], "little" if encoding.little else "big")
    return 2 <= len(rest) < _MIN_HEADER and group >= tag >> 16
