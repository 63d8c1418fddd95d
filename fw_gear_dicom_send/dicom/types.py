"""The frozen types of a dataset: its bytes, and what names it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from zlib import crc32

from ..reasons import Reason
from .privacy import Identity

_BLOCK = 1 << 18

MemberNumber = int | str
"""The number of a member of an archive, from 1; `3.12` is number 12 of the archive in member 3."""


@dataclass(frozen=True)
class PrivateTag:
    """The element that marks a dataset as sent (PS3.5 7.8)."""

    group: int
    creator: str
    value: str


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be sent, and why.

    `number` and `name` are those of the member, 0 and empty where they are not known.
    """

    reason: Reason
    number: MemberNumber = 0
    name: str = ""


@dataclass(frozen=True)
class Span:
    """A range of bytes, from `start` up to but without `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class Patch:
    """Bytes that come in place of those from `start` to `end`."""

    start: int
    end: int
    data: bytes


@dataclass(frozen=True)
class EncodedDataset:
    """The bytes of a dataset: ranges of `source` and inserted bytes, in order.

    `source` belongs to the dataset, which is read by one thread at a time.
    """

    source: BinaryIO
    pieces: tuple[bytes | Span, ...]

    @property
    def size(self) -> int:
        """Length in bytes."""
        return sum(len(p) if isinstance(p, bytes) else p.end - p.start for p in self.pieces)

    def blocks(self, size: int = _BLOCK) -> Iterator[bytes]:
        """Yield all bytes: each inserted piece, and each range in blocks of up to `size` bytes.

        Raises OSError if the source cannot be read or has become shorter.
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
                    raise OSError("the dataset's source became shorter while it was sent")
                missing -= len(data)
                yield data

    def crc32(self) -> int:
        """Return the CRC-32 of all bytes, whatever the pieces.

        Raises OSError if the source cannot be read.
        """
        value = 0
        for piece in self.pieces:
            if isinstance(piece, bytes):
                value = crc32(piece, value)
                continue
            self.source.seek(piece.start)
            for start in range(piece.start, piece.end, _BLOCK):
                value = crc32(self.source.read(min(_BLOCK, piece.end - start)), value)
        return value

    def close(self) -> None:
        """Let go of the source, which may delete it."""
        self.source.close()


@dataclass(frozen=True)
class WatchedDataset(EncodedDataset):
    """A dataset whose CRC-32 is known once it was read, which saves reading a large one twice.

    The mutable state is `crcs`, which gets the CRC-32 when all blocks were read, or at the end.
    """

    crcs: list[int] = field(default_factory=list)

    def blocks(self, size: int = _BLOCK) -> Iterator[bytes]:
        """Yield all bytes, and note their CRC-32."""
        value = 0
        for block in super().blocks(size):
            value = crc32(block, value)
            yield block
        self.crcs.append(value)

    def close(self) -> None:
        """Note the CRC-32 if it is not known, and let go of the source."""
        try:
            if not self.crcs:
                self.crcs.append(self.crc32())
        except (OSError, ValueError):
            pass  # nothing equals a dataset that cannot be read, or was closed before
        self.source.close()


@dataclass(frozen=True)
class SOPInstance:
    """A dataset that is ready to be sent.

    What a server says in return is shown only if it quotes nothing of what `read_identity`
    returns, which reads the dataset. Study and series are empty where the dataset does not name
    them. Remarks are what is worth knowing about it, though it can be sent.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset: EncodedDataset
    read_identity: Callable[[], Identity] = field(default=Identity, repr=False)
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    remarks: tuple[Reason, ...] = ()
