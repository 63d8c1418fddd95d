"""Insertion of the private element into an encoded dataset (PS3.5 7.8).

Apart from repairs, only the new creator, the new element and the length of their group differ from
the original.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from struct import pack
from typing import BinaryIO

from ..reasons import OUT_OF_MEMORY, Kind, Reason
from .deflate import InflatedTooLargeError, InflationError, deflate, inflate
from .elements import (
    ITEM,
    UNDEFINED_LENGTH,
    Element,
    ElementReader,
    Encoding,
    MalformedError,
    Scan,
    TruncatedError,
)
from .integrity import NOTED, check_integrity, check_pixel_data
from .odd_lengths import odd_length_patches
from .part10 import DatasetLocation, locate
from .privacy import LAST_GROUP, Identity, identity_tags
from .temporary_files import NO_ROOM, Room, retry_when_full, write_temporary_file
from .types import EncodedDataset, Patch, PrivateTag, SOPInstance, Span, Unreadable
from .uids import DEFLATED

_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_UIDS = (_SOP_CLASS_UID, _SOP_INSTANCE_UID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID)
_PATIENT_GROUP = 0x0010
_MAX_UID = 64
_MAX_READ = 1 << 16
_CHUNK = 1 << 20


@dataclass(frozen=True)
class _Header:
    """Elements of a dataset up to the end of the private group, which ends at `stop`.

    `scan` is the scan over the whole dataset that found them.
    """

    uids: dict[int, str]
    group: tuple[Element, ...]
    stop: int
    scan: Scan


def stamp(
    content: BinaryIO, tag: PrivateTag | None, work: Path, room: Room = NO_ROOM
) -> SOPInstance | Unreadable:
    """Return the dataset of a DICOM file with the private element inserted.

    An existing block of the creator is reused; otherwise the first free block is used. A dataset
    that already has the element is not changed. A deflated dataset is unpacked in `work`, once
    there is `room`. `content` becomes part of the result, or is closed.
    """
    try:
        location = locate(content)
        if location.transfer_syntax_uid in DEFLATED:
            instance = retry_when_full(room, lambda: _stamp_deflated(content, location, tag, work))
        else:
            instance = _stamp(content, location, tag)
    except (InflatedTooLargeError, MemoryError) as exc:
        instance = Unreadable(Reason(Kind.IMAGE_TOO_LARGE, str(exc) or OUT_OF_MEMORY))
    except (MalformedError, InflationError) as exc:
        instance = Unreadable(Reason(Kind.MALFORMED, str(exc)))
    except OSError as exc:
        instance = Unreadable(Reason(Kind.DATASET_UNREADABLE, exc.strerror or str(exc)))
    if isinstance(instance, Unreadable):
        content.close()
    return instance


def _stamp(
    content: BinaryIO, location: DatasetLocation, tag: PrivateTag | None
) -> SOPInstance | Unreadable:
    reader = ElementReader(content)
    size = reader.size
    header = _read_header(reader, location, tag.group if tag else 0)
    added = _elements_to_add(reader, header, tag) if tag else []
    integrity = check_integrity(reader, location, header.scan, header.stop if added else None)
    if isinstance(integrity, Unreadable):
        return integrity
    pixel_remarks = check_pixel_data(location, header.scan)
    if isinstance(pixel_remarks, Unreadable):
        return pixel_remarks
    for name, uid in (
        ("SOP Class UID", header.uids[_SOP_CLASS_UID]),
        ("SOP Instance UID", header.uids[_SOP_INSTANCE_UID]),
        ("Transfer Syntax UID", location.transfer_syntax_uid),
    ):
        if not uid:
            return Unreadable(Reason(Kind.MISSING_UID, name))
        if len(uid) > _MAX_UID or not (uid.isascii() and uid.isprintable()):
            return Unreadable(Reason(Kind.INVALID_UID, name))
    if tag and added is None:
        return Unreadable(Reason(Kind.NO_PRIVATE_BLOCK, f"{tag.group:04X}"))
    patches: list[Patch] = []
    is_odd = (size - location.start) % 2
    if integrity.is_sound and (reader.has_odd_length or is_odd):
        patches = odd_length_patches(reader, location.start, location.encoding)
    elif is_odd:
        patches = [Patch(size, size, b"\0")]
    remarks = (*integrity.remarks, *pixel_remarks)
    if patches:
        remarks = (*remarks, Reason(Kind.REPAIRED))
    return SOPInstance(
        header.uids[_SOP_CLASS_UID],
        header.uids[_SOP_INSTANCE_UID],
        location.transfer_syntax_uid,
        EncodedDataset(content, tuple(_splice(header, location, added or [], patches, size))),
        partial(_read_identity, reader, location),
        header.uids[_STUDY_INSTANCE_UID],
        header.uids[_SERIES_INSTANCE_UID],
        remarks,
    )


def _read_header(reader: ElementReader, location: DatasetLocation, group: int) -> _Header:
    """Scan the dataset up to any damage, and return its elements up to the end of `group`.

    Raises MalformedError for damage up to `group` or the patient group, whichever is later. Later
    elements may be damaged or missing.
    """
    scan = Scan(location.start)
    try:
        reader.advance(scan, location.encoding, _marks(group), group)
    except TruncatedError:
        pass
    except MalformedError:
        if scan.last_tag >> 16 <= max(group, _PATIENT_GROUP):
            raise
    uids = dict.fromkeys(_UIDS, "")
    group_elements: list[Element] = []
    stop = -1
    for element in scan.noted:
        element_group = element.tag >> 16
        if element_group == group:
            group_elements.append(element)
            stop = element.end if stop >= 0 else stop
        elif element_group > group and stop < 0:
            stop = element.start
        if element.tag in uids:
            uids[element.tag] = reader.text(element.value, element.end)
    return _Header(uids, tuple(group_elements), scan.end if stop < 0 else stop, scan)


@lru_cache
def _marks(group: int) -> tuple[int, ...]:
    """Return the tags to note in a scan of a dataset."""
    return tuple(sorted({*_UIDS, *NOTED, group << 16, group + 1 << 16, ITEM}))


def _read_identity(reader: ElementReader, location: DatasetLocation) -> Identity:
    """Return the values that must not be quoted, up to the pixel data or to damage."""
    values: dict[int, bytes] = {}
    wanted = identity_tags()
    try:
        for tag, _, value, end in reader.walk(location.start, location.encoding, LAST_GROUP):
            if tag in wanted:
                values[tag] = reader.bytes_at(value, min(end, value + _MAX_READ))
    except MalformedError:
        pass
    except (OSError, ValueError):  # unreadable or closed
        return Identity(is_known=False)
    return Identity.of(values)


def _elements_to_add(
    reader: ElementReader, header: _Header, tag: PrivateTag
) -> list[tuple[int, str]] | None:
    """Return the missing elements: none if the dataset has them, None if no block is free."""
    creators = {e.tag & 0xFFFF: e for e in header.group if 0x10 <= e.tag & 0xFFFF <= 0xFF}
    in_use = {(e.tag & 0xFFFF) >> 8 for e in header.group}
    first = tag.group << 16
    free = []
    for block, creator in sorted(creators.items()):
        if reader.text(creator.value, creator.end) != tag.creator:
            continue
        inside = {e.tag: e for e in header.group if (e.tag & 0xFFFF) >> 8 == block}
        if any(reader.text(e.value, e.end) == tag.value for e in inside.values()):
            return []
        numbers = range(first | block << 8, (first | block << 8) + 0x100)
        free += [number for number in numbers if number not in inside]
    if free:
        return [(free[0], tag.value)]
    for block in range(0x10, 0x100):
        if block not in creators and block not in in_use:
            return [(first | block, tag.creator), (first | block << 8, tag.value)]
    return None


def _splice(
    header: _Header,
    location: DatasetLocation,
    added: list[tuple[int, str]],
    repairs: list[Patch],
    size: int,
) -> Iterator[bytes | Span]:
    """Yield the repaired dataset in pieces, with the added elements in ascending tag order."""
    new = [(number, _encode(number, text, location.encoding)) for number, text in added]
    patches = [
        Patch(at := next((e.start for e in header.group if e.tag > number), header.stop), at, data)
        for number, data in new
    ]
    length = header.group[0] if new and header.group else None
    if length and length.tag & 0xFFFF == 0 and length.end - length.value == 4:
        inner = [
            patch for patch in repairs if length.end <= patch.start and patch.end <= header.stop
        ]
        repairs = [patch for patch in repairs if patch.start != length.value]
        total = header.stop - length.end
        total += sum(len(patch.data) - (patch.end - patch.start) for patch in (*inner, *patches))
        if total < UNDEFINED_LENGTH:
            order = "<" if location.encoding.little else ">"
            patches.append(Patch(length.value, length.end, pack(order + "L", total)))
    position = location.start
    # At the same offset, the padding of one element precedes the header of the next.
    for patch in sorted((*repairs, *patches), key=lambda patch: (patch.start, patch.end)):
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
    content: BinaryIO, location: DatasetLocation, tag: PrivateTag | None, work: Path
) -> SOPInstance | Unreadable:
    """Stamp a dataset that is one deflated stream (PS3.5 A.5)."""
    end = content.seek(0, 2)
    original = EncodedDataset(content, (Span(min(location.start, end), end),))
    with write_temporary_file(inflate(original.blocks(_CHUNK)), work) as inflated:
        instance = _stamp(inflated, replace(location, start=0), tag)
        if isinstance(instance, Unreadable):
            return instance
        identity = instance.read_identity()
        instance = replace(instance, read_identity=lambda: identity)
        if len(instance.dataset.pieces) == 1:
            if original.size % 2 == 0:
                return replace(instance, dataset=original)
            padded = EncodedDataset(content, (*original.pieces, b"\0"))
            remarks = (*instance.remarks, Reason(Kind.REPAIRED))
            return replace(instance, dataset=padded, remarks=remarks)
        deflated = write_temporary_file(deflate(instance.dataset.blocks(_CHUNK)), work)
    content.close()
    size = deflated.seek(0, 2)
    return replace(instance, dataset=EncodedDataset(deflated, (Span(0, size),)))
