"""Source of images in files and folders on disk."""

import codecs
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ..archive import is_archive_name
from ..delivery.sender import Parallel
from ..errors import UsageError
from ..left_out import LeftOutFiles
from ..models import (
    ANY_NAME,
    Container,
    DownloadFailure,
    FileEntry,
    FileReport,
    NameChoice,
    Origin,
    Selection,
)
from ..reasons import Kind, Program, Reason
from ..source import Fetcher
from ..text import printable, quantity, sort_key

MAX_PATHS = 5
"""Maximum number of paths that the page names."""


class LocalSource:
    """Source of the given files, and of all files in the given folders and their subfolders.

    In folders, archives are recognized by their suffixes. The other files of a folder form one
    entry. Links to files are followed, links to folders are not.
    """

    def __init__(
        self,
        paths: Iterable[Path | str],
        names: NameChoice = ANY_NAME,
        *,
        listed: Iterable[Path | str] = (),
    ) -> None:
        """Take paths of files and folders; raise UsageError for a missing path.

        `names` selects the files in folders. `listed` are additional paths, which may be missing.
        """
        given = tuple(map(str, paths))
        for path in given:
            if not (os.path.isdir(path) or os.path.isfile(path)):
                problem = "not a file or folder" if os.path.exists(path) else "not found"
                raise UsageError(f"{path}: {problem}")
        self._paths = (*given, *map(str, listed))
        self._names = names
        self.left_out = LeftOutFiles()
        self._folders: set[str] = set()

    def select(self) -> Selection:
        """Find the files to send."""
        found = reversed(list(self._entries()))
        entries = {os.path.realpath(entry.key): entry for entry in found}
        first = self._paths[0] if self._paths else os.curdir
        is_single = len(self._paths) == 1
        label = Path(first).resolve().name if is_single else quantity(len(self._paths), "path")
        place = Container("folder", first)
        chosen, left_out = tuple(reversed(entries.values())), self.left_out.counted()
        shown = [printable(path) for path in self._paths[:MAX_PATHS]]
        more = len(self._paths) - len(shown)
        path = ", ".join(shown) + (f" and {more:,} more" if more else "")
        are_files = all(map(_is_plain_file, chosen))
        origin = Origin(Program.COMMAND, path, noun="file" if are_files else "path")
        at_hand = Path(chosen[0].key) if chosen else None
        return Selection(
            chosen, place, printable(label), left_out=left_out, origin=origin, first=at_hand
        )

    def fetcher(self, _: Path) -> Fetcher:
        """Return a fetcher that uses the files in their original places."""
        return Fetcher(_found, Parallel(0, 0))

    def release(self, path: Path) -> None:
        """Do nothing, as no file is a copy."""

    def _entries(self) -> Iterator[FileEntry]:
        for path in self._paths:
            parent = Container("folder", path)
            name = os.path.basename(path) or path
            if os.path.isdir(path):
                yield from self._below(parent, name, path)
            else:
                yield _entry(parent, name, path, _size(path))

    def _below(self, parent: Container, name: str, top: str) -> Iterator[FileEntry]:
        """Yield an entry for each folder with files, and for each archive."""
        unreadable: list[str] = []
        is_empty = True

        def note(error: OSError) -> None:
            unreadable.append(str(error.filename))

        def shown(folder: str) -> str:
            return os.path.normpath(os.path.join(name, os.path.relpath(folder, top)))

        for folder, below, files in os.walk(top, onerror=note):
            below.sort(key=sort_key)
            chosen = self._chosen(folder, files, shown)
            archives = []
            for file in sorted(filter(is_archive_name, chosen), key=sort_key):
                path = os.path.join(folder, file)
                # FIFOs, sockets and devices are not archives. A broken link may have been one.
                if os.path.isfile(path) or not os.path.exists(path):
                    archives.append(file)
            others = set(chosen).difference(archives)
            if others:
                size = sum(_size(os.path.join(folder, file)) for file in others)
                yield _entry(parent, shown(folder), folder, size, is_folder=True)
            for file in archives:
                path = os.path.join(folder, file)
                yield _entry(parent, shown(path), path, _size(path))
            is_empty = is_empty and not files
        for folder in unreadable:
            yield _entry(parent, shown(folder), folder, is_folder=True)
        if is_empty and not unreadable:
            yield _entry(parent, name, top, is_folder=True)

    def _chosen(
        self, folder: str, files: Iterable[str], shown: Callable[[str], str]
    ) -> Sequence[str]:
        """Return the selected files of a folder, and count the others the first time."""
        causes = {name: self._names.cause(name) for name in files}
        place = os.path.realpath(folder)
        if place not in self._folders:
            self._folders.add(place)
            for name, cause in sorted(causes.items()):
                if cause:
                    self.left_out.add(cause, shown(os.path.join(folder, name)))
        return [name for name, cause in causes.items() if not cause]


def _found(entry: FileEntry) -> Path | DownloadFailure:
    """Return the path of a file or folder, or the reason why it is missing."""
    try:
        os.stat(entry.key)
    except OSError as exc:
        return DownloadFailure(Reason(Kind.UNOPENED_FILE, str(exc.strerror)))
    return Path(entry.key)


def _is_plain_file(entry: FileEntry) -> bool:
    return os.path.isfile(entry.key) and not is_archive_name(entry.name)


def _entry(
    parent: Container, name: str, path: str, size: int | None = None, *, is_folder: bool = False
) -> FileEntry:
    return FileEntry(parent, printable(name), printable(path), size, key=path, is_folder=is_folder)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # A broken link: opening it reports the error.
        return 0


def read_paths(source: str, *, ends_with_nul: bool = False) -> Sequence[str]:
    """Return the paths in the file `source`, or on standard input if that is `-`.

    Each line has one path, or each path ends with a NUL. Empty lines are ignored, and Windows
    line ends and a byte order mark are accepted. Raises UsageError.
    """
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as exc:
        raise UsageError(f"--files-from: cannot read {source}: {exc.strerror}") from exc
    data = data.removeprefix(codecs.BOM_UTF8)
    if ends_with_nul:
        names = data.split(b"\0")
    elif b"\0" in data:
        raise UsageError("--files-from: the list contains a NUL; add --from0")
    else:
        names = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [str(Path(os.fsdecode(name))) for name in names if name]


class LocalReports:
    """Reports that stay in the folder for reports; `paths` are those of this run."""

    reports_failed_starts = False
    """The closing line is enough: unlike on Flywheel, no user waits for a report."""

    def __init__(self) -> None:
        """Start without reports."""
        self.paths: list[Path] = []

    def rows(self, reports: Sequence[FileReport]) -> Sequence[FileReport]:
        """Drop reports of files without DICOM images.

        If no file has an image, keep one report for each given path.
        """
        kept = [report for report in reports if not report.has_no_image]
        first = {report.entry.parent: report for report in reversed(reports)}
        return kept or list(reversed(first.values()))

    def deliver(self, _: Container, path: Path) -> bool:
        """Keep the path of a report, which is already in its place."""
        self.paths.append(path)
        return False
