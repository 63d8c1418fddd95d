"""Recovery of zip members by their own headers, without a directory (APPNOTE.TXT 4.3.7).

This is for a zip that is truncated, or whose directory is damaged. A member is recovered if its
header is complete and its end is certain. The end follows from the size in the header, or from the
descriptor after the data (4.3.9). The file is searched a chunk at a time.
"""

import os
import re
from collections.abc import Iterator
from operator import itemgetter
from struct import Struct, unpack_from
from typing import BinaryIO, NamedTuple

from .limits import CHUNK_SIZE, CorruptError
from .zip_directory import (
    DESCRIPTOR,
    DIRECTORY_HEADER,
    DIRECTORY_LAYOUT,
    END_LAYOUT,
    END_RECORD,
    LOCAL_HEADER,
    ZIP64_END_RECORD,
    ZIP64_LOCATOR,
    ZIP64_LOCATOR_LAYOUT,
    ZipEntry,
    decoded_name,
    with_zip64,
)

_LOCAL_LAYOUT = Struct("<4sHHH4xLLLHH")
_DESCRIPTOR_LAYOUTS = (Struct("<LLL"), Struct("<LQQ"))
"""CRC, packed size and unpacked size, in a zip and in a zip64."""
_HAS_DESCRIPTOR = 0x8
_HEADERS = (LOCAL_HEADER, DIRECTORY_HEADER)
_LOCAL_HEADER = re.compile(re.escape(LOCAL_HEADER))
_ENDS = re.compile(b"|".join(map(re.escape, (DESCRIPTOR, *_HEADERS))))
_MAX_JUNK = 1 << 20
"""Bytes that may precede the first header."""
_MAX_VERSION, _MAX_METHOD = 63, 99
_BEFORE, _AFTER = 20, 32
"""Maximum bytes of a descriptor before a header; bytes of a signed descriptor and a header."""
_MAX_PACKED_NOTHING = 64
"""Packed size that an empty member may have; more is half of a 64-bit descriptor."""
_MAX_SEARCHES = 4
"""Maximum number of searches through the whole file for missing ends of members."""


class _Descriptor(NamedTuple):
    crc: int
    packed_size: int
    size: int
    end: int


class _Match(NamedTuple):
    """Offset of a signature, with the bytes before and from it; `after` is empty at file end."""

    start: int
    before: bytes
    after: bytes


