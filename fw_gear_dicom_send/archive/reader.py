"""Reads a zip, a tar, a folder or a single file to the DICOM files in it, one at a time.

What a file is, is told by its content. No name, link or mode out of an archive is
ever used on disk: a member is unpacked to a nameless temporary file.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ..dicom.types import Unreadable
from ..reasons import Kind, Reason
from .decompress import COMPRESSIONS
from .folder import folder_items
from .limits import (
    HEAD_SIZE,
    Budget,
    CorruptError,
    Limits,
    OverBudgetError,
    read_fully,
    reading,
)
from .tar_members import compressed_tar_items, is_tar, tar_items
from .types import BrokenArchive, Member
from .unpack import Unpacker
from .zip_members import ZIP_MAGIC, zip_items

DEFAULT_LIMITS = Limits()


def read(
    path: Path,
    work: Path,
    is_dicom: Callable[[bytes], bool],
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Member | Unreadable | BrokenArchive]:
    """Yield the DICOM files of a zip, a tar or a folder, or the one that `path` is.

    A member is unpacked when the next item is asked for, to memory or to a nameless
    file in `work`; the consumer closes its content. `is_dicom` is given up to
    `HEAD_SIZE` bytes from the start of a member and says whether it is to be sent;
    other members are passed over. A `BrokenArchive` is the last item. Raises OSError
    if `path` cannot be opened or `work` not written to for a reason other than space.
    """
    if path.is_dir():
        yield from folder_items(path, is_dicom)
        return
    with path.open("rb") as file:
        budget = Budget(max(limits.archive, limits.ratio * os.fstat(file.fileno()).st_size))
        unpacker = Unpacker(work, is_dicom, limits, budget)
        try:
            for item in _items(path, file, unpacker):
                if isinstance(item, Member):
                    yield replace(item, position=file.tell())
                else:
                    yield item
        except CorruptError:
            yield BrokenArchive(Reason(Kind.CORRUPT_ARCHIVE))
        except OverBudgetError:
            yield BrokenArchive(Reason(Kind.ARCHIVE_TOO_LARGE, str(limits.ratio)))


def _items(
    path: Path, file: BinaryIO, unpacker: Unpacker
) -> Iterator[Member | Unreadable | BrokenArchive]:
    """Tell what the file is, and yield what is in it."""
    with reading():
        head = read_fully(file, HEAD_SIZE)
        file.seek(0)
    starts_tar = is_tar(head)
    is_archive = starts_tar or head.startswith((*ZIP_MAGIC, *COMPRESSIONS))
    # The preamble of a DICOM file may be anything, even the start of a zip (PS3.10 7.1).
    if head[128:132] == b"DICM" or (not is_archive and unpacker.is_dicom(head)):
        if unpacker.is_dicom(head):
            yield Member(1, path.open("rb"))
    elif starts_tar:
        yield from tar_items(file, unpacker)
    elif head.startswith(tuple(COMPRESSIONS)):
        yield from compressed_tar_items(file, head, unpacker)
    else:
        yield from zip_items(file, head, unpacker)
