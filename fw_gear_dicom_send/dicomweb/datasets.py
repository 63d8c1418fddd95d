"""Datasets in answers: the DICOM JSON Model and the Native DICOM Model in XML.

PS3.18 F, PS3.19 A.1. Servers often name another type than they send, or none, so the first
character decides.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Union
from xml.parsers import expat

MAX_DEPTH = 32
"""Maximum number of elements in each other in XML. An answer needs nine."""
MAX_TITLE = 200
MAX_NUMBER = 0xFFFF
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,2000})", re.IGNORECASE)
_TAG = re.compile(r"[0-9A-Fa-f]{8}")

Value = Union[str, int, "Dataset"]
Dataset = Mapping[str, Sequence[Value]]
"""Values by tag, in eight upper-case hexadecimal digits."""


def read(body: bytes) -> list[Dataset] | None:
    """Return the datasets in the body of an answer, None if it is something else."""
    text = body.decode("utf-8-sig", "replace").strip()
    try:
        if text.startswith(("{", "[")):
            found = json.loads(text)
            return [_of_json(one) for one in (found if isinstance(found, list) else [found])]
        return [_of_xml(text)] if text.startswith("<") else None
    except (ValueError, RecursionError, expat.ExpatError):
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
    """Return the first 16-bit number of an element, also one in a text, None if it has none."""
    for value in dataset.get(tag, ()):
        text = str(value).strip() if isinstance(value, int | str) else ""
        if text.isascii() and text.isdigit() and (found := int(text[:9])) <= MAX_NUMBER:
            return found
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


@dataclass
class _XMLReader:
    """Reader of the Native DICOM Model. `stack` has the open datasets, with their open tags."""

    stack: list[tuple[dict[str, list[Value]], list[str]]] = field(default_factory=list)
    depth: int = 0
    root: dict[str, list[Value]] | None = None
    text: list[str] | None = None

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Open an element."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError
        match name.rpartition(":")[2]:
            case "NativeDicomModel" if self.root is None:
                self.root = {}
                self.stack.append((self.root, []))
            case "DicomAttribute" if self.stack:
                tag = attributes.get("tag", "").upper()
                self.stack[-1][1].append(tag)
                self.stack[-1][0].setdefault(tag, [])
            case "Item" if self.stack and self.stack[-1][1]:
                inner: dict[str, list[Value]] = {}
                self._add(inner)
                self.stack.append((inner, []))
            case "Value":
                self.text = []

    def end(self, name: str) -> None:
        """Close an element."""
        self.depth -= 1
        match name.rpartition(":")[2]:
            case "DicomAttribute" if self.stack and self.stack[-1][1]:
                self.stack[-1][1].pop()
            case "Item" if len(self.stack) > 1:
                self.stack.pop()
            case "Value" if self.text is not None:
                if self.stack and self.stack[-1][1]:
                    self._add("".join(self.text))
                self.text = None

    def characters(self, text: str) -> None:
        """Add text to the open value."""
        if self.text is not None:
            self.text.append(text)

    def _add(self, value: Value) -> None:
        dataset, tags = self.stack[-1]
        dataset[tags[-1]].append(value)


def _of_xml(text: str) -> Dataset:
    """Return a dataset of the Native DICOM Model. Raises ValueError or ExpatError if it is none.

    A document type could define entities that grow without bound, so none is accepted.
    """
    if "<!DOCTYPE" in text:
        raise ValueError
    reader, parser = _XMLReader(), expat.ParserCreate("utf-8")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.Parse(text.encode(), True)
    if reader.root is None:
        raise ValueError
    return reader.root
