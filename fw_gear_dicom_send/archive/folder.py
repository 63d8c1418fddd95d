"""Files of a folder, without subfolders."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from ..dicom.temporary_files import MAX_IN_MEMORY
from ..dicom.types import Unreadable
from ..reasons import Kind, Reason, Skipped
from ..text import sort_key
from .formats import is_archive_name
from .limits import HEAD_SIZE, read_fully
from .types import BrokenArchive, FileItem, Member, RawTask
from .unpack import classify, item_of

_OPTIONAL_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_regular(path: Path | str, *, was_regular: bool = False) -> int | None:
    """Open a file to read, and return its descriptor.

    Returns None for a FIFO, a socket or a device, without waiting for it. `was_regular` skips the
    check before opening. Raises OSError.
    """
    if not was_regular and is_special(os.stat(path).st_mode):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | _OPTIONAL_FLAGS)
    except OSError as exc:
        if exc.errno == errno.ENXIO:  # replaced by a socket
            return None
        raise
    if is_special(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return descriptor


def load(descriptor: int) -> tuple[BinaryIO, int]:
    """Return the content of a file that is open at its start, and its size in bytes.

    A small file is read into memory and closed, with few system calls. Raises OSError, and closes
    the file, if it cannot be read.
    """
    try:
        size = os.fstat(descriptor).st_size
        is_small = size <= MAX_IN_MEMORY
        data = os.read(descriptor, size + 1) if is_small else b""
        while 0 < len(data) < size and (more := os.read(descriptor, size + 1 - len(data))):
            data += more
        if not is_small or len(data) > size:
            os.lseek(descriptor, 0, os.SEEK_SET)
            return open(descriptor, "rb"), size
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return BytesIO(data), len(data)


def _is(check: Callable[[], bool]) -> bool:
    """Return what a folder lists about an entry, without a system call; False if unknown."""
    try:
        return check()
    except OSError:  # a link to itself; opening it reports the error
        return False


def is_special(mode: int) -> bool:
    """Return whether a mode is that of a FIFO, a socket or a device."""
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def folder_tasks(
    folder: Path, skips: Callable[[bytes], Skipped | None], selects: Callable[[str], bool]
) -> Iterator[RawTask | BrokenArchive]:
    """Yield tasks that open the files of a folder, sorted by name.

    Only files whose names `selects` accepts are opened. Files with names of archives are skipped.
    """
    try:
        found = [entry for entry in os.scandir(folder) if not _is(entry.is_dir)]
    except OSError as exc:
        yield BrokenArchive(Reason(Kind.UNREADABLE_FOLDER, str(exc.strerror)))
        return
    position = _Position()
    for number, entry in enumerate(sorted(found, key=lambda entry: sort_key(entry.name)), start=1):
        is_separate = is_archive_name(entry.name) and _is(entry.is_file)
        if selects(entry.name) and not is_separate:
            yield partial(_folder_item, entry, number, skips, position)


class _Position:
    """Number of bytes that all threads have read from the files of a folder."""

    def __init__(self) -> None:
        self._value = 0
        self._lock = Lock()

    def add(self, size: int) -> int:
        """Add `size` bytes, and return the total."""
        with self._lock:
            self._value += size
            return self._value


def _folder_item(
    entry: os.DirEntry[str],
    number: int,
    skips: Callable[[bytes], Skipped | None],
    position: _Position,
) -> FileItem | None:
    """Open a file of a folder; close it if there is nothing to send."""
    name = entry.name
    try:
        file = open_regular(entry.path, was_regular=_is(entry.is_file))
    except OSError as exc:
        if is_archive_name(entry.name):
            return None
        return Unreadable(Reason(Kind.UNOPENED_FILE, str(exc.strerror)), number, name)
    if file is None:
        return Skipped.SPECIAL
    content = None
    try:
        content, size = load(file)
        head = read_fully(content, HEAD_SIZE)
        content.seek(0)
    except OSError as exc:
        if content:
            content.close()
        return Unreadable(Reason(Kind.UNREADABLE_FILE, str(exc.strerror)), number, name)
    return item_of(classify(head, skips), Member(number, content, name, position.add(size)))
