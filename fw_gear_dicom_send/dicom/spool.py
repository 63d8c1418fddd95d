"""Nameless files that hold what is on its way: in memory while small, else on disk."""

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
"""What some file systems answer that can take what is written only."""
T = TypeVar("T")


class Mark(NamedTuple):
    """How much had left the work folder at a time, and how many waited for more to leave."""

    left: int
    waiting: int


class Room(Protocol):
    """Knows when something leaves the work folder, so that there may be room again."""

    def mark(self) -> Mark:
        """Return what to give to `wait` later."""

    def wait(self, mark: Mark) -> bool:
        """Wait until there may be more room than at `mark`; return False where there will not."""

    def turn(self, is_retry: bool) -> AbstractContextManager[object]:
        """Return what keeps others from writing meanwhile, where they would take the room."""


class NoRoom:
    """A work folder that nothing leaves."""

    def mark(self) -> Mark:
        """Return what to give to `wait` later."""
        return Mark(0, 0)

    def wait(self, _: Mark) -> bool:
        """Return that there will be no room."""
        return False

    def turn(self, _: bool) -> AbstractContextManager[object]:
        """Keep nobody from writing."""
        return nullcontext()


NO_ROOM = NoRoom()


def with_room(room: Room, attempt: Callable[[], T]) -> T:
    """Run what writes to the work folder; if the folder is full, retry once there is room.

    Raises the OSError of the last attempt where nothing more leaves the folder.
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
    """Tell whether a disk had no room, which may pass."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def new_spool(work: Path) -> BinaryIO:
    """Return an empty nameless file, which goes to `work` once it is over 1 MiB.

    It belongs to the caller and is deleted when closed.
    """
    return cast(BinaryIO, SpooledTemporaryFile(max_size=MAX_IN_MEMORY, dir=str(work)))


def reserve(spool: BinaryIO, size: int, spare: int = 0) -> None:
    """Take the room on disk for `size` bytes of an empty spool, where it is to go there.

    Raises OSError where the disk has not so much, and `spare` bytes beside them; takes none then.
    Threads do so one after the other, so that none takes what another one spares.
    """
    if size <= MAX_IN_MEMORY or not hasattr(os, "posix_fallocate"):
        return
    with _RESERVING:
        status = os.fstatvfs(spool.fileno())
        if spare and status.f_bavail * status.f_frsize < size + spare:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            os.posix_fallocate(spool.fileno(), 0, size)
        except OSError as exc:
            spool.truncate(0)
            if exc.errno not in _CANNOT_RESERVE:
                raise


def spool(chunks: Iterable[bytes], work: Path) -> BinaryIO:
    """Write `chunks` to a new spool and rewind it.

    Raises OSError where the disk does not take it; nothing is left then.
    """
    file = new_spool(work)
    try:
        for chunk in chunks:
            file.write(chunk)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
