"""Where the images of a run come from, and where its reports go."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from .models import Container, DownloadFailure, FileEntry, FileReport, Selection

Fetch = Callable[[FileEntry], Path | DownloadFailure]
"""Brings a file to disk; called by one thread."""


class Source(Protocol):
    """What a run asks of the place where its files are."""

    @property
    def options(self) -> Mapping[str, str]:
        """Its own options, as the report shows them."""

    def select(self) -> Selection:
        """Find the files to send; raises DicomSendError where that cannot be done."""

    def fetcher(self, folder: Path) -> Fetch:
        """Return what brings files to disk, in `folder` if they are not there yet."""

    def release(self, path: Path) -> None:
        """Let go of what was fetched."""

    def rows(self, reports: Sequence[FileReport]) -> Sequence[FileReport]:
        """Return those that belong in the report."""

    def deliver(self, parent: Container, path: Path, /) -> bool:
        """Take a report to where it belongs, which may be where it is.

        Returns whether it is there, so that it need not stay. Raises SiteError where it
        is not taken.
        """
