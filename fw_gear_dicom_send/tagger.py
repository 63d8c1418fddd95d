"""Splices the private element into an encoded dataset (PS3.5 7.8).

Every byte that is not the new creator, the new element or the group length of
their group stays as it was.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from struct import pack
from typing import BinaryIO

from pydicom.datadict import tag_for_keyword
from pydicom.uid import DeflatedExplicitVRLittleEndian

from .elements import Element, ElementReader, Encoding, MalformedError
from .models import EncodedDataset, PrivateTag, SOPInstance, Span, Unreadable
from .part10 import DatasetLocation, locate
from .spool import spool

_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_SAYS_WHO = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "OtherPatientIDs",
        "OtherPatientNames",
        "PatientBirthName",
        "PatientAddress",
        "PatientMotherBirthName",
        "PatientTelephoneNumbers",
    )
)
_LONGEST_UID = 64
_CHUNK = 1 << 20
_LARGEST_INFLATED = 16 << 30


@dataclass(frozen=True)
class _Header:
    """What a dataset holds up to the end of the tag's group, which ends at `stop`."""

    sop_class_uid: str
    sop_instance_uid: str
    identifying: frozenset[str]
    group: tuple[Element, ...]
    stop: int


@dataclass(frozen=True)
class _Patch:
    """Bytes that come in place of those from `start` to `end`."""

    start: int
    end: int
    data: bytes


def stamp(content: BinaryIO, tag: PrivateTag, work: Path) -> SOPInstance | Unreadable:
    """Return the dataset of a DICOM file with the private element in it.

    An existing block of the creator is reused, else the first free one is taken; a
    dataset that has the element already is left alone. `content` becomes part of
    what is returned, or is closed. A deflated dataset is unpacked in `work`.
    """
    try:
        location = locate(content)
        if location.transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
            return _stamp_deflated(content, location, tag, work)
        instance = _stamp(content, location, tag)
    except (MalformedError, zlib.error) as exc:
        instance = Unreadable(f"the dataset is malformed: {exc}")
    except OSError as exc:
        instance = Unreadable(f"the dataset could not be read or unpacked: {exc.strerror}")
    if isinstance(instance, Unreadable):
        content.close()
    return instance


def _stamp(
    content: BinaryIO, location: DatasetLocation, tag: PrivateTag
) -> SOPInstance | Unreadable:
    size = content.seek(0, 2)
    reader = ElementReader(content)
    header = _read_header(reader, location, tag.group, size)
    if not header.sop_class_uid or not header.sop_instance_uid:
        missing = "SOP Instance UID" if header.sop_class_uid else "SOP Class UID"
        return Unreadable(f"it has no {missing}")
    if max(len(header.sop_class_uid), len(header.sop_instance_uid)) > _LONGEST_UID:
        return Unreadable("its SOP Class or Instance UID is longer than 64 characters")
    added = _elements_to_add(reader, header, tag)
    if added is None:
        return Unreadable(f"group {tag.group:04X} has no free private block")
    return SOPInstance(
        header.sop_class_uid,
        header.sop_instance_uid,
        location.transfer_syntax_uid,
        EncodedDataset(content, tuple(_splice(header, location, added, size))),
        header.identifying,
    )


def _read_header(
    reader: ElementReader, location: DatasetLocation, group: int, size: int
) -> _Header:
    """Walk to the end of `group`; raise MalformedError if the file ends before."""
    uids = {_SOP_CLASS_UID: "", _SOP_INSTANCE_UID: ""}
    identifying: set[str] = set()
    ours = []
    stop = location.start
    for element in reader.walk(location.start, location.encoding):
        element_group = element.tag >> 16
        if element_group > group:
            break
        if element.end > size:
            raise MalformedError("it is cut short")
        stop = element.end
        if element_group == group:
            ours.append(element)
        elif element.tag in uids:
            uids[element.tag] = _text(reader, element)
        elif element.tag in _SAYS_WHO:
            words = re.split(r"[\s^=\\]+", _text(reader, element).lower())
            identifying.update(word for word in words if len(word) > 1)
    return _Header(
        uids[_SOP_CLASS_UID], uids[_SOP_INSTANCE_UID], frozenset(identifying), tuple(ours), stop
    )


