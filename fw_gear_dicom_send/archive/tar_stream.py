"""The blocks of a tar, read forward; damage is skipped up to the next valid header."""

from contextlib import suppress
from io import BytesIO

from .limits import (
    PACKED_CHUNK_SIZE,
    Budget,
    ByteStream,
    CorruptError,
    TrailingGarbageError,
    read_fully,
)
from .tar_headers import BLOCK_SIZE, Header, parse_header

_MAX_RESCANNED = 64 << 20
"""Maximum bytes of damaged headers, which take about a second to search."""


class TarStream:
    """A tar of `size` bytes; the size of a compressed tar is unknown.

    `is_broken` shows whether damage was skipped in which members may have been.
    """

    def __init__(self, source: ByteStream, budget: Budget, size: int | None) -> None:
        """Read `source`, and subtract its bytes from `budget`."""
        self._source = source
        self.budget = budget
        self._size = size
        self._again = BytesIO()
        self._rescanned = 0
        self.position = 0
        self.is_broken = False

    @property
    def available(self) -> int:
        """Number of bytes that follow, or may be read if the size is unknown."""
        return self.budget.remaining if self._size is None else self._size - self.position

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; empty only at the end."""
        data = self._again.read(size)
        if not data:
            data = self._source.read(size)
            self.budget.spend(len(data))
        self.position += len(data)
        return data

    def rescan(self, data: bytes) -> None:
        """Search `data`, the last to be read, for headers.

        The budget counts them again. Raises CorruptError for more than 64 MiB of such data.
        """
        self.budget.spend(len(data))
        self._rescanned += len(data)
        if self._rescanned > _MAX_RESCANNED:
            raise CorruptError
        self._put_back(data)

    def _put_back(self, data: bytes) -> None:
        self.position -= len(data)
        self._again = BytesIO(data + self._again.read())

    def skip_to(self, position: int) -> None:
        """Skip data; raises EOFError if the tar ends before `position`."""
        while self.position < position:
            if not self.read(min(position - self.position, PACKED_CHUNK_SIZE)):
                raise EOFError("the tar is truncated")

    def next_header(self, *, after_damage: bool) -> Header | None:
        """Return the next valid header, or None at the end of the tar.

        Blocks of zeros end a tar (POSIX.1 pax, "ustar Interchange Format"). Another tar, or any
        other data, may follow. After known damage, zeros may be data of the damaged member.
        """
        is_damaged, has_ended = after_damage, False
        size = BLOCK_SIZE
        try:
            while data := self._blocks(size):
                for start in range(0, len(data), BLOCK_SIZE):
                    block = data[start : start + BLOCK_SIZE]
                    if header := parse_header(block):
                        self._put_back(data[start + BLOCK_SIZE :])
                        self.is_broken |= is_damaged and not after_damage
                        return header
                    is_damaged |= len(block) < BLOCK_SIZE or bool(block.strip(b"\0"))
                    has_ended |= not is_damaged
                size = PACKED_CHUNK_SIZE
        except TrailingGarbageError:
            is_damaged = True
        self.is_broken |= is_damaged and not has_ended
        return None

    def _blocks(self, size: int) -> bytes:
        """Return at most `size` bytes: whole blocks, except at the end of the tar.

        A block of zeros stands for a chunk of zeros, as there may be gigabytes of them.
        """
        data = self.read(size)
        # The next read raises these errors again.
        with suppress(EOFError, TrailingGarbageError):
            data += read_fully(self, -len(data) % BLOCK_SIZE)
        if len(data) == PACKED_CHUNK_SIZE and not data.strip(b"\0"):
            return bytes(BLOCK_SIZE)
        return data
