"""Where the images of a run come from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .models import DownloadFailure, Fetch, FileEntry, Selection
from .retry import RetryPolicy

_NEVER = RetryPolicy(max_time=0)


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Fetcher:
    """Brings files to disk, by `at_once` threads at the same time.

    `fetch` tries for a short time. `late` is by what policy all those files are tried again, at the
    end, that it did not bring, but may. `outage` tells why the source brings nothing at all now,
    None where it does. `stop` ends all that is being fetched, as soon as that can be.
    """

    fetch: Callable[[FileEntry], Fetch]
    at_once: int = 1
    stop: Callable[[], None] = _nothing
    late: RetryPolicy = _NEVER
    outage: Callable[[], DownloadFailure | None] = lambda: None


class ImageSource(Protocol):
    """The place that holds the files of a run."""

    @property
    def options(self) -> Mapping[str, str]:
        """Its own options, as the report shows them."""

    def select(self) -> Selection:
        """Find the files to send; raises DicomSendError where that cannot be done."""

    def fetcher(self, folder: Path) -> Fetcher:
        """Return what brings files to disk, in `folder` if they are not there yet."""

    def release(self, path: Path) -> None:
        """Free what was fetched."""
