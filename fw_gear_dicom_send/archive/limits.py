"""Sources, limits and errors that the readers of all archives share."""

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Protocol

from ..inflation import InflateError
from ..values import frozen

HEAD_SIZE = 4096
"""Bytes at the start of a member that show whether it is DICOM."""
CHUNK_SIZE = 1 << 20
PACKED_CHUNK_SIZE = 1 << 16

# All errors that zipfile, tarfile and the decompressors raise, documented or observed.
READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    OverflowError,
    LookupError,
    struct.error,
    zlib.error,
    InflateError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)


@frozen
class Limits:
    """Limits on the unpacked size of an archive, in bytes.

    A member may have up to `member` bytes. A whole archive may have up to `archive` bytes, or
    `ratio` times the size of its file if that is more. Deflate packs at most 1032 to 1.
    """

    member: int = 16 * 1024**3
    archive: int = 1024**3
    ratio: int = 1100


class ByteStream(Protocol):
    """A source of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; empty only at the end."""


class Budget:
    """Number of bytes that all threads together may still read from an archive."""

    def __init__(self, size: int) -> None:
        """Allow `size` bytes."""
        self._remaining = size
        self._lock = Lock()

    @property
    def remaining(self) -> int:
        """Number of remaining bytes."""
        return max(self._remaining, 0)

    def spend(self, size: int) -> None:
        """Subtract `size` bytes; raises OverBudgetError if fewer remain."""
        with self._lock:
            self._remaining -= size
        if self._remaining < 0:
            raise OverBudgetError


class CountedStream:
    """A source whose bytes are subtracted from a budget."""

    def __init__(self, source: ByteStream, budget: Budget) -> None:
        """Count the bytes that are read from `source`."""
        self._source = source
        self._budget = budget

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; empty only at the end."""
        data = self._source.read(size)
        self._budget.spend(len(data))
        return data


class CorruptError(Exception):
    """The archive, or a member of a zip, is damaged at or before the current position."""


class OverBudgetError(Exception):
    """More bytes were read from the archive than its limits allow."""


class TrailingGarbageError(ValueError):
    """Other data follows a complete compressed stream."""


@contextmanager
def reading() -> Iterator[None]:
    """Convert the errors of archive readers to CorruptError."""
    try:
        yield
    except READ_ERRORS as exc:
        raise CorruptError from exc


def read_fully(source: ByteStream, size: int) -> bytes:
    """Read `size` bytes, or fewer if the source ends earlier."""
    data = b""
    while len(data) < size and (more := source.read(size - len(data))):
        data += more
    return data
