"""Insertion of the private element into an encoded dataset (PS3.5 7.8).

Apart from repairs, only the new creator, the new element and the length of their group differ from
the original.
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO

from ..reasons import OUT_OF_MEMORY, Kind, Reason
from ..text import quantity
from ..values import frozen, replace
from .deflate import InflatedTooLargeError, InflationError, deflate, inflate
from .elements import Element, ElementReader, Scan
from .headers import ITEM, LAYOUTS, UNDEFINED_LENGTH, Encoding, MalformedError, TruncatedError
from .integrity import NOTED, check_integrity, check_pixel_data, end_of_dataset
from .odd_lengths import odd_length_patches
from .part10 import DatasetLocation, locate
from .privacy import LAST_GROUP, Identity, identity_tags
from .temporary_files import is_full, write_temporary_file
from .types import EncodedDataset, Patch, PrivateTag, SOPInstance, Span, Unreadable
from .uids import DEFLATED

_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_UIDS = (_SOP_CLASS_UID, _SOP_INSTANCE_UID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID)
_PATIENT_GROUP, _PATIENT_ID = 0x0010, 0x00100020
_MAX_UID = 64
_MAX_READ = 1 << 16
_CHUNK = 1 << 20
_SIZE_OF_GROUP_LENGTH = 4


@frozen
class _Header:
    """UIDs of a dataset, and the elements of the private group, which ends at `stop`."""

    uids: dict[int, str]
    patient: int
    group: tuple[Element, ...]
    stop: int


def stamp(content: BinaryIO, tag: PrivateTag | None, work: Path) -> SOPInstance | Unreadable:
    """Return the dataset of a DICOM file with the private element inserted.

    An existing block of the creator is reused; otherwise the first free block is used. A dataset
    that already has the element is not changed. A deflated dataset is unpacked in `work`.
    `content` becomes part of the result, or is closed.
    """
    try:
        location = locate(content)
        if location.transfer_syntax_uid in DEFLATED:
            instance = _stamp_deflated(content, location, tag, work)
        else:
            instance = _stamp(content, location, tag)
    except (InflatedTooLargeError, MemoryError) as exc:
        instance = Unreadable(Reason(Kind.IMAGE_TOO_LARGE, str(exc) or OUT_OF_MEMORY))
    except (MalformedError, InflationError) as exc:
        instance = Unreadable(Reason(Kind.MALFORMED, str(exc)))
    except OSError as exc:
        reason = Reason(Kind.DATASET_UNREADABLE, exc.strerror or str(exc))
        instance = Unreadable(Reason(Kind.NO_SPACE) if is_full(exc) else reason)
    if isinstance(instance, Unreadable) or instance.dataset.source is not content:
        content.close()
    return instance


def _stamp(
    content: BinaryIO, location: DatasetLocation, tag: PrivateTag | None
) -> SOPInstance | Unreadable:
    group = tag.group if tag else 0
    reader, scan = _scan(ElementReader(content), location, group)
    size = reader.size
    header = _header(reader, scan, group)
    added = _elements_to_add(reader, header, tag) if tag else []
    integrity = check_integrity(reader, location, scan, header.stop if added else None)
    if isinstance(integrity, Unreadable):
        return integrity
    remarks, is_sound = integrity
    pixel_remarks = check_pixel_data(location, scan)
    if isinstance(pixel_remarks, Unreadable):
        return pixel_remarks
    remarks += pixel_remarks
    if reason := _uid_problem(header, location):
        return Unreadable(reason)
    if added is None:
        return Unreadable(Reason(Kind.NO_PRIVATE_BLOCK, f"{group:04X}"))
    patches: list[Patch] = []
    is_odd = (size - location.start) % 2
    if is_sound and (reader.lengths | is_odd) % 2:
        patches = odd_length_patches(reader, location.start, location.encoding)
    elif is_odd:
        patches = [Patch(size, size, b"\0")]
    if patches:
        remarks.append(Reason(Kind.REPAIRED))
    if added:
        insertions = _insertions(header, location.encoding, added)
        if length := _group_length(header, location.encoding, patches, insertions):
            patches = [length, *(patch for patch in patches if patch.start != length.start)]
            number = reader.number(length.start, length.end, location.encoding)
            if number != header.stop - length.end:
                remarks.append(Reason(Kind.GROUP_LENGTH_CORRECTED, f"{group:04X}"))
        patches += insertions
    if scan.trailing:
        remarks.append(Reason(Kind.TRAILING_BYTES, quantity(scan.trailing, "byte")))
    return SOPInstance(
        header.uids[_SOP_CLASS_UID],
        header.uids[_SOP_INSTANCE_UID],
        location.transfer_syntax_uid,
        EncodedDataset(content, tuple(_splice(location.start, patches, size))),
        partial(_read_identity, reader, location),
        header.uids[_STUDY_INSTANCE_UID],
        header.uids[_SERIES_INSTANCE_UID],
        header.patient,
        tuple(remarks),
    )


def _uid_problem(header: _Header, location: DatasetLocation) -> Reason | None:
    """Return why C-STORE cannot send a dataset with these UIDs (PS3.7 9.1.1.1), None if it can."""
    for name, uid in (
        ("SOP Class UID", header.uids[_SOP_CLASS_UID]),
        ("SOP Instance UID", header.uids[_SOP_INSTANCE_UID]),
        ("Transfer Syntax UID", location.transfer_syntax_uid),
    ):
        if not uid:
            return Reason(Kind.MISSING_UID, name)
        if len(uid) > _MAX_UID or not (uid.isascii() and uid.isprintable()):
            return Reason(Kind.INVALID_UID, name)
    return None


def _scan(
    reader: ElementReader, location: DatasetLocation, group: int
) -> tuple[ElementReader, Scan]:
    """Scan the dataset up to any damage, and note the elements of `group`.

    Returns the scan and a reader that ends with the dataset.
    """
    scan = Scan(location.start)
    try:
        reader.advance(scan, location.encoding, _marks(group), group)
    except MalformedError as exc:
        scan.error = exc.with_traceback(None)
    if scan.end == reader.size and scan.is_ordered:
        return reader, scan
    end = end_of_dataset(reader, location)
    if end == reader.size:
        return reader, scan
    trailing = reader.size - end
    reader, scan = _scan(reader.until(end), location, group)
    scan.trailing = trailing
    return reader, scan


def _header(reader: ElementReader, scan: Scan, group: int) -> _Header:
    """Return the elements of a scan up to the end of `group`.

    Raises MalformedError for damage up to `group` or the patient group, whichever is later. Later
    elements may be damaged or missing.
    """
    is_early = scan.last_tag >> 16 <= max(group, _PATIENT_GROUP)
    if scan.error and is_early and not isinstance(scan.error, TruncatedError):
        raise scan.error
    uids = dict.fromkeys(_UIDS, "")
    patient = 0
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
        elif element.tag == _PATIENT_ID and (text := reader.text(element.value, element.end)):
            patient = hash(text)
    return _Header(uids, patient, tuple(group_elements), scan.end if stop < 0 else stop)


@lru_cache
def _marks(group: int) -> tuple[int, ...]:
    """Return the tags to note in a scan of a dataset."""
    return tuple(sorted({*_UIDS, _PATIENT_ID, *NOTED, group << 16, group + 1 << 16, ITEM}))


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


def _insertions(header: _Header, encoding: Encoding, added: list[tuple[int, str]]) -> list[Patch]:
    """Return patches that insert the added elements in ascending tag order."""
    return [
        Patch(
            at := next((e.start for e in header.group if e.tag > number), header.stop),
            at,
            _encode(number, text, encoding),
        )
        for number, text in added
    ]


def _group_length(
    header: _Header, encoding: Encoding, repairs: list[Patch], insertions: list[Patch]
) -> Patch | None:
    """Return the patch of the group length; None without a usable one (PS3.5 7.2)."""
    length = header.group[0] if header.group else None
    if not length or length.tag & 0xFFFF or length.end - length.value != _SIZE_OF_GROUP_LENGTH:
        return None
    inner = [patch for patch in repairs if length.end <= patch.start and patch.end <= header.stop]
    total = header.stop - length.end
    total += sum(len(patch.data) - (patch.end - patch.start) for patch in (*inner, *insertions))
    if total >= UNDEFINED_LENGTH:
        return None
    return Patch(length.value, length.end, total.to_bytes(_SIZE_OF_GROUP_LENGTH, encoding.order))


def _splice(start: int, patches: list[Patch], end: int) -> Iterator[bytes | Span]:
    """Yield the patched dataset from `start` to `end` in pieces."""
    position = start
    # At the same offset, the padding of one element precedes the header of the next.
    for patch in sorted(patches, key=lambda patch: (patch.start, patch.end)):
        yield Span(position, patch.start)
        yield patch.data
        position = patch.end
    yield Span(position, end)


def _encode(number: int, text: str, encoding: Encoding) -> bytes:
    """Encode an element of VR LO, padded to even length (PS3.5 6.2, 7.1)."""
    value = text.encode("ascii")
    value += b" " * (len(value) % 2)
    layouts, tag = LAYOUTS[encoding.little], (number >> 16, number & 0xFFFF)
    if encoding.implicit:
        return layouts.implicit.pack(*tag, len(value)) + value
    return layouts.explicit.pack(*tag, b"LO", len(value)) + value


def _stamp_deflated(
    content: BinaryIO, location: DatasetLocation, tag: PrivateTag | None, work: Path
) -> SOPInstance | Unreadable:
    """Stamp a dataset that is one deflated stream (PS3.5 A.5)."""
    end = content.seek(0, 2)
    start = min(location.start, end)
    sizes = []

    def inflated_blocks() -> Iterator[bytes]:
        blocks = EncodedDataset(content, (Span(start, end),)).blocks(_CHUNK)
        sizes.append((yield from inflate(blocks)))

    with write_temporary_file(inflated_blocks(), work) as inflated:
        instance = _stamp(inflated, replace(location, start=0), tag)
        if isinstance(instance, Unreadable):
            return instance
        identity = instance.read_identity()
        instance = replace(instance, read_identity=lambda: identity)
        stop = start + sizes[0]
        content.seek(stop)
        stop += sizes[0] % 2 and content.read(1) == b"\0"
        remarks = instance.remarks
        if stop != end:
            remarks = (*remarks, Reason(Kind.TRAILING_BYTES, quantity(end - stop, "byte")))
        if instance.dataset.pieces == (Span(0, inflated.seek(0, 2)),):
            pieces: tuple[bytes | Span, ...] = (Span(start, stop),)
            if (stop - start) % 2:
                pieces = (*pieces, b"\0")
                remarks = (Reason(Kind.REPAIRED), *remarks)
            return replace(instance, dataset=EncodedDataset(content, pieces), remarks=remarks)
        deflated = write_temporary_file(deflate(instance.dataset.blocks(_CHUNK)), work)
    size = deflated.seek(0, 2)
    dataset = EncodedDataset(deflated, (Span(0, size),))
    return replace(instance, dataset=dataset, remarks=remarks)
