"""Items of an archive."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

from ..dicom.types import MemberNumber, Unreadable
from ..reasons import Reason, Skipped
from ..values import frozen


@frozen
class Member:
    """A DICOM file from an archive, or a single DICOM file.

    `number` counts the members of the archive from 1; `3.12` is member 12 of the archive in
    member 3. Messages use the number, as `name` may be a patient's name. The name is not a path on
    disk, and is empty for a single file. It is printable, except the name of a file in a folder.
    `content` is seekable, and the receiver must close it. `position` is the number of
    bytes read from the archive so far.
    """

    number: MemberNumber
    content: BinaryIO
    name: str = ""
    position: int = 0


@frozen
class NestedArchive:
    """A member of an archive, or a file in a folder, that is itself an archive."""

    number: int
    content: BinaryIO
    name: str


@frozen
class BrokenArchive:
    """An archive that cannot be read completely, and why."""

    reason: Reason


FileItem = Member | NestedArchive | Unreadable | Skipped
"""An item for a single file, before a nested archive is opened."""
Item = Member | Unreadable | Skipped | BrokenArchive
"""An item of an archive."""
RawItem = FileItem | BrokenArchive
RawTask = Callable[[], RawItem | None]
"""Unpacks a member; None means that there is nothing to report."""


@frozen
class InnerItems:
    """Items of a nested archive; only one thread at a time may iterate."""

    items: Iterator[Item]


Task = Callable[[], Item | InnerItems | None]
"""Unpacks a member on any thread; a nested archive returns its items."""
