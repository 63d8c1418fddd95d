"""Immutable types of a dataset: its bytes and its identifiers."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from ..inflation import crc32
from ..reasons import Reason
from ..values import field, frozen
from .privacy import Identity

_BLOCK = 1 << 18

MemberNumber = int | str
"""Number of a member in its archive, from 1; `3.12` is member 12 of the archive in member 3."""


@frozen
class PrivateTag:
    """The element that marks a dataset as sent (PS3.5 7.8)."""

    group: int
    creator: str
    value: str


@frozen
class Unreadable:
    """An image that cannot be sent, and why.

    `number` and `name` identify the member of an archive; 0 and empty if unknown.
    """

    reason: Reason
    number: MemberNumber = 0
    name: str = ""


@frozen
class Span:
    """A range of bytes from `start` to `end`, excluding `end`."""

    start: int
    end: int


@frozen
class Patch:
    """Bytes that replace the bytes from `start` to `end`."""

    start: int
    end: int
    data: bytes


@frozen
class EncodedDataset:
    """The bytes of a dataset: ranges of `source` and inserted bytes, in order.

    Only one thread may read it at a time.
    """

    source: BinaryIO
    pieces: tuple[bytes | Span, ...]

    @property
    def size(self) -> int:
        """Length in bytes."""
        return sum(len(p) if isinstance(p, bytes) else p.end - p.start for p in self.pieces)

    def blocks(self, size: int = _BLOCK) -> Iterator[bytes]:
        """Yield all bytes: inserted pieces whole, and ranges in blocks of up to `size` bytes.

        Raises OSError if the source cannot be read or was truncated.
        """
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            self.source.seek(piece.start)
            missing = piece.end - piece.start
            while missing:
                data = self.source.read(min(missing, size))
                if not data:
                    raise OSError("the file was truncated during sending")
                missing -= len(data)
                yield data

    def crc32(self) -> int:
        """Return the CRC-32 of all bytes, which does not depend on the division into pieces.

        Raises OSError if the source cannot be read.
        """
        value = 0
        for block in self.blocks():
            value = crc32(block, value)
        return value


@frozen
class WatchedDataset(EncodedDataset):
    """A dataset that records its CRC-32 when it is read, so that no second read is needed.

    The mutable state is `crcs`, which gets the CRC-32 after each full read.
    """

    crcs: list[int] = field(default_factory=list)

    def blocks(self, size: int = _BLOCK) -> Iterator[bytes]:
        """Yield all bytes, and record their CRC-32."""
        value = 0
        for block in super().blocks(size):
            value = crc32(block, value)
            yield block
        self.crcs.append(value)

    def crc32(self) -> int:
        """Return the recorded CRC-32, or read all bytes; raises OSError if that fails."""
        if not self.crcs:
            for _ in self.blocks():
                pass
        return self.crcs[-1]


@frozen
class SOPInstance:
    """A dataset that is ready to be sent.

    It owns the source of its dataset. The caller of `stamp`, `convert` or `compress` closes the
    image once. Variants that share its source need no closing.

    `read_identity` reads the values that must not appear in a log. A comment of the server that
    quotes one of them is not shown. Study and series are empty if the dataset does not name them.
    `patient` is a hash of the Patient ID (0010,0020), which differs in each process, 0 without one.
    `remarks` are problems that do not prevent sending.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset: EncodedDataset
    read_identity: Callable[[], Identity] = field(default=Identity, repr=False)
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    patient: int = 0
    remarks: tuple[Reason, ...] = ()

    def close(self) -> None:
        """Close the source of the dataset, which deletes a temporary file."""
        self.dataset.source.close()
