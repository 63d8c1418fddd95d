"""Unusual, damaged and hostile archives, and their contents."""

import bz2
import copy
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

ZIP_FIELDS = {
    "flags": (6, 8, "<H"),
    "method": (8, 10, "<H"),
    "crc": (14, 16, "<L"),
    "size": (22, 24, "<L"),
}
"""Offset of a field in the local and in the central header, and its layout."""
END_OF_TAR = bytes(2 * tarfile.BLOCKSIZE)
COMPRESSORS = [gzip.compress, bz2.compress, lzma.compress]


def dicom(seed: int, size: int = 9000) -> bytes:
    """Return content that starts like a DICOM file; half of it is compressible."""
    noise = random.Random(seed).randbytes((size - 132) // 2)
    return bytes(128) + b"DICM" + noise + bytes(size - len(noise) - 132)


A, B, C = (dicom(seed) for seed in range(3))
ORIGINALS = [dicom(seed, size) for seed, size in enumerate([132, 700, 5000, 9000])]
"""Members of archives that are damaged at random."""


def has_prefix(head: bytes) -> bool:
    """Return whether a file has the DICOM prefix (PS3.10 7.1)."""
    return head[128:132] == b"DICM"


def edit(path: Path, offset: int, data: bytes) -> None:
    """Overwrite bytes of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def flip(path: Path, offset: int) -> None:
    """Change one byte of a file."""
    edit(path, offset, bytes([path.read_bytes()[offset] ^ 0xFF]))


def set_zip_field(path: Path, name: str, field: str, value: int) -> None:
    """Change a field in both headers of a zip member."""
    in_local, in_central, layout = ZIP_FIELDS[field]
    with zipfile.ZipFile(path) as archive:
        local = archive.getinfo(name).header_offset
    data = path.read_bytes()
    central = data.rindex(name.encode(), data.index(b"PK\x01\x02")) - 46
    edit(path, local + in_local, struct.pack(layout, value))
    edit(path, central + in_central, struct.pack(layout, value))


def overlapping_zip(path: Path, content: bytes, times: int) -> Path:
    """Write a zip whose directory names the same stored bytes several times."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.dcm", content)
        archive.filelist += [copy.copy(archive.filelist[0]) for _ in range(times - 1)]
    return path


def tar_entry(
    name: str, content: bytes = b"", *, tar_format: int = tarfile.GNU_FORMAT, **fields: object
) -> bytes:
    """Return a tar member: headers and content. `fields` are those of TarInfo."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry.tobuf(tar_format) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def with_checksum(header: bytearray) -> bytes:
    """Return the header of a tar member with its correct checksum."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def v7_tar(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a tar in the UNIX version 7 format: no magic, no user names."""
    archive = io.BytesIO()
    for name, content in members:
        header = bytearray(tar_entry(name, tar_format=tarfile.USTAR_FORMAT, size=len(content)))
        header[257:] = bytes(len(header) - 257)
        archive.write(with_checksum(header) + content + bytes(-len(content) % tarfile.BLOCKSIZE))
    return archive.getvalue() + bytes(1024)


def pax_record(key: str, value: str) -> bytes:
    """Return a record of a pax header."""
    rest = f" {key}={value}\n".encode()
    size = len(rest) + len(str(len(rest)))
    return str(len(rest) + len(str(size))).encode() + rest


def pax_header(records: bytes, **fields: object) -> bytes:
    """Return a pax header with these records, valid or not."""
    return tar_entry("x", records, **{"type": tarfile.XHDTYPE, **fields})


def old_sparse_entry(
    name: str, parts: dict[int, bytes], size: int, *, blocks: int = 1, stored: int | None = None
) -> bytes:
    """Return a tar member that is a sparse file in the old GNU format, with no more than 22 parts.

    Its map continues in `blocks` blocks. `stored` replaces the size of the data.
    """
    data = b"".join(parts.values())
    numbers = b"".join(b"%011o\0%011o\0" % (at, len(part)) for at, part in parts.items())
    header = bytearray(tar_entry(name, type=tarfile.GNUTYPE_SPARSE))
    header[124:136] = b"%011o\0" % (len(data) if stored is None else stored)
    header[386:410] = numbers[:24].ljust(24, b"\0")
    header[482:495] = b"%c%011o\0" % (bool(blocks), size)
    more = numbers[24:].ljust(504 * blocks, b"\0")
    rest = b"".join(
        more[504 * block : 504 * (block + 1)] + b"%c" % (block + 1 < blocks) + bytes(7)
        for block in range(blocks)
    )
    return with_checksum(header) + rest + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def sparse_entry(name: str, parts: dict[int, bytes], size: int) -> bytes:
    """Return a tar member that is a sparse file (GNU, PAX 1.0); `parts` are keyed by offset."""
    numbers = [len(parts), *(n for at, data in parts.items() for n in (at, len(data)))]
    sparse_map = "".join(f"{number}\n" for number in numbers).encode()
    sparse_map += bytes(-len(sparse_map) % tarfile.BLOCKSIZE)
    headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": name,
        "GNU.sparse.realsize": str(size),
    }
    content = sparse_map + b"".join(parts.values())
    return tar_entry(name, content, tar_format=tarfile.PAX_FORMAT, pax_headers=headers)


def zipped(path: Path, *contents: bytes, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip with members named `1.dcm`, `2.dcm`, ..."""
    with zipfile.ZipFile(path, "w", method) as file:
        for number, content in enumerate(contents, start=1):
            file.writestr(f"{number}.dcm", content)
    return path


def tarred(*contents: bytes) -> bytes:
    """Return tar members without the end-of-archive blocks."""
    return b"".join(tar_entry(f"{n}.dcm", content) for n, content in enumerate(contents))
