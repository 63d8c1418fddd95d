"""The files that lie in a folder, without those in the folders below."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..dicom.types import Unreadable
from ..reasons import Kind, Reason, Skipped
from ..text import printable
from .formats import is_archive
from .limits import HEAD_SIZE, read_fully
from .types import BrokenArchive, Member, NestedArchive
from .unpack import skipped_or_unsupported

_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")

_OPTIONAL_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def is_archive_name(name: str) -> bool:
    """Tell by the name of a file in a folder whether it is an archive, to be read for itself."""
    return name.lower().endswith(_SUFFIXES)


def open_regular(path: Path) -> BinaryIO | None:
    """Open a file to read; return None for a FIFO, a socket or a device, and wait for none.

    Raises OSError.
    """
    if is_special(os.stat(path).st_mode):
        return None
    try:
        file = os.open(path, os.O_RDONLY | _OPTIONAL_FLAGS)
    except OSError as exc:
        if exc.errno == errno.ENXIO:  # it has become a socket
            return None
        raise
    if is_special(os.fstat(file).st_mode):
        os.close(file)
        return None
    return open(file, "rb")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; opening it reports the error
        return False


def is_special(mode: int) -> bool:
    """Tell by its mode whether a file is a FIFO, a socket or a device."""
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def folder_items(
    folder: Path, skips: Callable[[bytes], Skipped | None]
) -> Iterator[Member | NestedArchive | Unreadable | Skipped | BrokenArchive]:
    """Yield what is in a folder, by its names; archives that are known by theirs are left out."""
    try:
        found = [entry for entry in os.scandir(folder) if not _is_folder(entry)]
    except OSError as exc:
        yield BrokenArchive(Reason(Kind.UNREADABLE_FOLDER, str(exc.strerror)))
        return
    position = 0
    for number, entry in enumerate(sorted(found, key=lambda one: one.name), start=1):
        try:
            file = open_regular(folder / entry.name)
        except OSError as exc:
            if not is_archive_name(entry.name):
                reason = Reason(Kind.UNOPENED_FILE, str(exc.strerror))
                yield Unreadable(reason, number, printable(entry.name))
            continue
        if file is None:
            yield Skipped.SPECIAL
            continue
        if is_archive_name(entry.name):
            file.close()
            continue
        try:
            head = read_fully(file, HEAD_SIZE)
            position += os.fstat(file.fileno()).st_size
            file.seek(0)
        except OSError as exc:
            file.close()
            yield Unreadable(
                Reason(Kind.UNREADABLE_FILE, str(exc.strerror)), number, printable(entry.name)
            )
            continue
        name = printable(entry.name)
        skipped = skips(head)
        if skipped is None:
            yield Member(number, file, name, position)
        elif skipped is Skipped.NOT_DICOM and is_archive(head):
            yield NestedArchive(number, file, name)
        else:
            file.close()
            yield skipped_or_unsupported(skipped, head, number, name)