class ZipRecovery:
    """Finder of the members of a zip, from one header to the next.

    The mutable state is whether the zip is complete, and the number of bytes left to search.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read `file`; other code may move its position meanwhile."""
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        self._searchable = _MAX_SEARCHES * self._size + _MAX_JUNK
        self.is_whole = False
        """Whether no possible member was skipped; final once all entries were yielded."""

    def entries(self) -> Iterator[ZipEntry]:
        """Yield the members that are certain; raises CorruptError if the search takes too long."""
        is_ordered, last = True, b""
        position = self._next_header(0, min(self._size, _MAX_JUNK))
        while position is not None and position < self._size:
            if member := self._member(position):
                entry, position = member
                yield entry
                last = LOCAL_HEADER
            elif (end := self._record_end(position)) is not None:
                last, position = self._read(position, len(END_RECORD)), end
            else:
                # Other data may follow a zip: padding, a signature, another zip.
                is_ordered = is_ordered and last == END_RECORD
                position = self._next_header(position + 1, self._size)
        self.is_whole = is_ordered and last == END_RECORD

    def _spend(self, size: int) -> None:
        self._searchable -= size
        if self._searchable < 0:
            raise CorruptError

    def _read(self, start: int, size: int) -> bytes:
        self._file.seek(start)
        return self._file.read(size)

    def _member(self, start: int) -> tuple[ZipEntry, int] | None:
        """Return the member whose header is at `start` and its end, or None if incomplete."""
        header = self._read(start, _LOCAL_LAYOUT.size)
        if not _is_header(header):
            return None
        _, _, flags, method, crc, packed, size, name_size, extra_size = _LOCAL_LAYOUT.unpack(header)
        name, extra = self._file.read(name_size), self._file.read(extra_size)
        size, packed = with_zip64(extra, size, packed)
        data = start + len(header) + name_size + extra_size
        end = data + packed
        if flags & _HAS_DESCRIPTOR:
            descriptor = packed and self._expected(data, crc, packed, size)
            descriptor = descriptor or self._descriptor(data)
            if not descriptor:
                return None
            crc, packed, size, end = descriptor
        if end > self._size:
            return None
        text = decoded_name(name, flags)
        is_file = not text.endswith("/")
        return ZipEntry(text, flags, method, crc, packed, size, start, is_file), end

    def _record_end(self, start: int) -> int | None:
        """Return the end of the directory record at `start`, or None if it is incomplete."""
        data = self._read(start, DIRECTORY_LAYOUT.size)
        size = self._size
        if data.startswith(DIRECTORY_HEADER) and len(data) == DIRECTORY_LAYOUT.size:
            *_, name_size, extra_size, comment_size, _, _ = DIRECTORY_LAYOUT.unpack(data)
            size = DIRECTORY_LAYOUT.size + name_size + extra_size + comment_size
        elif data.startswith(ZIP64_END_RECORD):
            size = 12 + int.from_bytes(data[4:12], "little")
        elif data.startswith(ZIP64_LOCATOR):
            size = ZIP64_LOCATOR_LAYOUT.size
        elif data.startswith(END_RECORD) and len(data) >= END_LAYOUT.size:
            size = END_LAYOUT.size + END_LAYOUT.unpack_from(data)[-1]
        else:
            return None
        return start + size if start + size <= self._size else None

    def _expected(self, start: int, crc: int, packed: int, size: int) -> _Descriptor | None:
        """Return the descriptor after data whose size is also in the header."""
        end = start + packed
        if end > self._size:
            return None
        match = _Match(end, b"", self._read(end, _AFTER))
        if match.after.startswith(_HEADERS):
            return _Descriptor(crc, packed, size, end)
        return self._signed(match, start) if match.after.startswith(DESCRIPTOR) else None

    def _descriptor(self, start: int) -> _Descriptor | None:
        """Search for the descriptor of the member whose data begins at `start`."""
        for match in self._matches(_ENDS, start, self._size):
            if match.after.startswith(DESCRIPTOR):
                found = self._signed(match, start)
            else:
                found = self._unsigned(match, start)
            if found:
                return found
        return None

    def _signed(self, match: _Match, start: int) -> _Descriptor | None:
        """Read a signed descriptor; a 32-bit one may look like a 64-bit one."""
        found = []
        for layout in _DESCRIPTOR_LAYOUTS:
            size = len(DESCRIPTOR) + layout.size
            if len(match.after) >= size:
                crc, packed, unpacked = layout.unpack_from(match.after, len(DESCRIPTOR))
                is_half = not unpacked and packed > _MAX_PACKED_NOTHING
                if packed == match.start - start and not is_half:
                    end = match.start + size
                    fits = end == self._size or match.after[size:].startswith(_HEADERS)
                    found.append((fits, _Descriptor(crc, packed, unpacked, end)))
        return max(found, key=itemgetter(0))[1] if found else None

    @staticmethod
    def _unsigned(match: _Match, start: int) -> _Descriptor | None:
        """Read an unsigned descriptor, which ends at a header or at the end of the file."""
        for layout in _DESCRIPTOR_LAYOUTS:
            data_end = match.start - layout.size
            if data_end >= start:
                at = len(match.before) - layout.size
                crc, packed, size = layout.unpack_from(match.before, at)
                if packed == data_end - start:
                    return _Descriptor(crc, packed, size, match.start)
        return None

    def _next_header(self, start: int, stop: int) -> int | None:
        """Return the offset of the next plausible header of a member, or None."""
        found = self._matches(_LOCAL_HEADER, start, stop)
        return next((match.start for match in found if _is_header(match.after)), None)

    def _matches(self, pattern: re.Pattern[bytes], start: int, stop: int) -> Iterator[_Match]:
        """Yield the matches before `stop`, and the end of the file if that is `stop`."""
        for chunk_start in range(start, stop, CHUNK_SIZE):
            base = max(chunk_start - _BEFORE, start)
            chunk_end = min(chunk_start + CHUNK_SIZE, stop)
            window = self._read(base, chunk_end + _AFTER - base)
            self._spend(len(window))
            for found in pattern.finditer(window, chunk_start - base):
                at = found.start()
                if base + at >= chunk_end:
                    break
                self._spend(_AFTER)
                yield _Match(base + at, window[max(at - _BEFORE, 0) : at], window[at : at + _AFTER])
        if stop == self._size:
            tail = max(stop - _BEFORE, min(start, stop))
            yield _Match(stop, self._read(tail, stop - tail), b"")


def _is_header(data: bytes) -> bool:
    """Return whether data starts with a plausible header of a member."""
    if not data.startswith(LOCAL_HEADER) or len(data) < _LOCAL_LAYOUT.size:
        return False
    version, _, method = unpack_from("<HHH", data, len(LOCAL_HEADER))
    (name_size,) = unpack_from("<H", data, _LOCAL_LAYOUT.size - 4)
    return bool(version & 0xFF <= _MAX_VERSION and method <= _MAX_METHOD and name_size)
