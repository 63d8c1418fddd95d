"""The end of a dataset in a file that continues after it.

Some programs append zeros, text, or another file. Such bytes are not part of the dataset, so they
are not sent. If they may be the rest of a damaged or truncated dataset, the file is the dataset.
"""

from collections.abc import Mapping
from contextlib import suppress

from .elements import Element, ElementReader
from .headers import ITEM, UNDEFINED_LENGTH, Encoding, MalformedError
from .integrity import (
    PIXELS,
    is_element,
    is_in_dictionary,
    is_padding,
    is_start_of_header,
    last_pixel_data,
)
from .part10 import DatasetLocation

_PIXELS = PIXELS - {0x00287FE0}
"""All kinds of pixel data, without Pixel Data Provider URL."""
_FRAMES = 0x00280008
_FACTORS = (0x00280002, 0x00280010, 0x00280011, 0x00280100)
"""Samples per Pixel, Rows, Columns, Bits Allocated."""
_SIZE_OF_FACTOR, _SIZE_OF_FRAMES = 2, 12
_FIRST_META = 0x00020000
_LAST_CREATOR = 0xFF
_PREAMBLE = 128
_PREFIX = b"DICM"


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
            if (is_whole and tag in (first, _FIRST_META)) or not is_element(
                reader, element, previous, encoding
            ):
                break
            if tag == _FRAMES or tag in _FACTORS or tag in _PIXELS:
                found[tag] = element
            if tag in _PIXELS:
                is_whole = _is_whole(reader, element, found, encoding)
            first, previous = tag if first < 0 else first, tag
            position = element.end
    if _starts_file(reader, position):
        return position
    if is_whole:
        is_end = not _continues(reader, position, previous, encoding)
    else:
        is_end = (
            not found.keys() & _PIXELS
            and is_padding(reader, position)
            and not is_start_of_header(reader, encoding, position, previous)
        )
        # Zeros may be black pixels whose element a damaged length hides.
        pixels = last_pixel_data(reader, encoding, location.start) if is_end else None
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


def _starts_file(reader: ElementReader, start: int) -> bool:
    """Return whether a DICOM file starts at `start`, with or without preamble (PS3.10 7.1)."""
    head = reader.bytes_at(start, start + _PREAMBLE + len(_PREFIX))
    return _PREFIX in (head[: len(_PREFIX)], head[_PREAMBLE:])


def _continues(reader: ElementReader, start: int, previous: int, encoding: Encoding) -> bool:
    """Return whether the bytes at `start` look like a damaged or truncated element."""
    tag = reader.tag_at(start, encoding) or 0
    if not previous < tag < ITEM:
        return False
    group, number = tag >> 16, tag & 0xFFFF
    is_private = group % 2 == 1 and (number <= _LAST_CREATOR or group == previous >> 16)
    is_explicit = not encoding.implicit and reader.has_vr(start)
    return is_private or is_explicit or is_in_dictionary(tag)
