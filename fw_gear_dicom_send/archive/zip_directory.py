"""Central directory of a zip (APPNOTE.TXT 4.3.12 to 4.3.16), read one entry at a time.

`zipfile` would keep all entries in memory, and reject the archive for one bad name.
"""

import os
import stat
from collections.abc import Iterator
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
    """A record of a central directory; the offset is the declared one."""

    fields: tuple[Any, ...]
    name: bytes
    size: int
    packed_size: int
    offset: int


class Directory(NamedTuple):
    """Location of a central directory; `shift` is for its offsets, as data may precede the zip."""

    start: int
    end: int
    shift: int


def find_directory(file: BinaryIO, head: bytes) -> Directory | None:
    """Return the location of the directory; None if missing, damaged or not of the whole file.

    If a zip is truncated after a stored member that is a zip, its last directory is that member's.
    """
    try:
        if not (found := _locate(file)):
            return None
        first = min((record.offset for record in _records(file, found)), default=None)
    except CorruptError:
        return None
    is_whole = first is not None and first + found.shift == 0
    return found if is_whole or not head.startswith(LOCAL_HEADER) else None


def directory_entries(file: BinaryIO, directory: Directory) -> Iterator[ZipEntry]:
    """Yield the entries of a central directory; raises CorruptError at damage.

    Other code may move the position of `file` meanwhile.
    """
    for fields, name, size, packed, offset in _records(file, directory):
        _, system, flags, method, crc, *_, attributes, _ = fields
        mode = attributes >> 16 if system == _MADE_ON_UNIX else 0
        text = decoded_name(name, flags)
        is_regular = not text.endswith("/") and stat.S_IFMT(mode) in (0, stat.S_IFREG)
        start = offset + directory.shift
        yield ZipEntry(text, flags, method, crc, packed, size, start, is_regular)


def _records(file: BinaryIO, directory: Directory) -> Iterator[_Record]:
    """Yield the records of a central directory."""
    position = directory.start
    while position < directory.end:
        file.seek(position)
        header = file.read(DIRECTORY_LAYOUT.size)
        if len(header) < DIRECTORY_LAYOUT.size or not header.startswith(DIRECTORY_HEADER):
            raise CorruptError
        fields = DIRECTORY_LAYOUT.unpack(header)
        packed, size, name_size, extra_size, comment_size = fields[5:10]
        rest = file.read(name_size + extra_size)
        if len(rest) < name_size + extra_size:
            raise CorruptError
        numbers = with_zip64(rest[name_size:], size, packed, fields[-1])
        yield _Record(fields, rest[:name_size], *numbers)
        position += len(header) + len(rest) + comment_size


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
    """Return the location of the directory, by the record at the end of the file."""
    file_size = file.seek(0, os.SEEK_END)
    tail_start = max(0, file_size - END_LAYOUT.size - _MAX_COMMENT)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(END_RECORD, 0, len(tail) - END_LAYOUT.size + len(END_RECORD))
    if at < 0:
        return None
    _, size, offset, comment_size = END_LAYOUT.unpack_from(tail, at)
    end = tail_start + at
    if end + END_LAYOUT.size + comment_size < file_size:
        return None
    if zip64 := _zip64_end(file, end):
        end, size, offset = zip64
    if end < size:
        return None
    return Directory(end - size, end, end - size - offset)


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
