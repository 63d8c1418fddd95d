"""Checks of a dataset: where it ends, whether it is complete, and damage around an offset.

Most images end with Pixel Data whose length meets the end of the file. For these, the elements
around the offset are checked. For others all elements are, which takes longer (PS3.5 7.1).

Some programs append zeros, text, or another file. Such bytes are not part of the dataset, so they
are not sent. If they may be the rest of a damaged or truncated dataset, the file is the dataset.
"""

from collections.abc import Mapping
from contextlib import suppress

from ..reasons import Kind, Reason
from ..text import quantity
from .dictionary import description_of, is_known
from .elements import Element, ElementReader, Scan
from .headers import (
    ITEM,
    LAYOUTS,
    MAX_HEADER,
    MIN_HEADER,
    UNDEFINED_LENGTH,
    Encoding,
    MalformedError,
    TruncatedError,
)
from .part10 import DatasetLocation
from .types import Span, Unreadable
from .uids import ENCAPSULATED, NATIVE, name_of

_PIXEL_DATA = 0x7FE00010
_PIXELS = frozenset((0x7FE00008, 0x7FE00009, _PIXEL_DATA))
_PIXELS_OR_URL = _PIXELS | {0x00287FE0}
"""All kinds of pixel data, and Pixel Data Provider URL."""
_TRAILING_PADDING = 0xFFFCFFFC
_DESCRIPTION = frozenset((0x00280010, 0x00280011, 0x00280100))
"""Rows, Columns, Bits Allocated."""
NOTED = _PIXELS_OR_URL | _DESCRIPTION
"""Elements that show whether an image is complete."""
_ITEM_TAG = b"\xfe\xff\x00\xe0"
_END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0\0\0\0\0"
_REPEATING_GROUPS = (0x50, 0x60)
_MAX_CANDIDATES = 8
_CHUNK = 1 << 16
_FRAMES = 0x00280008
_FACTORS = (0x00280002, 0x00280010, 0x00280011, 0x00280100)
"""Samples per Pixel, Rows, Columns, Bits Allocated."""
_SIZE_OF_FACTOR, _SIZE_OF_FRAMES = 2, 12
_FIRST_META = 0x00020000
_LAST_CREATOR = 0xFF


def end_of_dataset(reader: ElementReader, location: DatasetLocation) -> int:
    """Return the offset after the last element, or the size of the file if damage may follow.

    Any bytes may follow complete pixels, unless they start like another element. Other datasets
    may be followed by zeros, by less than a header, or by another file with its prefix.
    """
    encoding = location.encoding
    found: dict[int, Element] = {}
    position, first, previous = location.start, -1, -1
    is_whole = False
    with suppress(MalformedError):
        for element in map(Element._make, reader.walk(position, encoding)):
            tag = element.tag
            if (is_whole and tag in (first, _FIRST_META)) or not _is_element(
                reader, element, previous, encoding
            ):
                break
            if tag == _FRAMES or tag in _FACTORS or tag in _PIXELS:
                found[tag] = element
            if tag in _PIXELS:
                is_whole = _is_whole(reader, element, found, encoding)
            first, previous = tag if first < 0 else first, tag
            position = element.end
    # With or without preamble (PS3.10 7.1).
    if b"DICM" in (reader.bytes_at(at, at + 4) for at in (position, position + 128)):
        return position
    if is_whole:
        is_end = not _continues(reader, position, previous, encoding)
    else:
        is_end = (
            not found.keys() & _PIXELS
            and _is_padding(reader, position)
            and not _is_start_of_header(reader, encoding, position, previous)
        )
        # Zeros may be black pixels whose element a damaged length hides.
        pixels = _last_pixel_data(reader, encoding, location.start) if is_end else None
        is_end = is_end and (pixels is None or pixels.end <= position)
    return position if is_end else reader.size


