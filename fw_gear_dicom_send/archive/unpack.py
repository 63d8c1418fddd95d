"""Unpacking of archive members to nameless files, within limits."""

import errno
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from ..dicom.temporary_files import (
    MAX_IN_MEMORY,
    NO_ROOM,
    Room,
    is_full,
    new_temporary_file,
    reserve,
    retry_when_full,
)
from ..dicom.types import Unreadable
from ..reasons import Kind, Reason, Skipped
from .formats import is_archive, unsupported_format
from .limits import CHUNK_SIZE, HEAD_SIZE, Budget, ByteStream, Limits, reading
from .types import Member, NestedArchive

_LOSSLESS_RATIO = 3
"""How much larger an image may become when it is decompressed from a lossless syntax."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class DeclaredMember:
    """Properties that an archive declares for a member; sizes are in bytes.

    `size` is None if only the end of the data shows it. `position` is the end of the member in the
    archive, 0 if unknown.
    """

    number: int
    name: str
    size: int | None
    crc: int | None = None
    position: int = 0


@dataclass(frozen=True)
class Unpacker:
    """Unpacker of the members of one archive, within limits.

    `skips` returns why to skip a file, or None for an image, from its first bytes.
    """

    work: Path
    skips: Callable[[bytes], Skipped | None]
    limits: Limits
    budget: Budget
    room: Room = NO_ROOM
    is_nested: bool = False

    def from_stream(
        self, declared: DeclaredMember, head: bytes, source: ByteStream
    ) -> Member | NestedArchive | Unreadable | Skipped:
        """Unpack a member whose `head` has already been read, unless it contains no image."""
        skipped = self.skips(head)
        if skipped is None:
            return self.unpack(declared, head, source)
        if skipped is Skipped.NOT_DICOM and is_archive(head):
            return Skipped.NESTED if self.is_nested else self._nested(declared, head, source)
        return skipped_or_unsupported(skipped, head, declared.number, declared.name)

    def from_memory(
        self, declared: DeclaredMember, data: bytes
    ) -> Member | NestedArchive | Unreadable | Skipped:
        """Return a member that was unpacked to memory and checked."""
        self.budget.spend(len(data))
        return self._item(declared, data[:HEAD_SIZE], BytesIO(data))

    def from_archive_range(
        self, declared: DeclaredMember, head: bytes, content: BinaryIO
    ) -> Member | NestedArchive | Unreadable | Skipped:
        """Return a member that is read in place, if its CRC is right; otherwise close it."""
        item = self._item(declared, head, content)
        if isinstance(item, Member | NestedArchive) and not self._has_crc(content, declared.crc):
            content.close()
            return Unreadable(Reason(Kind.CORRUPT_MEMBER), declared.number, declared.name)
        return item

    def _item(
        self, declared: DeclaredMember, head: bytes, content: BinaryIO
    ) -> Member | NestedArchive | Unreadable | Skipped:
        skipped = self.skips(head)
        if skipped is None:
            return Member(declared.number, content, declared.name, declared.position)
        is_inner = skipped is Skipped.NOT_DICOM and is_archive(head)
        if is_inner and not self.is_nested:
            return NestedArchive(declared.number, content, declared.name)
        content.close()
        if is_inner:
            return Skipped.NESTED
        return skipped_or_unsupported(skipped, head, declared.number, declared.name)

    def _has_crc(self, content: BinaryIO, crc: int | None) -> bool:
        """Return whether the content has the CRC, and rewind it."""
        actual = 0
        try:
            content.seek(0)
            with reading():
                while data := content.read(CHUNK_SIZE):
                    self.budget.spend(len(data))
                    actual = zlib.crc32(data, actual)
            content.seek(0)
        except BaseException:
            content.close()
            raise
        return actual == crc

    def _nested(
        self, declared: DeclaredMember, head: bytes, source: ByteStream
    ) -> NestedArchive | Unreadable:
        item = self.unpack(declared, head, source)
        if isinstance(item, Unreadable):
            return item
        return NestedArchive(declared.number, item.content, declared.name)

    def unpack(
        self, declared: DeclaredMember, head: bytes, source: ByteStream
    ) -> Member | Unreadable:
        """Unpack a member whose `head` has already been read."""
        max_size = self.limits.member
        if declared.size is not None and declared.size > max_size:
            return Unreadable(Reason(Kind.MEMBER_TOO_LARGE), declared.number, declared.name)
        is_small = declared.size is not None and declared.size <= MAX_IN_MEMORY
        file: BinaryIO = BytesIO() if is_small else new_temporary_file(self.work)
        try:
            # A member of a tar can be read only once, so reserve its disk space first.
            self._reserve(file, min(declared.size or 0, self.budget.remaining))
            problem = copy_member(file, head, source, declared, max_size)
        except BaseException as exc:
            discard(file)
            if isinstance(exc, OSError) and exc.errno in DISK_FULL:
                return Unreadable(Reason(Kind.NO_SPACE), declared.number, declared.name)
            raise
        if problem:
            discard(file)
            return Unreadable(Reason(problem), declared.number, declared.name)
        return Member(declared.number, file, declared.name, declared.position)

    def _reserve(self, file: BinaryIO, size: int) -> None:
        """Reserve space once a converted copy also fits, or once no more space will be freed."""
        try:
            retry_when_full(self.room, lambda: reserve(file, size, spare=_LOSSLESS_RATIO * size))
        except OSError as exc:
            if not is_full(exc):
                raise
            reserve(file, size)


def skipped_or_unsupported(
    skipped: Skipped, head: bytes, number: int, name: str
) -> Skipped | Unreadable:
    """Return an Unreadable for an archive of an unsupported format, otherwise `skipped`."""
    if skipped is Skipped.NOT_DICOM and (archive_format := unsupported_format(head)):
        return Unreadable(Reason(Kind.UNSUPPORTED_FORMAT, archive_format), number, name)
    return skipped


def copy_member(
    file: BinaryIO, head: bytes, source: ByteStream, declared: DeclaredMember, max_size: int
) -> Kind | None:
    """Copy a member of at most `max_size` bytes to `file`; return a problem with it, or None."""
    size, crc = declared.size, declared.crc
    copied = actual_crc = 0
    data = head
    while data:
        copied += len(data)
        if copied > (max_size if size is None else size):
            return Kind.MEMBER_TOO_LARGE
        if crc is not None:
            actual_crc = zlib.crc32(data, actual_crc)
        file.write(data)
        with reading():
            data = source.read(CHUNK_SIZE)
    if copied < (size or 0) or crc not in (None, actual_crc):
        return Kind.CORRUPT_MEMBER
    file.seek(0)
    return None


def discard(file: BinaryIO) -> None:
    """Close a temporary file, and ignore the failed flush on a full disk."""
    with suppress(OSError):
        file.close()
