"""DICOM members of a zip (APPNOTE.TXT)."""

import bz2
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import PurePosixPath
from typing import BinaryIO

from ..dicom.temporary_files import MAX_IN_MEMORY
from ..dicom.types import Unreadable
from ..inflation import crc32, decompressobj
from ..reasons import Kind, Reason, Skipped
from .decompress import (
    LZMA_MEMORY,
    Codec,
    DecompressedStream,
    Inflate64Decompressor,
    ZlibDecompressor,
)
from .formats import ZIP
from .limits import (
    HEAD_SIZE,
    ByteStream,
    CorruptError,
    CountedStream,
    read_fully,
    reading,
)
from .shared_file import SharedFile
from .types import BrokenArchive, FileItem, RawTask
from .unpack import DeclaredMember, Unpacker
from .zip_directory import LOCAL_HEADER, ZipEntry, directory_entries, find_directory
from .zip_recovery import ZipRecovery

ZIP_LOCAL_HEADER = struct.Struct("<4s22xHH")
ZIP_ENCRYPTED = 0x1
ZIP_LZMA_END_MARKER = 0x2
UNKNOWN_SIZE = 2**64 - 1
ZIP_DEFLATE64, ZIP_XZ, ZIP_AES = 9, 95, 99
CODECS: dict[int, Callable[[], Codec]] = {
    zipfile.ZIP_DEFLATED: partial(ZlibDecompressor, -zlib.MAX_WBITS),
    ZIP_DEFLATE64: Inflate64Decompressor,
    zipfile.ZIP_BZIP2: bz2.BZ2Decompressor,
    ZIP_XZ: partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, LZMA_MEMORY),
}
"""Compression methods; members that are stored or in LZMA are read too."""
UNSUPPORTED = {
    1: "Shrink",
    6: "Implode",
    20: "Zstandard",
    93: "Zstandard",
    94: "MP3",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
}
"""Names of other methods (APPNOTE.TXT 4.4.5)."""


@cache
def _other_suffixes() -> frozenset[str]:
    import mimetypes  # it reads files of the system

    known = mimetypes.MimeTypes()
    suffixes = known.types_map[True].items()
    return frozenset(known.encodings_map).union(
        suffix for suffix, mime in suffixes if mime != "application/dicom"
    )


def zip_tasks(
    file: BinaryIO, head: bytes, unpacker: Unpacker, shared: SharedFile
) -> Iterator[RawTask | BrokenArchive]:
    """Yield tasks that unpack the members of a zip from `shared`.

    The central directory lists the members. If it is missing, damaged or from another zip, the
    members are found by their own headers.
    """
    count = 0
    with reading():
        directory = find_directory(file, head)
        recovery = ZipRecovery(file)
        entries = directory_entries(file, directory) if directory else recovery.entries()
        members = (entry for entry in entries if entry.is_regular)
        for count, entry in enumerate(members, start=1):
            yield partial(_zip_item, shared, entry, count, unpacker)
    if not (directory or recovery.is_whole):
        is_zip = head.startswith(ZIP.signatures) or count
        yield BrokenArchive(Reason(Kind.CORRUPT_ARCHIVE if is_zip else Kind.UNKNOWN_TYPE))


def _zip_item(file: SharedFile, entry: ZipEntry, number: int, unpacker: Unpacker) -> FileItem:
    """Unpack a member, with a fast path for a small and intact one."""
    if entry.flags & ZIP_ENCRYPTED or entry.method == ZIP_AES:
        return _unreadable(Reason(Kind.ENCRYPTED_MEMBER), entry, number)
    if entry.method not in (zipfile.ZIP_STORED, zipfile.ZIP_LZMA, *CODECS):
        name = UNSUPPORTED.get(entry.method, f"method {entry.method}")
        return _unreadable(Reason(Kind.UNSUPPORTED_METHOD, name), entry, number)
    try:
        with reading():
            start = _data_start(file, entry)
            declared = DeclaredMember(
                number, entry.name, entry.size, entry.crc, start + entry.packed_size
            )
            max_size = min(MAX_IN_MEMORY, unpacker.limits.member)
            is_small = max(entry.size, entry.packed_size) <= max_size
            data = _whole_content(file, entry, start) if is_small else None
        if data:
            return unpacker.from_memory(declared, data)
        is_range = not is_small and entry.method == zipfile.ZIP_STORED
        if is_range and (item := _in_place(file, entry, start, declared, unpacker)):
            return item
        item = _streamed(file, entry, start, declared, unpacker)
    except CorruptError:
        return _unreadable(Reason(Kind.CORRUPT_MEMBER), entry, number)
    is_checked = is_small and entry.method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    return Skipped.UNREAD if is_checked and item is Skipped.NOT_DICOM else item


