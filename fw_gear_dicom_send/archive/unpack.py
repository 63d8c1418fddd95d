"""Takes members out of an archive to nameless files, within its limits."""

import errno
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..dicom.spool import new_spool
from ..dicom.types import Unreadable
from ..reasons import Kind, Reason
from .limits import CHUNK_SIZE, Budget, ByteStream, Limits, reading
from .types import Member

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Declared:
    """What an archive says of a member: its number and name, its size in bytes and its CRC."""

    number: int
    name: str
    size: int
    crc: int | None = None


@dataclass(frozen=True)
class Unpacker:
    """Takes members out of one archive, within its limits."""

    work: Path
    is_dicom: Callable[[bytes], bool]
    limits: Limits
    budget: Budget

    def unpack(self, declared: Declared, head: bytes, source: ByteStream) -> Member | Unreadable:
        """Unpack a member, of which `head` has been read already."""
        if declared.size > self.limits.member:
            return Unreadable(Reason(Kind.MEMBER_TOO_LARGE), declared.number, declared.name)
        spool = new_spool(self.work)
        try:
            problem = fill(spool, head, source, declared.size, declared.crc)
        except BaseException as exc:
            discard(spool)
            if isinstance(exc, OSError) and exc.errno in DISK_FULL:
                return Unreadable(Reason(Kind.NO_SPACE), declared.number, declared.name)
            raise
        if problem:
            discard(spool)
            return Unreadable(Reason(problem), declared.number, declared.name)
        return Member(declared.number, spool, declared.name)


def fill(
    spool: BinaryIO, head: bytes, source: ByteStream, size: int, crc: int | None
) -> Kind | None:
    """Copy a member to `spool`, and say what is wrong with it."""
    copied = actual_crc = 0
    data = head
    while data:
        copied += len(data)
        if copied > size:
            return Kind.MEMBER_TOO_LARGE
        if crc is not None:
            actual_crc = zlib.crc32(data, actual_crc)
        spool.write(data)
        with reading():
            data = source.read(CHUNK_SIZE)
    if copied < size or crc not in (None, actual_crc):
        return Kind.CORRUPT_MEMBER
    spool.seek(0)
    return None


def discard(spool: BinaryIO) -> None:
    """Close a temporary file; where the disk is full, its last flush fails once more."""
    with suppress(OSError):
        spool.close()
