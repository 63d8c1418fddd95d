"""What comes out of an archive."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, TypeVar

from ..dicom.types import MemberNumber, Unreadable
from ..reasons import Reason, Skipped


@dataclass(frozen=True)
class Member:
    """A DICOM file out of an archive, or a DICOM file that came alone.

    `number` counts the members of the archive from 1; `3.12` is number 12 of the archive
    that is member 3. Messages name a member by it, since its `name`, empty for a file that
    came alone, may be a patient's. The name is printable, and no path to anything. `content`
    is seekable and belongs to whoever takes the member. `position` is how far the archive has
    been read, in bytes.
    """

    number: MemberNumber
    content: BinaryIO
    name: str = ""
    position: int = 0


@dataclass(frozen=True)
class NestedArchive:
    """A member of an archive, or a file of a folder, that is an archive itself."""

    number: int
    content: BinaryIO
    name: str


@dataclass(frozen=True)
class BrokenArchive:
    """An archive that cannot be read, or not further, and why."""

    reason: Reason


T = TypeVar("T")


def at(position: int, item: T) -> T | Member:
    """Return an item with its position, where it is a member."""
    return replace(item, position=position) if isinstance(item, Member) else item


Item = Member | Unreadable | Skipped | BrokenArchive
"""What comes out of an archive."""
RawItem = Item | NestedArchive
RawTask = Callable[[], RawItem | None]
"""Unpacks a member, of which there may be nothing to say."""


@dataclass(frozen=True)
class InnerItems:
    """What comes out of an archive that lies in another one, on one thread at a time."""

    items: Iterator[Item]


Task = Callable[[], Item | InnerItems | None]
"""Unpacks a member on any thread; one that is an archive is read by its items."""