def _in_place(
    file: SharedFile, entry: ZipEntry, start: int, declared: DeclaredMember, unpacker: Unpacker
) -> FileItem | None:
    """Return a large uncompressed member as a range of its archive, or None if impossible."""
    if entry.size != entry.packed_size or entry.size > unpacker.limits.member:
        return None
    head = file.read_at(start, HEAD_SIZE)
    content = file.window(start, entry.size) if len(head) == HEAD_SIZE else None
    return unpacker.from_archive_range(declared, head, content) if content else None


def _streamed(
    file: SharedFile, entry: ZipEntry, start: int, declared: DeclaredMember, unpacker: Unpacker
) -> FileItem:
    """Unpack a member in chunks; raises CorruptError if its start cannot be read."""
    with reading():
        content = CountedStream(_zip_content(file, entry, start), unpacker.budget)
        head = read_fully(content, HEAD_SIZE)
        if len(head) < min(HEAD_SIZE, entry.size):
            raise EOFError
    try:
        return unpacker.from_stream(declared, head, content)
    except CorruptError:
        return Unreadable(Reason(Kind.CORRUPT_MEMBER), declared.number, entry.name)


def _data_start(file: SharedFile, entry: ZipEntry) -> int:
    """Return the offset of a member's data, after its local header (APPNOTE.TXT 4.3.7)."""
    header = file.read_at(entry.offset, ZIP_LOCAL_HEADER.size)
    signature, name_size, extra_size = ZIP_LOCAL_HEADER.unpack(header)
    if signature != LOCAL_HEADER:
        raise zipfile.BadZipFile("no local header")
    return int(entry.offset + len(header) + name_size + extra_size)


def _whole_content(file: SharedFile, entry: ZipEntry, start: int) -> bytes | None:
    """Unpack a small member to memory; return None if it differs from its declaration."""
    data = file.read_at(start, entry.packed_size)
    if entry.method == zipfile.ZIP_DEFLATED:
        codec = decompressobj(-zlib.MAX_WBITS)
        data = codec.decompress(data, entry.size + 1)
        if not codec.eof:
            return None
    elif entry.method != zipfile.ZIP_STORED:
        return None
    is_whole = len(data) == entry.size and crc32(data) == entry.crc
    return data if is_whole else None


def _unreadable(reason: Reason, entry: ZipEntry, number: int) -> Unreadable | Skipped:
    if not may_be_dicom(entry.name):
        return Skipped.UNREAD
    return Unreadable(reason, number, entry.name)


def _zip_content(file: SharedFile, entry: ZipEntry, start: int) -> ByteStream:
    """Return a stream of the unpacked content of a member whose data starts at `start`.

    `ZipFile.open` is not used, as it unpacks bzip2 and LZMA with unbounded memory.
    """
    packed = file.section(start, entry.packed_size)
    if entry.method == zipfile.ZIP_STORED:
        return packed
    if entry.method != zipfile.ZIP_LZMA:
        return DecompressedStream(packed, CODECS[entry.method])
    # The data starts with a version, the size of the properties, and the properties (APPNOTE.TXT
    # 5.8.8). The header of an .lzma file also needs the unpacked size.
    (properties_size,) = struct.unpack("<2xH", packed.read(4))
    size = UNKNOWN_SIZE if entry.flags & ZIP_LZMA_END_MARKER else entry.size
    head = packed.read(properties_size) + size.to_bytes(8, "little")
    codec = partial(lzma.LZMADecompressor, lzma.FORMAT_ALONE, LZMA_MEMORY)
    return DecompressedStream(packed, codec, start=head)


def may_be_dicom(name: str) -> bool:
    """Return whether a member whose content cannot be read may be DICOM, from its name."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.name.upper() != "DICOMDIR" and path.suffix.lower() not in _other_suffixes()
