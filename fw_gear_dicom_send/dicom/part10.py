"""Location of the dataset in a DICOM file, well-formed or not (PS3.10 section 7)."""

from contextlib import suppress
from io import BytesIO
from typing import BinaryIO

from ..reasons import Skipped
from ..values import frozen
from .dictionary import is_known
from .elements import ElementReader
from .headers import Encoding, MalformedError
from .uids import (
    DEFLATED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MEDIA_STORAGE_DIRECTORY,
    TRANSFER_SYNTAXES,
)

_FILE_META = Encoding(implicit=False, little=True)
_HEAD_SIZE = 134
_META_START = b"\x02\0"
_META_GROUP, _FILE_SET_GROUP, _FIRST_GROUP = 0x0002, 0x0004, 0x0008
_DIRECTORY_RECORDS = 0x00041220
_DIRECTORY_SIGNS = (
    b"\x04\0\x20\x12",
    b"\0\x04\x12\x20",
    MEDIA_STORAGE_DIRECTORY.encode(),
)
"""The start of a DICOMDIR contains one of these; the start of most images does not."""
_LITTLE_STARTS, _BIG_STARTS = (b"\4\0", b"\x08\0"), (b"\0\4", b"\0\x08")
"""First bytes of a dataset, which begins with group 0004 or 0008, in each byte order."""
_SOP_CLASS, _TRANSFER_SYNTAX = 0x00020002, 0x00020010
_PLAIN = {
    Encoding(implicit=True, little=True): IMPLICIT_VR_LITTLE_ENDIAN,
    Encoding(implicit=False, little=True): EXPLICIT_VR_LITTLE_ENDIAN,
    Encoding(implicit=False, little=False): EXPLICIT_VR_BIG_ENDIAN,
}


@frozen
class DatasetLocation:
    """Start and encoding of a file's dataset.

    `transfer_syntax_uid` is the actual one. If the file meta group is missing or declares another
    VR encoding or byte order, the bytes of the dataset decide. `media_class` is the SOP class in
    that group.
    """

    start: int
    transfer_syntax_uid: str
    encoding: Encoding
    media_class: str


def locate(content: BinaryIO) -> DatasetLocation:
    """Find the dataset in `content`, with or without preamble and file meta group.

    Raises MalformedError if no transfer syntax has its encoding, or if its file meta group is
    unreadable.
    """
    content.seek(0)
    head = content.read(_HEAD_SIZE)
    reader = ElementReader(content)
    start = 4 if head[:4] == b"DICM" else 0
    if head[128:132] == b"DICM" and not _is_in_value(reader, head):
        start = 132
    sop_class = declared = ""
    meta_encoding = reader.sniff(start, _FILE_META)
    for tag, _, value, end in reader.walk(start, meta_encoding, _META_GROUP):
        if tag >> 16 != _META_GROUP:
            break
        if tag == _SOP_CLASS:
            sop_class = reader.text(value, end)
        elif tag == _TRANSFER_SYNTAX:
            declared = reader.text(value, end)
        start = end
    encoding = Encoding(declared == IMPLICIT_VR_LITTLE_ENDIAN, declared != EXPLICIT_VR_BIG_ENDIAN)
    if declared not in DEFLATED:
        first = reader.bytes_at(start, start + 2)
        if first in (*_LITTLE_STARTS, *_BIG_STARTS):
            encoding = encoding._replace(little=first in _LITTLE_STARTS)
        encoding = reader.sniff(start, encoding)
    if not declared or declared in _PLAIN.values():
        if encoding not in _PLAIN:
            raise MalformedError("implicit VR big endian is not a DICOM encoding")
        declared = _PLAIN[encoding]
    elif declared in TRANSFER_SYNTAXES and not encoding.little:
        raise MalformedError("it is big endian, but its transfer syntax is little endian")
    return DatasetLocation(start, declared, encoding, sop_class)


def _is_in_value(reader: ElementReader, head: bytes) -> bool:
    """Return whether "DICM" is part of a value, in a dataset without preamble."""
    if head[132:] == _META_START or head[:2] != b"\x08\0" or not reader.has_vr(0):
        return False
    with suppress(MalformedError):
        walk = reader.walk(0, _FILE_META, _FIRST_GROUP)
        return any(value <= 128 and end >= 132 for _, _, value, end in walk)
    return False


def _is_directory(reader: ElementReader, location: DatasetLocation) -> bool:
    """Return whether a dataset is a DICOMDIR, or has a Directory Record Sequence (PS3.3 F.3).

    Other elements of its group do not count: some writers leave (0004,1500) in images.
    """
    start, encoding = location.start, location.encoding
    if location.media_class == MEDIA_STORAGE_DIRECTORY:
        return True
    with suppress(MalformedError):  # from a sequence that extends beyond the head
        for tag, _, _, end in reader.walk(start, encoding, _FILE_SET_GROUP):
            if tag == _DIRECTORY_RECORDS:
                return True
            start = end
    return reader.tag_at(start, encoding) == _DIRECTORY_RECORDS


def skips(head: bytes) -> Skipped | None:
    """Return why to skip a file, or None for an image, from its first bytes.

    A file without preamble is an image if its dataset starts with at least two known elements
    of group 0008, in ascending order. Elements of group 0004 may precede them.
    """
    if not head:
        return Skipped.EMPTY
    is_marked = b"DICM" in (head[128:132], head[:4])
    if is_marked and not any(sign in head for sign in _DIRECTORY_SIGNS):
        return None
    content = BytesIO(head)
    try:
        location = locate(content)
        reader = ElementReader(content)
        if _is_directory(reader, location):
            return Skipped.DICOMDIR
        is_dicom = is_marked or _starts_dataset(reader, location)
    except MalformedError:
        is_dicom = is_marked
    return None if is_dicom else Skipped.NOT_DICOM


def _starts_dataset(reader: ElementReader, location: DatasetLocation) -> bool:
    known = 0
    latest = -1
    walk = reader.walk(location.start, location.encoding, _FIRST_GROUP)
    with suppress(MalformedError):  # from a sequence that extends beyond the head
        for tag, _, _, _ in walk:
            group = tag >> 16
            if group not in (_FILE_SET_GROUP, _FIRST_GROUP) or tag <= latest:
                return False
            latest = tag
            known += group == _FIRST_GROUP and is_known(tag)
    return known > 1
