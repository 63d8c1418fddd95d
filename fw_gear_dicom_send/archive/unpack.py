"""Unpacking of archive members to nameless files, within limits."""

import errno
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from ..dicom.temporary_files import MAX_IN_MEMORY, new_temporary_file
from ..dicom.types import Unreadable
from ..inflation import crc32
from ..reasons import Kind, Reason, Skipped
from ..values import frozen
from .formats import format_of
from .limits import CHUNK_SIZE, HEAD_SIZE, Budget, ByteStream, Limits, reading
from .types import FileItem, Member, NestedArchive

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


@frozen
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


@frozen
class Unpacker:
    """Unpacker of the members of one archive, within limits.

    `skips` returns why to skip a file, or None for an image, from its first bytes.
    """

    work: Path
    skips: Callable[[bytes], Skipped | None]
    limits: Limits
    budget: Budget
    is_nested: bool = False

    def from_stream(self, declared: DeclaredMember, head: bytes, source: ByteStream) -> FileItem:
        """Unpack a member whose `head` has already been read, unless it contains no image."""
        found = self._classify(declared, head)
        if isinstance(found, Reason):
            return Unreadable(found, declared.number, declared.name)
        if found and (self.is_nested or found is not Skipped.NESTED):
            return found
        item = self.unpack(declared, head, source)
        return item_of(found, item) if isinstance(item, Member) else item

    def from_memory(self, declared: DeclaredMember, data: bytes) -> FileItem:
        """Return a member that was unpacked to memory and checked."""
        self.budget.spend(len(data))
        return self._item(declared, data[:HEAD_SIZE], BytesIO(data))

    def from_archive_range(
        self, declared: DeclaredMember, head: bytes, content: BinaryIO
    ) -> FileItem:
        """Return a member that is read in place, if its CRC is right; otherwise close it."""
        item = self._item(declared, head, content)
        if not isinstance(item, Member | NestedArchive):
            return item
        crc = 0
        with ExitStack() as stack:
            stack.callback(content.close)
            content.seek(0)
            with reading():
                while data := content.read(CHUNK_SIZE):
                    self.budget.spend(len(data))
                    crc = crc32(data, crc)
            if crc != declared.crc:
                return Unreadable(Reason(Kind.CORRUPT_MEMBER), declared.number, declared.name)
            content.seek(0)
            stack.pop_all()
        return item

    def _item(self, declared: DeclaredMember, head: bytes, content: BinaryIO) -> FileItem:
        found = self._classify(declared, head)
        if self.is_nested and found is Skipped.NESTED:
            content.close()
            return found
        member = Member(declared.number, content, declared.name, declared.position)
        return item_of(found, member)

    def _classify(self, declared: DeclaredMember, head: bytes) -> Skipped | Reason | None:
        found = classify(head, self.skips)
        is_other = found in (Skipped.NOT_DICOM, Skipped.EMPTY)
        is_lost = declared.name.lower().endswith(_DICOM_SUFFIXES) or (head and not any(head))
        return Skipped.UNREAD if is_other and is_lost else found

    def unpack(
        self, declared: DeclaredMember, head: bytes, source: ByteStream
    ) -> Member | Unreadable:
        """Unpack a member whose `head` has already been read."""
        size, max_size = declared.size, self.limits.member
        if size is not None and size > max_size:
            return Unreadable(Reason(Kind.MEMBER_TOO_LARGE), declared.number, declared.name)
        is_small = size is not None and size <= MAX_IN_MEMORY
        file: BinaryIO = BytesIO() if is_small else new_temporary_file(self.work)
        with ExitStack() as stack:
            stack.callback(_discard, file)
            try:
                problem = _copy(file, head, source, declared, max_size)
            except OSError as exc:
                if exc.errno not in DISK_FULL:
                    raise
                problem = Kind.NO_SPACE
            if problem:
                return Unreadable(Reason(problem), declared.number, declared.name)
            stack.pop_all()
        return Member(declared.number, file, declared.name, declared.position)


def classify(head: bytes, skips: Callable[[bytes], Skipped | None]) -> Skipped | Reason | None:
    """Return None for an image, Skipped.NESTED for an archive, or why a file is not sent."""
    skipped = skips(head)
    if skipped is not Skipped.NOT_DICOM or not (form := format_of(head)):
        return skipped
    return Reason(Kind.UNSUPPORTED_FORMAT, form.name) if form.name else Skipped.NESTED


def item_of(found: Skipped | Reason | None, member: Member) -> FileItem:
    """Return the item for a file by its classification; close it if there is nothing to send."""
    if found is None:
        return member
    if found is Skipped.NESTED:
        return NestedArchive(int(member.number), member.content, member.name)
    member.content.close()
    return Unreadable(found, member.number, member.name) if isinstance(found, Reason) else found


def _copy(
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
            actual_crc = crc32(data, actual_crc)
        file.write(data)
        with reading():
            data = source.read(CHUNK_SIZE)
    if copied < (size or 0) or crc not in (None, actual_crc):
        return Kind.CORRUPT_MEMBER
    file.seek(0)
    return None


def _discard(file: BinaryIO) -> None:
    """Close a temporary file, and ignore the failed flush on a full disk."""
    with suppress(OSError):
        file.close()
