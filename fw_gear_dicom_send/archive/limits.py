"""What the readers of all kinds of archive share: sources, limits and errors."""

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Protocol, TypeVar

HEAD_SIZE = 4096
"""Bytes at the start of a member that tell whether it is DICOM."""
CHUNK_SIZE = 1 << 20
PACKED_CHUNK_SIZE = 1 << 16

# All that zipfile, tarfile and the decompressors were seen or are documented to raise.
READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    OverflowError,
    LookupError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)


T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """How much an archive may unpack to.

    `member` is the most bytes of one member. All that is read out of an archive may
    be `archive` bytes, or `ratio` times the size of its file where that is more:
    deflate cannot pack better than 1032 to 1.
    """

    member: int = 16 * 1024**3
    archive: int = 1024**3
    ratio: int = 1100


class ByteStream(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end."""


class Budget:
    """The bytes that may still be read out of an archive, by all threads."""

    def __init__(self, size: int) -> None:
        """Allow `size` bytes."""
        self._left = size
        self._lock = Lock()

    @property
    def remaining(self) -> int:
        """Bytes that are left."""
        return max(self._left, 0)

    def spend(self, size: int) -> None:
        """Take off `size` bytes; raises OverBudgetError where they are not left."""
        with self._lock:
            self._left -= size
        if self._left < 0:
            raise OverBudgetError


class Counted:
    """A source whose bytes are taken off a budget."""

    def __init__(self, source: ByteStream, budget: Budget) -> None:
        """Count what is read from `source`."""
        self._source = source
        self._budget = budget

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, and none only at the end."""
        data = self._source.read(size)
        self._budget.spend(len(data))
        return data


class CorruptError(Exception):
    """The archive, or a member of a zip, cannot be read (further)."""


class OverBudgetError(Exception):
    """More was read out of the archive than is allowed."""


class TrailingGarbageError(ValueError):
    """Something else follows a whole compressed stream."""


class EndOfTarError(tarfile.HeaderError):
    """A tar has no more members."""


@contextmanager
def reading() -> Iterator[None]:
    """Turn what may be raised where an archive is read into CorruptError."""
    try:
        yield
    except EndOfTarError:
        raise
    except READ_ERRORS as exc:
        raise CorruptError from exc


def read_each(items: Iterator[T]) -> Iterator[T]:
    """Yield what is read out of an archive; raises CorruptError where that fails."""
    while True:
        with reading():
            item = next(items, None)
        if item is None:
            return
        yield item


def read_fully(source: ByteStream, size: int) -> bytes:
    """Read `size` bytes, or all up to the end."""
    data = b""
    while len(data) < size and (more := source.read(size - len(data))):
        data += more
    return data
