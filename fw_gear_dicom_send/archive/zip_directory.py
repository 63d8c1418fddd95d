"""Central directory of a zip (APPNOTE.TXT 4.3.12 to 4.3.16), read one entry at a time.

`zipfile` would keep all entries in memory, and reject the archive for one bad name.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from struct import Struct
from typing import Any, BinaryIO, NamedTuple

from ..text import printable
from .limits import CorruptError

LOCAL_HEADER = b"PK\x03\x04"
DIRECTORY_HEADER = b"PK\x01\x02"
END_RECORD = b"PK\x05\x06"
ZIP64_END_RECORD = b"PK\x06\x06"
ZIP64_LOCATOR = b"PK\x06\x07"
DESCRIPTOR = b"PK\x07\x08"

DIRECTORY_LAYOUT = Struct("<4sxB2xHH4xLLLHHH4xLL")
END_LAYOUT = Struct("<4s8xLLH")
ZIP64_END_LAYOUT = Struct("<4s36xQQ")
ZIP64_LOCATOR_LAYOUT = Struct("<4s4xQ4x")
IN_ZIP64 = 0xFFFFFFFF
"""Marks a size or offset whose value is in the extra field (APPNOTE.TXT 4.5.3)."""

_ZIP64_EXTRA = 0x0001
_MAX_COMMENT = (1 << 16) - 1
_BLOCK = 1 << 18
"""Bytes of a directory per read, more than the maximum length of a record."""
_MAX_OFFSET = (1 << 63) - 1
_MADE_ON_UNIX = 3
_IS_UTF8 = 0x800


class ZipEntry(NamedTuple):
    """Properties that a zip declares for a member; sizes are in bytes.

    `offset` is the offset of its local header. `is_regular` is False for folders, links and
    devices.
    """

    name: str
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    offset: int
    is_regular: bool


class _Record(NamedTuple):
    """A record of a central directory; `size` is in bytes and includes the comment."""

    fields: tuple[Any, ...]
    name: bytes
    extra: bytes
    size: int


@dataclass(frozen=True)
class Directory:
    """Location of a central directory.

    `shift` must be added to its offsets if data precedes the zip. `is_last` means that no data
    follows the zip. `first` is the lowest offset of a member, None for an empty zip.
    """

    start: int
    end: int
    shift: int
    is_last: bool
    first: int | None = None


def find_directory(file: BinaryIO) -> Directory | None:
    """Return the location of the central directory, or None if it is missing or damaged."""
    try:
        found = _locate(file)
        offsets = map(_offset, _records(file, found)) if found else iter(())
        first = min(offsets, default=None)
    except CorruptError:
        return None
    return found and replace(found, first=None if first is None else first + found.shift)


def directory_entries(file: BinaryIO, directory: Directory) -> Iterator[ZipEntry]:
    """Yield the entries of a central directory; raises CorruptError at damage.

    Other code may move the position of `file` meanwhile.
    """
    for record in _records(file, directory):
        _, system, flags, method, crc, packed, size, _, _, _, attributes, offset = record.fields
        size, packed, offset = with_zip64(record.extra, size, packed, offset)
        mode = attributes >> 16 if system == _MADE_ON_UNIX else 0
        text = decoded_name(record.name, flags)
        yield ZipEntry(
            text,
            flags,
            method,
            crc,
            packed,
            size,
            offset + directory.shift,
            not text.endswith("/") and stat.S_IFMT(mode) in (0, stat.S_IFREG),
        )


def _records(file: BinaryIO, directory: Directory) -> Iterator[_Record]:
    """Yield the records of a central directory, and read it a block at a time."""
    position, end = directory.start, directory.end
    base, block = position, b""
    while position < end:
        record = _record_at(block, position - base)
        if record is None:
            file.seek(position)
            base, block = position, file.read(_BLOCK)
            record = _record_at(block, 0)
        if record is None or record.fields[0] != DIRECTORY_HEADER:
            raise CorruptError
        yield record
        position += record.size


def _record_at(block: bytes, at: int) -> _Record | None:
    """Return the record at an offset in a block, or None if the block ends too early."""
    start = at + DIRECTORY_LAYOUT.size
    if len(block) < start:
        return None
    fields = DIRECTORY_LAYOUT.unpack_from(block, at)
    name_size, extra_size, comment_size = fields[7:10]
    name_end = start + name_size
    extra_end = name_end + extra_size
    if len(block) < extra_end:
        return None
    size = DIRECTORY_LAYOUT.size + name_size + extra_size + comment_size
    return _Record(fields, block[start:name_end], block[name_end:extra_end], size)


def _offset(record: _Record) -> int:
    """Return the offset of a member that its record declares."""
    offset: int = record.fields[-1]
    if offset != IN_ZIP64:
        return offset
    return with_zip64(record.extra, record.fields[6], record.fields[5], offset)[-1]


def with_zip64(extra: bytes, *values: int) -> tuple[int, ...]:
    """Return sizes and offsets, with marked ones replaced by those in the extra field."""
    if IN_ZIP64 not in values:
        return values
    numbers = iter(_zip64_numbers(extra))
    return tuple(next(numbers, value) if value == IN_ZIP64 else value for value in values)


def decoded_name(name: bytes, flags: int) -> str:
    """Return the printable name of a member, cut at a NUL, as all zip readers do."""
    text = name.partition(b"\0")[0]
    encoding = "utf-8" if flags & _IS_UTF8 else "cp437"
    return printable(text.decode(encoding, "surrogateescape"))


def _zip64_numbers(extra: bytes) -> Iterator[int]:
    while len(extra) >= 4:
        kind, size = (int.from_bytes(extra[at : at + 2], "little") for at in (0, 2))
        data, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _ZIP64_EXTRA:
            for at in range(0, len(data) - 7, 8):
                yield int.from_bytes(data[at : at + 8], "little")


def _locate(file: BinaryIO) -> Directory | None:
    """Find the record at the end of a zip, and return the location of the directory."""
    file_size = file.seek(0, os.SEEK_END)
    tail_start = max(0, file_size - END_LAYOUT.size - _MAX_COMMENT)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(END_RECORD, 0, len(tail) - END_LAYOUT.size + len(END_RECORD))
    if at < 0:
        return None
    _, size, offset, comment_size = END_LAYOUT.unpack_from(tail, at)
    end = tail_start + at
    is_last = end + END_LAYOUT.size + comment_size >= file_size
    if zip64 := _zip64_end(file, end):
        end, size, offset = zip64
    if end < size:
        return None
    return Directory(end - size, end, end - size - offset, is_last)


def _zip64_end(file: BinaryIO, end: int) -> tuple[int, int, int] | None:
    """Return the end, size and offset of a zip64 directory, or None if there is none."""
    locator_start = end - ZIP64_LOCATOR_LAYOUT.size
    locator = _record(file, locator_start, ZIP64_LOCATOR_LAYOUT)
    if not locator or locator[0] != ZIP64_LOCATOR:
        return None
    # Data may precede the zip, or the record may have extensible data.
    for start in (locator_start - ZIP64_END_LAYOUT.size, locator[1]):
        record = _record(file, start, ZIP64_END_LAYOUT)
        if record and record[0] == ZIP64_END_RECORD:
            return start, record[1], record[2]
    return None


def _record(file: BinaryIO, start: int, layout: Struct) -> tuple[Any, ...] | None:
    if not 0 <= start <= _MAX_OFFSET:
        return None
    file.seek(start)
    data = file.read(layout.size)
    return layout.unpack(data) if len(data) == layout.size else None
