"""Headers of tar members, read from bytes: pax records, long names and sparse maps.

Sources are POSIX.1 pax ("pax Interchange Format") and the manual of GNU tar ("Storing Sparse
Files"). Damage raises ValueError. All sizes are in bytes.
"""

import re
import tarfile
from collections.abc import Iterator

from ..values import field, frozen, mutable
from .limits import READ_ERRORS

BLOCK_SIZE = tarfile.BLOCKSIZE
LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
EXTENSIONS = (*LONG_NAMES, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)
"""Types of the headers that extend other headers."""
_WITHOUT_DATA = b"123456"
"""Types of links, devices, folders and FIFOs (POSIX.1 pax, "typeflag")."""
_RECORD = re.compile(rb"([0-9]{1,20}) ([^=]+)=")
_SIZE_LIMIT = 8**11
"""First size that a header cannot give in octal digits; a pax record gives it instead."""
_NUMBER_SIZE = 12
FIRST_ENTRIES, NEXT_ENTRIES, REAL_SIZE = slice(386, 482), slice(0, 504), slice(483, 495)
"""Entries of an old GNU sparse map, in a header and in a block that follows; size of the file."""

SparseMap = list[tuple[int, int]]
"""Offset and size of each part of a sparse file that is stored; the rest is zeros."""


@frozen
class Header:
    """A header with a valid checksum."""

    type: bytes
    name: str
    size: int
    block: bytes = field(repr=False)

    @property
    def data_size(self) -> int:
        """Size of the data behind it."""
        return 0 if self.type in _WITHOUT_DATA else self.size


def parse_header(block: bytes) -> Header | None:
    """Return the header in a block, or None if it has none."""
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except READ_ERRORS:
        return None
    return Header(info.type, info.name, info.size, block)


@mutable
class Extensions:
    """What the extension headers of a member say; `numbers` are those of a sparse map."""

    name: str | None = None
    size: int | None = None
    real_size: int | None = None
    sparse_version: dict[bytes, int] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    is_damaged: bool = False

    def add(self, header: Header, data: bytes) -> None:
        """Add what an extension header says; `data` follow it.

        Global pax headers are only checked: none of their records describes the data of a member.
        """
        if header.type in LONG_NAMES:
            name, _, padding = data.partition(b"\0")
            if padding.strip(b"\0"):
                raise ValueError("data follow the name")
            if header.type == tarfile.GNUTYPE_LONGNAME:
                self.name = _text(name)
            return
        for key, value in _pax_records(data):
            match b"" if header.type == tarfile.XGLTYPE else key:
                case b"path" | b"GNU.sparse.name":
                    self.name = _text(value)
                case b"size":
                    self.size = decimal(value)
                case b"GNU.sparse.size" | b"GNU.sparse.realsize":
                    self.real_size = decimal(value)
                case b"GNU.sparse.map":
                    self.numbers = [decimal(number) for number in value.split(b",") if value]
                case b"GNU.sparse.offset" | b"GNU.sparse.numbytes":
                    self.numbers.append(decimal(value))
                case b"GNU.sparse.major" | b"GNU.sparse.minor":
                    self.sparse_version[key] = decimal(value)

    @property
    def is_sparse(self) -> bool:
        """Whether pax records say that the file is sparse."""
        return bool(self.sparse_version or self.numbers) or self.real_size is not None

    @property
    def has_map_in_data(self) -> bool:
        """Whether a sparse map precedes the data (version 1.0), not in records (0.0 and 0.1)."""
        major = self.sparse_version.get(b"GNU.sparse.major", 0)
        minor = self.sparse_version.get(b"GNU.sparse.minor", 0)
        if major and (major, minor) != (1, 0):
            raise ValueError("unknown version of a sparse file")
        return major == 1

    def data_size(self, header: Header) -> int:
        """Return the size of a member's data.

        A checksum protects the header, but not a pax record. So the record counts only if the
        header has no room for the size.
        """
        if self.size is None:
            return header.data_size
        if header.data_size and self.size < _SIZE_LIMIT:
            self.is_damaged |= self.size != header.data_size
            return header.data_size
        return self.size


def _pax_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keyword and value of each record; zeros may follow the last."""
    position = 0
    while position < len(data) and data[position]:
        record = _RECORD.match(data, position)
        if record is None:
            raise ValueError("invalid pax record")
        end = position + int(record[1])
        if not record.end() < end <= len(data) or data[end - 1 : end] != b"\n":
            raise ValueError("invalid length of a pax record")
        yield record[2], data[record.end() : end - 1]
        position = end
    if data[position:].strip(b"\0"):
        raise ValueError("data follow the pax records")


def map_of(numbers: list[int], stored_size: int, real_size: int) -> SparseMap:
    """Return the sparse map with these numbers: an offset, a size, and so on."""
    if len(numbers) % 2:
        raise ValueError("an offset without a size")
    sparse_map = list(zip(numbers[::2], numbers[1::2], strict=True))
    position = 0
    for offset, size in sparse_map:
        if offset < position:
            raise ValueError("the parts of the file overlap")
        position = offset + size
    if position > real_size or sum(numbers[1::2]) != stored_size:
        raise ValueError("the map does not match the file")
    return sparse_map


def old_numbers(block: bytes, entries: slice = NEXT_ENTRIES) -> tuple[list[int], bool]:
    """Return the numbers in a block of an old GNU sparse map, and whether another block follows."""
    fields = block[entries]
    numbers = []
    for start in range(0, len(fields), 2 * _NUMBER_SIZE):
        offset = octal(fields[start : start + _NUMBER_SIZE])
        size = octal(fields[start + _NUMBER_SIZE : start + 2 * _NUMBER_SIZE])
        numbers += [offset, size] if size else []
    return numbers, bool(block[entries.stop])


def octal(digits: bytes) -> int:
    """Return a number in octal digits, or in base 256."""
    if digits[0] & 0x80:
        return int.from_bytes(digits[1:], "big")
    number = int(digits.rstrip(b"\0 ") or b"0", 8)
    if number < 0:
        raise ValueError("negative number")
    return number


def decimal(digits: bytes | bytearray) -> int:
    """Return a number in decimal digits."""
    if not digits.isdigit():
        raise ValueError("not a number")
    return int(digits)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
