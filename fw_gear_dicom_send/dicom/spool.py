"""Nameless files that hold what is on its way: in memory while small, else on disk."""

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Protocol, TypeVar, cast

_MAX_IN_MEMORY = 1 << 20
T = TypeVar("T")


class Room(Protocol):
    """Knows when something leaves the work folder, so that there may be room again."""

    def mark(self) -> int:
        """Return what to give to `wait` later."""

    def wait(self, mark: int) -> bool:
        """Wait until something has left since `mark`; return False where nothing is to leave."""


class NoRoom:
    """A work folder that nothing leaves."""

    def mark(self) -> int:
        """Return what to give to `wait` later."""
        return 0

    def wait(self, _: int) -> bool:
        """Return that there will be no room."""
        return False


NO_ROOM = NoRoom()


def with_room(room: Room, attempt: Callable[[], T]) -> T:
    """Run what writes to the work folder; where that is full, again as soon as there is room.

    Raises the OSError of the last attempt where nothing more leaves the folder.
    """
    while True:
        mark = room.mark()
        try:
            return attempt()
        except OSError as exc:
            if not is_full(exc) or not room.wait(mark):
                raise


def is_full(error: OSError) -> bool:
    """Tell whether a disk had no room, which may pass."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def new_spool(work: Path) -> BinaryIO:
    """Return an empty nameless file, which goes to `work` once it is over 1 MiB.

    It belongs to the caller and is deleted when closed.
    """
    return cast(BinaryIO, SpooledTemporaryFile(max_size=_MAX_IN_MEMORY, dir=str(work)))


def reserve(spool: BinaryIO, size: int) -> None:
    """Take the room on disk for `size` bytes of an empty spool, where it is to go there.

    Raises OSError where the disk has not so much.
    """
    if size > _MAX_IN_MEMORY and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(spool.fileno(), 0, size)


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
