"""The files that lie in a folder, without those in the folders below."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from ..dicom.spool import MAX_IN_MEMORY
from ..dicom.types import Unreadable
from ..reasons import Kind, Reason, Skipped
from ..text import printable, sort_key
from .formats import is_archive
from .limits import HEAD_SIZE, read_fully
from .types import BrokenArchive, Member, NestedArchive, RawTask
from .unpack import skipped_or_unsupported

_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")

_OPTIONAL_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def is_archive_name(name: str) -> bool:
    """Tell by the name of a file in a folder whether it is an archive, to be read for itself."""
    return name.lower().endswith(_SUFFIXES)


def open_regular(path: Path | str) -> BinaryIO | None:
    """Open a file to read; return None for a FIFO, a socket or a device, and wait for none.

    Raises OSError.
    """
    descriptor = _descriptor(path)
    return None if descriptor is None else open(descriptor, "rb")


def _descriptor(path: Path | str, *, was_regular: bool = False) -> int | None:
    """Open a file as `open_regular` does; one that `was_regular` is not looked at before."""
    if not was_regular and is_special(os.stat(path).st_mode):
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | _OPTIONAL_FLAGS)
    except OSError as exc:
        if exc.errno == errno.ENXIO:  # it has become a socket
            return None
        raise
    if is_special(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return descriptor


def _loaded(descriptor: int) -> tuple[BinaryIO, int]:
    """Return the content of a file as `loaded` does; each call of the system costs a small one."""
    try:
        size = os.fstat(descriptor).st_size
        data = os.read(descriptor, size + 1) if size <= MAX_IN_MEMORY else b""
    except OSError:
        os.close(descriptor)
        raise
    if 0 < len(data) == size:
        os.close(descriptor)
        return BytesIO(data), size
    file = open(descriptor, "rb")
    try:
        file.seek(0)
        return loaded(file)
    except OSError:
        file.close()
        raise


def loaded(file: BinaryIO) -> tuple[BinaryIO, int]:
    """Return the content of an open file, and its size in bytes.

    A small file is read to memory at once, and closed. Raises OSError.
    """
    size = os.fstat(file.fileno()).st_size
    if size <= MAX_IN_MEMORY:
        data = file.read(size + 1)
        if len(data) <= size:
            file.close()
            return BytesIO(data), len(data)
        file.seek(0)
    return file, size


def _is_regular(entry: os.DirEntry[str]) -> bool:
    """Tell by what the folder says whether an entry is a regular file, which costs no call."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; opening it reports the error
        return False


def is_special(mode: int) -> bool:
    """Tell by its mode whether a file is a FIFO, a socket or a device."""
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def folder_tasks(
    folder: Path, skips: Callable[[bytes], Skipped | None], selects: Callable[[str], bool]
) -> Iterator[RawTask | BrokenArchive]:
    """Yield what opens the files in a folder whose names `selects` takes, by their names.

    Archives that are known by their names are left out.
    """
    try:
        found = [entry for entry in os.scandir(folder) if not _is_folder(entry)]
    except OSError as exc:
        yield BrokenArchive(Reason(Kind.UNREADABLE_FOLDER, str(exc.strerror)))
        return
    position = _Position()
    for number, entry in enumerate(sorted(found, key=lambda one: sort_key(one.name)), start=1):
        if selects(entry.name):
            yield partial(_folder_item, entry, number, skips, position)


class _Position:
    """How many bytes of the files in a folder were read, by all threads."""

    def __init__(self) -> None:
        self._value = 0
        self._lock = Lock()

    def add(self, size: int) -> int:
        """Count so many bytes more, and return how many there are."""
        with self._lock:
            self._value += size
            return self._value


def _folder_item(
    entry: os.DirEntry[str],
    number: int,
    skips: Callable[[bytes], Skipped | None],
    position: _Position,
) -> Member | NestedArchive | Unreadable | Skipped | None:
    """Open a file in a folder, unless it is an archive by its name."""
    try:
        file = _descriptor(entry.path, was_regular=_is_regular(entry))
    except OSError as exc:
        if is_archive_name(entry.name):
            return None
        reason = Reason(Kind.UNOPENED_FILE, str(exc.strerror))
        return Unreadable(reason, number, printable(entry.name))
    if file is None:
        return Skipped.SPECIAL
    if is_archive_name(entry.name):
        os.close(file)
        return None
    return _opened(file, number, printable(entry.name), skips, position)


def _opened(
    file: int,
    number: int,
    name: str,
    skips: Callable[[bytes], Skipped | None],
    position: _Position,
) -> Member | NestedArchive | Unreadable | Skipped:
    """Tell what an open file is, and close one that is nothing to send."""
    try:
        content, size = _loaded(file)
    except OSError as exc:
        return Unreadable(Reason(Kind.UNREADABLE_FILE, str(exc.strerror)), number, name)
    try:
        head = read_fully(content, HEAD_SIZE)
        content.seek(0)
    except OSError as exc:
        content.close()
        return Unreadable(Reason(Kind.UNREADABLE_FILE, str(exc.strerror)), number, name)
    read = position.add(size)
    skipped = skips(head)
    if skipped is None:
        return Member(number, content, name, read)
    if skipped is Skipped.NOT_DICOM and is_archive(head):
        return NestedArchive(number, content, name)
    content.close()
    return skipped_or_unsupported(skipped, head, number, name)
