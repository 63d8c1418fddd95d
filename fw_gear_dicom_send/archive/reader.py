"""Reads a zip, a tar, a folder or a single file to the DICOM files in it, one at a time.

What a file is, is told by its content. No name, link or mode out of an archive is
ever used on disk: a member is unpacked to a nameless temporary file.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TypeVar

from ..dicom.spool import NO_ROOM, Room
from ..dicom.types import Unreadable
from ..reasons import Kind, Reason, Skipped
from .decompress import COMPRESSIONS
from .folder import folder_items, is_archive_name, open_regular
from .formats import ZIP_MAGIC, is_tar, unsupported_format
from .limits import (
    HEAD_SIZE,
    Budget,
    CorruptError,
    Limits,
    OverBudgetError,
    read_fully,
    reading,
)
from .tar_members import compressed_items, tar_items
from .types import BrokenArchive, Member, NestedArchive
from .unpack import Unpacker
from .zip_members import may_be_dicom, zip_items

DEFAULT_LIMITS = Limits()
_MAGIC = (*ZIP_MAGIC, *COMPRESSIONS)
_COMPRESSED = (".gz", ".bz2", ".xz")
T = TypeVar("T")


def read(
    path: Path,
    work: Path,
    skips: Callable[[bytes], Skipped | None],
    limits: Limits = DEFAULT_LIMITS,
    room: Room = NO_ROOM,
) -> Iterator[Member | Unreadable | Skipped | BrokenArchive]:
    """Yield what is in a zip, a tar or a folder, or the DICOM file that `path` is.

    An archive in an archive, or in a folder without a suffix of archives, is read as well,
    one level deep. A member is unpacked when the next item is asked for, to memory or to a
    nameless file in `work`; the consumer closes its content. `skips` is given up to
    `HEAD_SIZE` bytes from the start of a member and returns why it is not sent, None where it
    is. Where the disk is full, a member waits for `room`. A `BrokenArchive` is the last item.
    Raises OSError if `path` cannot be opened or `work` not written to for a reason other than
    space.
    """
    if path.is_dir():
        for item in folder_items(path, skips):
            if isinstance(item, NestedArchive):
                unpacker = _unpacker(item.content, work, skips, limits, room)
                try:
                    yield from _nested_items(item, unpacker)
                except OverBudgetError:
                    yield Unreadable(_too_large(limits), item.number, item.name)
            else:
                yield item
        return
    file = open_regular(path)
    if file is None:
        yield Skipped.SPECIAL
        return
    with file:
        unpacker = _unpacker(file, work, skips, limits, room)
        try:
            for item in _items(path, file, unpacker):
                if isinstance(item, NestedArchive):
                    for inner in _nested_items(item, unpacker):
                        yield _at(file.tell(), inner)
                else:
                    yield _at(file.tell(), item)
        except CorruptError:
            yield BrokenArchive(Reason(Kind.CORRUPT_ARCHIVE))
        except OverBudgetError:
            yield BrokenArchive(_too_large(limits))


def _too_large(limits: Limits) -> Reason:
    return Reason(Kind.ARCHIVE_TOO_LARGE, str(limits.ratio))


def _unpacker(
    file: BinaryIO,
    work: Path,
    skips: Callable[[bytes], Skipped | None],
    limits: Limits,
    room: Room,
) -> Unpacker:
    size = os.fstat(file.fileno()).st_size
    return Unpacker(work, skips, limits, Budget(max(limits.archive, limits.ratio * size)), room)


def _at(position: int, item: T) -> T | Member:
    return replace(item, position=position) if isinstance(item, Member) else item


def _items(
    path: Path, file: BinaryIO, unpacker: Unpacker
) -> Iterator[Member | NestedArchive | Unreadable | Skipped | BrokenArchive]:
    """Tell what a file is, and yield what is in it."""
    with reading():
        head = read_fully(file, HEAD_SIZE)
        file.seek(0)
    # The preamble of a DICOM file may be anything, even the start of a zip (PS3.10 7.1).
    is_marked = head[128:132] == b"DICM"
    is_plain = is_marked or not (is_tar(head) or head.startswith(_MAGIC))
    skipped = unpacker.skips(head) if is_plain else Skipped.NOT_DICOM
    if skipped is None:
        yield Member(1, path.open("rb"))
    elif is_marked or skipped is Skipped.DICOMDIR:
        yield skipped
    else:
        yield from _archive_items(file, head, unpacker)


def _archive_items(
    file: BinaryIO, head: bytes, unpacker: Unpacker
) -> Iterator[Member | NestedArchive | Unreadable | Skipped | BrokenArchive]:
    if is_tar(head):
        yield from tar_items(file, unpacker)
    elif head.startswith(tuple(COMPRESSIONS)):
        yield from compressed_items(file, head, unpacker)
    elif name := unsupported_format(head):
        yield BrokenArchive(Reason(Kind.UNSUPPORTED_FORMAT, name))
    else:
        yield from zip_items(file, head, unpacker)


def _nested_items(
    archive: NestedArchive, unpacker: Unpacker
) -> Iterator[Member | Unreadable | Skipped]:
    """Yield what is in an archive that lies in another one, and close it.

    One that holds no image is one file that is not DICOM, as office documents are.
    """
    images = 0
    failure = None
    skipped = []
    with archive.content as file:
        try:
            with reading():
                head = read_fully(file, HEAD_SIZE)
                file.seek(0)
            for item in _archive_items(file, head, replace(unpacker, is_nested=True)):
                match item:
                    case Member() | Unreadable():
                        images += 1
                        name = "/".join(filter(None, (archive.name, item.name)))
                        yield replace(item, number=f"{archive.number}.{item.number}", name=name)
                    case BrokenArchive():
                        failure = item.reason
                    case Skipped():
                        skipped.append(item)
        except CorruptError:
            failure = Reason(Kind.CORRUPT_ARCHIVE)
    if failure and (images or _may_hold_images(archive, failure)):
        yield Unreadable(failure, archive.number, archive.name)
    elif images:
        yield from skipped
    else:
        yield Skipped.NESTED if Skipped.NESTED in skipped else Skipped.NOT_DICOM


def _may_hold_images(archive: NestedArchive, failure: Reason) -> bool:
    if failure.kind is Kind.UNKNOWN_TYPE:
        return False
    name = archive.name.lower()
    return is_archive_name(name) or name.endswith(_COMPRESSED) or may_be_dicom(name)