def _is_whole(
    reader: ElementReader, pixels: Element, found: Mapping[int, Element], encoding: Encoding
) -> bool:
    """Return whether pixel data is as long as its description requires (PS3.3 C.7.6.3)."""
    if reader.bytes_at(pixels.value - 4, pixels.value) == UNDEFINED_LENGTH.to_bytes(4):
        return True
    bits = 1
    for tag in _FACTORS:
        if element := found.get(tag):
            end = min(element.end, element.value + _SIZE_OF_FACTOR)
            bits *= reader.number(element.value, end, encoding)
    if element := found.get(_FRAMES):
        frames = reader.text(element.value, min(element.end, element.value + _SIZE_OF_FRAMES))
        bits *= int(frames) if frames.isdecimal() else 1
    return bits <= 8 * (pixels.end - pixels.value)


def _continues(reader: ElementReader, start: int, previous: int, encoding: Encoding) -> bool:
    """Return whether the bytes at `start` look like a damaged or truncated element."""
    tag = reader.tag_at(start, encoding) or 0
    if not previous < tag < ITEM:
        return False
    group, number = tag >> 16, tag & 0xFFFF
    is_private = group % 2 == 1 and (number <= _LAST_CREATOR or group == previous >> 16)
    is_explicit = not encoding.implicit and reader.has_vr(start)
    return is_private or is_explicit or _is_in_dictionary(tag)


def check_integrity(
    reader: ElementReader, location: DatasetLocation, scan: Scan, insert_at: int | None
) -> Unreadable | tuple[list[Reason], bool]:
    """Return why a dataset cannot be sent, or remarks and whether it is sound.

    A sound dataset consists only of ordered elements and padding. A truncated file cannot be sent.
    Nor can a dataset that is damaged around `insert_at`, where elements will be inserted. Values of
    odd length are allowed here. `scan` has passed all elements, and noted those of NOTED.
    """
    encoding = location.encoding
    tags = {element.tag for element in scan.noted}
    pixels = None
    if scan.end != reader.size or _PIXEL_DATA not in tags:
        pixels = _last_pixel_data(reader, encoding, scan.end)
        pixels = pixels or _last_pixel_data(reader, encoding, location.start)
    if pixels:
        starts = {element.start for element in scan.noted if element.tag == _PIXEL_DATA}
        is_sound = scan.is_ordered and pixels.start in {*starts, scan.end}
        if is_sound or insert_at is None:
            return [], is_sound
    elif scan.is_ordered and scan.end == reader.size:
        return _remarks(tags), True
    found, missing, damage = _survey(reader, location, pixels)
    if missing and not pixels:
        return Unreadable(Reason(Kind.TRUNCATED, missing))
    if insert_at is not None and damage is not None:
        return Unreadable(Reason(Kind.DAMAGED, str(damage)))
    is_sound = damage is None
    return _remarks(found) if is_sound else [], is_sound


def check_pixel_data(location: DatasetLocation, scan: Scan) -> Unreadable | list[Reason]:
    """Return remarks on Pixel Data, or why its image cannot be sent (PS3.5 A.4).

    Without fragments in a compressed transfer syntax, it would end the association. Fragments in
    an uncompressed one are rejected by some servers only. Icons in sequences may be of either kind.
    """
    uid = location.transfer_syntax_uid
    if _PIXEL_DATA in scan.undefined:
        if uid not in NATIVE:
            return []
        detail = f"encapsulated, but {name_of(uid)} rules that out"
        return [Reason(Kind.PIXEL_DATA_ENCODING, detail)]
    if uid in ENCAPSULATED and any(element.tag == _PIXEL_DATA for element in scan.noted):
        detail = f"not encapsulated, but {name_of(uid)} requires that"
        return Unreadable(Reason(Kind.PIXEL_DATA_ENCODING, detail))
    return []


def _remarks(tags: set[int]) -> list[Reason]:
    is_incomplete = tags >= _DESCRIPTION and not tags & _PIXELS_OR_URL
    return [Reason(Kind.NO_PIXEL_DATA)] if is_incomplete else []


