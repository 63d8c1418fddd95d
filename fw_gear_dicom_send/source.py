"""Where the images of a run come from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from .models import DownloadFailure, FileEntry, Selection

Fetch = Callable[[FileEntry], Path | DownloadFailure]
"""Brings a file to disk; called by one thread."""


class ImageSource(Protocol):
    """The place that holds the files of a run."""

    @property
    def options(self) -> Mapping[str, str]:
        """Its own options, as the report shows them."""

    def select(self) -> Selection:
        """Find the files to send; raises DicomSendError where that cannot be done."""

    def fetcher(self, folder: Path) -> Fetch:
        """Return what brings files to disk, in `folder` if they are not there yet."""

    def release(self, path: Path) -> None:
        """Free what was fetched."""