def _text(reader: ElementReader, element: Element) -> str:
    return reader.bytes_at(element.value, element.end).decode("utf-8", "replace").strip(" \0")


def _elements_to_add(
    reader: ElementReader, header: _Header, tag: PrivateTag
) -> list[tuple[int, str]] | None:
    """Return the missing elements, none if it is tagged, None if there is no room."""
    creators = {e.tag & 0xFFFF: e for e in header.group if 0x10 <= e.tag & 0xFFFF <= 0xFF}
    in_use = {(e.tag & 0xFFFF) >> 8 for e in header.group}
    first = tag.group << 16
    for block, creator in creators.items():
        if _text(reader, creator) != tag.creator:
            continue
        inside = {e.tag: e for e in header.group if (e.tag & 0xFFFF) >> 8 == block}
        if any(_text(reader, e) == tag.value for e in inside.values()):
            return []
        numbers = range(first | block << 8, (first | block << 8) + 0x100)
        free = next((number for number in numbers if number not in inside), None)
        if free is not None:
            return [(free, tag.value)]
    for block in range(0x10, 0x100):
        if block not in creators and block not in in_use:
            return [(first | block, tag.creator), (first | block << 8, tag.value)]
    return None


def _splice(
    header: _Header, location: DatasetLocation, added: list[tuple[int, str]], size: int
) -> Iterator[bytes | Span]:
    """Yield the dataset in pieces, the added elements in ascending tag order."""
    new = [(number, _encode(number, text, location.encoding)) for number, text in added]
    patches = [
        _Patch(at := next((e.start for e in header.group if e.tag > number), header.stop), at, data)
        for number, data in new
    ]
    if new and header.group and header.group[0].tag & 0xFFFF == 0:
        length = header.group[0]
        total = header.stop - length.end + sum(len(data) for _, data in new)
        order = "<" if location.encoding.little else ">"
        patches.insert(0, _Patch(length.value, length.end, pack(order + "L", total)))
    position = location.start
    for patch in patches:
        yield Span(position, patch.start)
        yield patch.data
        position = patch.end
    yield Span(position, size)


def _encode(number: int, text: str, encoding: Encoding) -> bytes:
    """Encode an element of VR LO, padded to even length (PS3.5 6.2, 7.1)."""
    value = text.encode("ascii")
    value += b" " * (len(value) % 2)
    order = "<" if encoding.little else ">"
    start = pack(order + "HH", number >> 16, number & 0xFFFF)
    if encoding.implicit:
        return start + pack(order + "L", len(value)) + value
    return start + b"LO" + pack(order + "H", len(value)) + value


def _stamp_deflated(
    content: BinaryIO, location: DatasetLocation, tag: PrivateTag, work: Path
) -> SOPInstance | Unreadable:
    """Stamp a dataset that is one deflated stream (PS3.5 A.5)."""
    end = content.seek(0, 2)
    whole = EncodedDataset(content, (Span(location.start, end),))
    inflated = spool(_inflate(whole.chunks(_CHUNK)), work)
    instance = _stamp(inflated, replace(location, start=0), tag)
    if isinstance(instance, Unreadable):
        inflated.close()
        return instance
    if len(instance.dataset.pieces) == 1:
        inflated.close()
        return replace(instance, dataset=whole)
    deflated = spool(_deflate(instance.dataset.chunks(_CHUNK)), work)
    inflated.close()
    content.close()
    size = deflated.seek(0, 2)
    return replace(instance, dataset=EncodedDataset(deflated, (Span(0, size),)))


def _inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what a deflated stream holds; raise MalformedError if it is cut or too long."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    for chunk in chunks:
        data = inflater.decompress(chunk, _CHUNK)
        while data:
            total += len(data)
            if total > _LARGEST_INFLATED:
                raise MalformedError("it inflates to more than 16 GiB")
            yield data
            data = inflater.decompress(inflater.unconsumed_tail, _CHUNK)
    if not inflater.eof:
        raise MalformedError("its deflated stream is cut short")


def _deflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the deflated stream of `chunks`, padded to even length."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    size = 0
    for chunk in chunks:
        data = deflater.compress(chunk)
        size += len(data)
        yield data
    data = deflater.flush()
    yield data + b"\0" * ((size + len(data)) % 2)