def _last_pixel_data(reader: ElementReader, encoding: Encoding, start: int) -> Span | None:
    """Return the range of Pixel Data that meets the end of the file, soon after `start`.

    The search covers the part of the file in memory. The file may end with padding.
    """
    layout = LAYOUTS[encoding.little].tag
    tag = layout.pack(_PIXEL_DATA >> 16, _PIXEL_DATA & 0xFFFF)
    header = MIN_HEADER if encoding.implicit else MAX_HEADER
    for _ in range(_MAX_CANDIDATES):
        start = reader.find(tag, start)
        if start < 0:
            return None
        value = start + header
        length = reader.number(value - 4, value, encoding)
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
    if _is_padding(reader, start):
        return True
    with suppress(MalformedError):
        for tag, _, _, end in reader.walk(start, encoding):
            return tag == _TRAILING_PADDING and end == reader.size
    return False


def _is_plausible(reader: ElementReader, tag: int, start: int, encoding: Encoding) -> bool:
    """Return whether the element at `start` may be a DICOM element."""
    if encoding.implicit:
        return _is_in_dictionary(tag) or bool(tag >> 16 & 1) or not tag & 0xFFFF
    return reader.has_vr(start)


def _is_in_dictionary(tag: int) -> bool:
    """Return whether an element is in the dictionary, counting repeating groups."""
    return is_known(tag) or tag >> 24 in _REPEATING_GROUPS


def _survey(
    reader: ElementReader, location: DatasetLocation, pixels: Span | None
) -> tuple[set[int], str, int | None]:
    """Walk over all elements, and return tags, truncation and damage; sequences may hold `pixels`.

    The tags are those of NOTED that were found. The text names what a truncated file lacks. Damage
    is the offset of the first byte that is not part of an element in order or of padding, or None.
    """
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
                hides_pixels or not _is_element(reader, element, previous, encoding)
            ):
                damage = start
            if end > size:
                if not encoding.implicit or (_is_in_dictionary(tag) and tag > previous):
                    total = quantity(end - value, "byte")
                    missing = f"{_name(tag, encoding)} has {size - value:,} of {total}"
                break
            if tag in NOTED:
                found.add(tag)
            position, previous = end, tag
        else:
            if damage is None and not _is_padding(reader, position):
                damage = position
            if not found & _PIXELS_OR_URL and _is_start_of_header(
                reader, encoding, position, previous
            ):
                damage = position if damage is None else damage
                missing = "it ends within the header of an element"
    except TruncatedError:
        damage = position if damage is None else damage
        tag = reader.tag_at(position, encoding) or 0
        if tag > previous and _is_plausible(reader, tag, position, encoding):
            missing = f"it ends within {_name(tag, encoding)}"
    except MalformedError:
        damage = position if damage is None else damage
    return found, missing, damage


def _is_element(reader: ElementReader, element: Element, previous: int, encoding: Encoding) -> bool:
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
    while value + MIN_HEADER <= end and _holds_items(reader, value):
        inner = reader.item_encoding(value, encoding)
        length = reader.number(value + 4, value + MIN_HEADER, inner)
        if length == UNDEFINED_LENGTH:
            return False
        value += MIN_HEADER + length
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


def _is_padding(reader: ElementReader, start: int) -> bool:
    """Return whether no element follows: less than a header, or only zeros to the end."""
    if reader.size - start < MIN_HEADER:
        return True
    return all(
        not any(reader.bytes_at(at, min(at + _CHUNK, reader.size)))
        for at in range(start, reader.size, _CHUNK)
    )


def _is_start_of_header(reader: ElementReader, encoding: Encoding, start: int, tag: int) -> bool:
    """Return whether the last bytes may be an incomplete header of an element after `tag`."""
    group = reader.number(start, start + 2, encoding)
    return 2 <= reader.size - start < MIN_HEADER and group >= tag >> 16
