"""Comparison of received files with the sent files."""

import io

import pydicom
from pydicom.dataset import Dataset

GROUP_LENGTH = 0x0000


def added_elements(source: bytes, received: bytes) -> list[tuple[int, str]]:
    """Return the tags and texts that only `received` has, of two DICOM files.

    Fail if an element is missing or has a different value. Group lengths are ignored, because a
    server may drop them.
    """
    before, after = _read(source), _read(received)
    missing = [element.tag for element in before if element.tag not in after]
    assert not missing, f"elements are missing: {missing}"
    changed = [e.tag for e in before if not _is_same(e, after[e.tag])]
    assert not changed, f"elements have changed: {changed}"
    return [(int(e.tag), _text(e.value)) for e in after if e.tag not in before]


def _text(value: str | bytes) -> str:
    """Return a value; a private element in implicit VR is read as bytes."""
    return value.decode().rstrip() if isinstance(value, bytes) else value


def _read(file: bytes) -> Dataset:
    dataset = pydicom.dcmread(io.BytesIO(file), force=True)
    for tag in [tag for tag in dataset.keys() if tag.element == GROUP_LENGTH]:  # noqa: SIM118
        del dataset[tag]
    return dataset


def _is_same(one: pydicom.DataElement, other: pydicom.DataElement) -> bool:
    if one.VR == "SQ":
        items, others = list(one.value), list(other.value)
        return len(items) == len(others) and all(
            a.keys() == b.keys() and all(_is_same(element, b[element.tag]) for element in a)
            for a, b in zip(items, others, strict=True)
        )
    return bool(one.value == other.value) and one.VR == other.VR
