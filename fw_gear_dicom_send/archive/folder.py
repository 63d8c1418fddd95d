"""The DICOM files that lie in a folder, without those in the folders below."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..dicom.types import Unreadable
from ..reasons import Kind, Reason
from ..text import printable
from .limits import HEAD_SIZE, read_fully
from .types import BrokenArchive, Member

_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")


def is_archive(name: str) -> bool:
    """Tell by the name of a file in a folder whether it is an archive, to be read for itself."""
    return name.lower().endswith(_SUFFIXES)


def folder_items(
    folder: Path, is_dicom: Callable[[bytes], bool]
) -> Iterator[Member | Unreadable | BrokenArchive]:
    """Yield the DICOM files of a folder, by their names."""
    try:
        found = [entry for entry in os.scandir(folder) if not entry.is_dir()]
    except OSError as exc:
        yield BrokenArchive(Reason(Kind.UNREADABLE_FOLDER, str(exc.strerror)))
        return
    position = 0
    for number, entry in enumerate(sorted(found, key=lambda one: one.name), start=1):
        path = folder / entry.name
        if is_archive(entry.name) or (not entry.is_file() and path.exists()):
            continue
        try:
            file = path.open("rb")
        except OSError as exc:
            yield Unreadable(
                Reason(Kind.UNOPENED_FILE, str(exc.strerror)), number, printable(entry.name)
            )
            continue
        try:
            head = read_fully(file, HEAD_SIZE)
            position += os.fstat(file.fileno()).st_size
            file.seek(0)
        except OSError as exc:
            file.close()
            yield Unreadable(
                Reason(Kind.UNREADABLE_FILE, str(exc.strerror)), number, printable(entry.name)
            )
            continue
        if is_dicom(head):
            yield Member(number, file, printable(entry.name), position)
        else:
            file.close()
