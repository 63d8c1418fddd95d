"""A file that several threads read at once, each at places of its own."""

import io
import os
from threading import Lock
from typing import BinaryIO


class SharedFile:
    """Reads at any place of a file, which nothing else reads or moves.

    Where the platform has no `pread`, and for a file that is no plain one, threads read one after
    the other.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read from `file`, which stays that of the caller."""
        self._file = file
        self._lock = Lock()
        is_plain = hasattr(os, "pread") and isinstance(file, io.BufferedReader)
        self._number = file.fileno() if is_plain else None

    def read_at(self, start: int, size: int) -> bytes:
        """Return at most `size` bytes from `start` on, and none only behind the end."""
        if self._number is not None:
            return os.pread(self._number, size, start)
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)


class Section:
    """A range of a shared file, read from its start to its end."""

    def __init__(self, file: SharedFile, start: int, size: int) -> None:
        """Read `size` bytes from `start` on."""
        self._file = file
        self._start = start
        self._end = start + size

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, and none only at the end."""
        data = self._file.read_at(self._start, min(size, self._end - self._start))
        self._start += len(data)
        return data
