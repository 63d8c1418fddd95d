"""The DICOM files that lie in a folder, without those in the folders below."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..models import BrokenArchive, Member, Unreadable
from .sources import HEAD_SIZE, read_fully

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")
"""Archives in a folder are read for themselves."""


def folder_items(
    folder: Path, is_dicom: Callable[[bytes], bool]
) -> Iterator[Member | Unreadable | BrokenArchive]:
    """Yield the DICOM files of a folder, by their names."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.is_dir())
    except OSError as exc:
        yield BrokenArchive(f"the folder cannot be read: {exc.strerror}")
        return
    position = 0
    for number, name in enumerate(names, start=1):
        path = folder / name
        if name.lower().endswith(ARCHIVE_SUFFIXES) or (path.exists() and not path.is_file()):
            continue
        try:
            file = path.open("rb")
        except OSError as exc:
            yield Unreadable(f"a file cannot be opened: {exc.strerror}", number)
            continue
        try:
            head = read_fully(file, HEAD_SIZE)
            position += os.fstat(file.fileno()).st_size
            file.seek(0)
        except OSError as exc:
            file.close()
            yield Unreadable(f"a file cannot be read: {exc.strerror}", number)
            continue
        if is_dicom(head):
            yield Member(number, file, name, position)
        else:
            file.close()
