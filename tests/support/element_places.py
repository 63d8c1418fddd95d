"""Positions of the elements of a file, according to pydicom."""

from io import BytesIO
from struct import pack

import pydicom
from pydicom.dataelem import RawDataElement


def element_starts(file: bytes) -> list[int]:
    """Return the offset of each top-level element of an undamaged dataset, ascending."""
    dataset = pydicom.dcmread(BytesIO(file))
    order = "<" if dataset.is_little_endian else ">"
    starts = []
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        is_raw = isinstance(element, RawDataElement)
        value = element.value_tell if is_raw else element.file_tell  # type: ignore[attr-defined]
        encoded = pack(order + "HH", tag.group, tag.element)
        sizes = [size for size in (8, 12) if file.startswith(encoded, value - size)]  # type: ignore[operator]
        starts.append(value - sizes[0])  # type: ignore[operator]
    return sorted(starts)
