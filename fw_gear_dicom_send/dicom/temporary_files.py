"""Nameless temporary files: in memory while small, otherwise on disk."""

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import BinaryIO, NamedTuple, Protocol, TypeVar, cast

MAX_IN_MEMORY = 1 << 20
_RESERVING = Lock()
_CANNOT_RESERVE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of file systems that cannot reserve space."""
T = TypeVar("T")


class Mark(NamedTuple):
    """State of the work folder at one time: number of removed items and of waiting threads."""

    left: int
    waiting: int


class Room(Protocol):
    """Monitor of the work folder, which signals when files are removed and space is free."""

    def mark(self) -> Mark:
        """Return the current state, to pass to `wait` later."""

    def wait(self, mark: Mark) -> bool:
        """Wait until more space may be free than at `mark`; return False if none will be."""

    def turn(self, is_retry: bool) -> AbstractContextManager[object]:
        """Return a context to write in, which keeps other threads from taking freed space."""


class NoRoom:
    """Monitor of a work folder from which no files are removed."""

    def mark(self) -> Mark:
        """Return an empty state."""
        return Mark(0, 0)

    def wait(self, _: Mark) -> bool:
        """Return False: there will be no more space."""
        return False

    def turn(self, _: bool) -> AbstractContextManager[object]:
        """Return a context without a lock."""
        return nullcontext()


NO_ROOM = NoRoom()


def retry_when_full(room: Room, attempt: Callable[[], T]) -> T:
    """Call a function that writes to the work folder; if the disk is full, wait and retry.

    Raises the OSError of the last attempt once no more space will be freed.
    """
    is_retry = False
    while True:
        try:
            with room.turn(is_retry):
                mark = room.mark()
                return attempt()
        except OSError as exc:
            if not is_full(exc) or not room.wait(mark):
                raise
        is_retry = True


def is_full(error: OSError) -> bool:
    """Return whether an error means a full disk, which may be temporary."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def new_temporary_file(work: Path) -> BinaryIO:
    """Return an empty nameless file, in `work` if it grows over 1 MiB.

    The caller must close it, which deletes it.
    """
    return cast(BinaryIO, SpooledTemporaryFile(max_size=MAX_IN_MEMORY, dir=str(work)))


def reserve(file: BinaryIO, size: int, spare: int = 0) -> None:
    """Reserve `size` bytes on disk for an empty file, if it will be on disk.

    One thread reserves at a time, so that no thread takes the spare bytes of another.
    Raises OSError, and reserves nothing, if the disk lacks these bytes plus `spare` bytes.
    """
    if size <= MAX_IN_MEMORY or not hasattr(os, "posix_fallocate"):
        return
    with _RESERVING:
        status = os.fstatvfs(file.fileno())
        if spare and status.f_bavail * status.f_frsize < size + spare:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as exc:
            file.truncate(0)
            if exc.errno not in _CANNOT_RESERVE:
                raise


def write_temporary_file(chunks: Iterable[bytes], work: Path) -> BinaryIO:
    """Write `chunks` to a new file and rewind it.

    Raises OSError, and leaves no file, if the disk rejects the data.
    """
    file = new_temporary_file(work)
    try:
        for chunk in chunks:
            file.write(chunk)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
