"""Datasets in answers: the DICOM JSON Model and the Native DICOM Model in XML.

PS3.18 F, PS3.19 A.1. Servers often name another type than they send, or none, so the first
character decides.
"""

import json
import re
from collections.abc import Mapping, Sequence
from html import unescape
from typing import Any, Union
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

MAX_BRACKETS = 200_000
"""Maximum number of values in brackets: each costs memory. An answer for 200 images has 8,000."""
MAX_TITLE = 200
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,2000})", re.IGNORECASE)
_TAG = re.compile(r"[0-9A-Fa-f]{8}")

Value = Union[str, int, "Dataset"]
Dataset = Mapping[str, Sequence[Value]]
"""Values by tag, in eight upper-case hexadecimal digits."""


def read(body: bytes) -> list[Dataset] | None:
    """Return the datasets in the body of an answer, None if it is something else."""
    text = body.decode("utf-8-sig", "replace").strip()
    if sum(map(text.count, "{[<")) > MAX_BRACKETS:
        return None
    try:
        if text.startswith(("{", "[")):
            found = json.loads(text)
            return [_of_json(one) for one in (found if isinstance(found, list) else [found])]
        return [_of_xml(text)] if text.startswith("<") else None
    except (ValueError, RecursionError, ElementTree.ParseError):
        return None


def title(body: bytes) -> str:
    """Return the title of an HTML page on one line, empty without one."""
    found = _TITLE.search(body[: 1 << 16].decode("utf-8", "replace"))
    return " ".join(unescape(found[1]).split())[:MAX_TITLE] if found else ""


def texts(dataset: Dataset, tag: str) -> list[str]:
    """Return the texts of an element, without padding."""
    values = dataset.get(tag, ())
    return [value.strip(" \0") for value in values if isinstance(value, str)]


def items(dataset: Dataset, tag: str) -> list[Dataset]:
    """Return the items of a sequence."""
    return [value for value in dataset.get(tag, ()) if isinstance(value, Mapping)]


def number(dataset: Dataset, tag: str) -> int | None:
    """Return the first number of an element, None if it has none."""
    for value in dataset.get(tag, ()):
        if isinstance(value, int):
            return value
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            return int(value.strip()[:9])
    return None


def _of_json(found: Any) -> Dataset:
    """Return a dataset of the DICOM JSON Model. Raises ValueError if it is none."""
    if not isinstance(found, Mapping):
        raise ValueError
    return {
        tag.upper(): [_value(value) for value in element.get("Value") or ()]
        for tag, element in found.items()
        if _TAG.fullmatch(tag)
        and isinstance(element, Mapping)
        and isinstance(element.get("Value") or [], list)
    }


def _value(found: Any) -> Value:
    if isinstance(found, Mapping):
        return _of_json(found)
    return found if isinstance(found, str | int) else str(found)[:MAX_TITLE]


def _of_xml(text: str) -> Dataset:
    """Return a dataset of the Native DICOM Model. Raises ValueError or ParseError if it is none.

    A document type could define entities that grow without bound, so it is refused.
    """
    if "<!DOCTYPE" in text:
        raise ValueError
    root = ElementTree.fromstring(text)  # noqa: S314  (there is no document type)
    if _name(root) != "NativeDicomModel":
        raise ValueError
    return _of_element(root)


def _of_element(element: Element) -> Dataset:
    """Return the dataset in the root or in an item. Raises RecursionError if it is too deep."""
    return {
        attribute.get("tag", "").upper(): [
            _of_element(value) if _name(value) == "Item" else value.text or ""
            for value in attribute
            if _name(value) in {"Item", "Value"}
        ]
        for attribute in element
        if _name(attribute) == "DicomAttribute"
    }


def _name(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]
