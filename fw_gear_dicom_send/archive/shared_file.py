"""A file that several threads read at the same time, each at its own position."""

import io
import os
from threading import Lock
from typing import BinaryIO


class SharedFile:
    """Reader at any position of a file, which no other code may read or move.

    Threads take turns if the platform has no `pread`, or if `file` is not a plain file.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read from `file`, which the caller must close."""
        self._file = file
        self._lock = Lock()
        is_plain = hasattr(os, "pread") and isinstance(file, io.BufferedReader)
        self._number = file.fileno() if is_plain else None

    def read_at(self, start: int, size: int) -> bytes:
        """Return at most `size` bytes from `start`; empty only at the end."""
        if self._number is not None:
            return os.pread(self._number, size, start)
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)

    def section(self, start: int, size: int) -> io.RawIOBase:
        """Return a range, which must not be used when this file is closed."""
        return _Range(self, start, size)

    def window(self, start: int, size: int) -> BinaryIO | None:
        """Return a range as a separate file, which stays open when this one is closed.

        Returns None if threads take turns.
        """
        if self._number is None:
            return None
        own = open(os.dup(self._number), "rb")
        return io.BufferedReader(_Range(SharedFile(own), start, size, own))


class _Range(io.RawIOBase):
    """A range of a shared file, with its own position; it closes the file `own` with itself."""

    def __init__(
        self, file: SharedFile, start: int, size: int, own: BinaryIO | None = None
    ) -> None:
        self._file = file
        self._start = start
        self._size = size
        self._own = own
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        self._position = bases[whence] + offset
        return self._position

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        size = max(0, min(len(buffer), self._size - self._position))
        data = self._file.read_at(self._start + self._position, size)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if self._own:
            self._own.close()
        super().close()
