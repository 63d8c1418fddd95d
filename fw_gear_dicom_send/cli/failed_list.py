"""List of files that were not sent completely, for `--files-from`."""

import logging
import os
from pathlib import Path

from ..account import Account
from ..delivery.results import NotSent
from ..errors import UsageError
from ..models import FileEntry, ImageRecord
from ..reasons import Kind
from ..report.events import Observer, surviving
from ..text import quantity

log = logging.getLogger(__name__)

_OF_FILES = (Kind.NOT_REACHED, Kind.NOT_STORED, Kind.NOT_FOUND_AGAIN)
"""Failures of images that only the row of their file counts."""


class FailedList(Observer):
    """List of the paths of failed files: a file in a folder, an archive, or a whole folder.

    A folder is in the list if the run did not read all of it, or if the server lost its images.

    The mutable state is the file, the entries and number of names that it has or omits, and whether
    all were written.
    """

    def __init__(self, path: Path, *, ends_with_nul: bool) -> None:
        """Create the list. Each path ends with a NUL or a line feed. Raises UsageError."""
        try:
            # Without a buffer: after a kill the list has all failures so far.
            self._file = path.open("wb", buffering=0)
        except OSError as exc:
            raise UsageError(f"--failed-list: cannot write {path}: {exc.strerror}") from exc
        self._end = b"\0" if ends_with_nul else b"\n"
        self._entries: set[str] = set()
        self._omitted = 0
        self._is_whole = True

    def image(self, record: ImageRecord) -> None:
        """Add an image that was not sent."""
        if not isinstance(record.result, NotSent):
            return
        if record.file:
            self._write(record.file)
        else:
            self._add(record.entry)

    def conclude(self, account: Account) -> None:
        """Add files that failed as a whole, and close the list."""
        with surviving("The list of failed files"), self._file:
            for row in account.rows:
                failures = (remark for remark in row.remarks if remark.failure)
                is_whole = any(not one.images or one.kind in _OF_FILES for one in failures)
                if is_whole and not row.has_no_image:
                    self._add(row.entry)
        if self._omitted:
            paths = quantity(self._omitted, "path")
            log.warning("%s with a line break not in --failed-list: add --from0", paths)

    def _add(self, entry: FileEntry) -> None:
        if entry.key not in self._entries:
            self._entries.add(entry.key)
            self._write(entry.key)

    def _write(self, path: str) -> None:
        name = os.fsencode(path)
        if self._end == b"\n" and (b"\n" in name or name.endswith(b"\r")):
            self._omitted += 1
        elif self._is_whole:
            try:
                self._file.write(name + self._end)
            except OSError as exc:
                self._is_whole = False
                log.error("The list for --failed-list is incomplete: %s", exc.strerror)
