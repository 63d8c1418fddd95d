"""The DICOM members of a zip (APPNOTE.TXT)."""

import bz2
import lzma
import mimetypes
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO

from ..dicom.types import Unreadable
from ..reasons import Kind, Reason
from .decompress import LZMA_MEMORY, Decompressed, Section, ZlibDecompressor
from .limits import (
    HEAD_SIZE,
    ByteStream,
    CorruptError,
    Counted,
    read_fully,
    reading,
)
from .types import BrokenArchive, Member
from .unpack import Declared, Unpacker

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
ZIP_LOCAL_HEADER = struct.Struct("<4s22xHH")
ZIP_ENCRYPTED = 0x1
ZIP_LZMA_END_MARKER = 0x2
ZIP_MADE_ON_UNIX = 3
UNKNOWN_SIZE = 2**64 - 1

_MIME = mimetypes.MimeTypes()
OTHER_SUFFIXES = frozenset(_MIME.encodings_map) | {
    suffix for suffix, mime in _MIME.types_map[True].items() if mime != "application/dicom"
}


def zip_items(
    file: BinaryIO, head: bytes, unpacker: Unpacker
) -> Iterator[Member | Unreadable | BrokenArchive]:
    """Yield the DICOM members of a zip."""
    try:
        with reading():
            entries = zipfile.ZipFile(file).infolist()
    except CorruptError:
        is_zip = head.startswith(ZIP_MAGIC)
        kind = Kind.CORRUPT_ARCHIVE if is_zip else Kind.UNKNOWN_TYPE
        yield BrokenArchive(Reason(kind))
        return
    for number, entry in enumerate(filter(_is_regular, entries), start=1):
        item = _zip_item(file, entry, number, unpacker)
        if item:
            yield item


def _is_regular(entry: zipfile.ZipInfo) -> bool:
    mode = entry.external_attr >> 16 if entry.create_system == ZIP_MADE_ON_UNIX else 0
    return not entry.filename.endswith("/") and stat.S_IFMT(mode) in (0, stat.S_IFREG)


def _zip_item(
    file: BinaryIO, entry: zipfile.ZipInfo, number: int, unpacker: Unpacker
) -> Member | Unreadable | None:
    if entry.flag_bits & ZIP_ENCRYPTED:
        return Unreadable(Reason(Kind.ENCRYPTED_MEMBER)) if _may_be_dicom(entry.filename) else None
    try:
        with reading():
            content = Counted(_zip_content(file, entry), unpacker.budget)
            head = read_fully(content, HEAD_SIZE)
            if len(head) < min(HEAD_SIZE, entry.file_size):
                raise EOFError
    except CorruptError:
        return Unreadable(Reason(Kind.CORRUPT_MEMBER)) if _may_be_dicom(entry.filename) else None
    if not unpacker.is_dicom(head):
        return None
    try:
        declared = Declared(number, entry.filename, entry.file_size, entry.CRC)
        return unpacker.unpack(declared, head, content)
    except CorruptError:
        return Unreadable(Reason(Kind.CORRUPT_MEMBER))


def _zip_content(file: BinaryIO, entry: zipfile.ZipInfo) -> ByteStream:
    """Open a member (APPNOTE.TXT 4.3.7).

    Not by `ZipFile.open`, which unpacks bzip2 and LZMA without a bound on memory.
    """
    file.seek(entry.header_offset)
    signature, name_size, extra_size = ZIP_LOCAL_HEADER.unpack(file.read(ZIP_LOCAL_HEADER.size))
    if signature != ZIP_MAGIC[0]:
        raise zipfile.BadZipFile("no local header")
    file.seek(name_size + extra_size, os.SEEK_CUR)
    packed = Section(file, entry.compress_size)
    match entry.compress_type:
        case zipfile.ZIP_STORED:
            return packed
        case zipfile.ZIP_DEFLATED:
            return Decompressed(packed, partial(ZlibDecompressor, -zlib.MAX_WBITS))
        case zipfile.ZIP_BZIP2:
            return Decompressed(packed, bz2.BZ2Decompressor)
        case zipfile.ZIP_LZMA:
            # A version and the size of the properties, then what an .lzma file starts with
            # but for the unpacked size (APPNOTE.TXT 5.8.8).
            (properties_size,) = struct.unpack("<2xH", packed.read(4))
            has_end = entry.flag_bits & ZIP_LZMA_END_MARKER
            size = UNKNOWN_SIZE if has_end else entry.file_size
            start = packed.read(properties_size) + size.to_bytes(8, "little")
            codec = partial(lzma.LZMADecompressor, lzma.FORMAT_ALONE, LZMA_MEMORY)
            return Decompressed(packed, codec, start=start)
    raise NotImplementedError("compression method")


def _may_be_dicom(name: str) -> bool:
    """Tell by its name alone whether a member whose content cannot be read may be DICOM."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.name.upper() != "DICOMDIR" and path.suffix.lower() not in OTHER_SUFFIXES
