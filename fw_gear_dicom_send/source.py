"""Sources of the images of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from .delivery.sender import Parallel
from .models import DownloadFailure, Fetch, FileEntry, Selection
from .retry import RetryPolicy
from .values import frozen

_NEVER = RetryPolicy(max_time=0)


@frozen
class Fetcher:
    """Functions and limits for bringing files to disk.

    Attributes:
        fetch: Brings a file to disk, with retries for a short time only.
        parallel: Numbers of threads that may call `fetch` at the same time; 0 if the files are on
            disk already, so that the thread that needs one calls it.
        stop: Ends all current fetches as soon as possible.
        late_policy: Policy for retrying files with temporary failures at the end of the run.
        outage: Returns the reason why the source currently delivers no files, None if it does.
        retries: Returns how often `fetch` has retried a file so far.
    """

    fetch: Callable[[FileEntry], Fetch]
    parallel: Parallel = Parallel.of(1)
    stop: Callable[[], None] = lambda: None
    late_policy: RetryPolicy = _NEVER
    outage: Callable[[], DownloadFailure | None] = lambda: None
    retries: Callable[[], int] = lambda: 0


class ImageSource(Protocol):
    """Source of the files of a run."""

    def select(self) -> Selection:
        """Find the files to send. Raises DicomSendError on failure."""

    def fetcher(self, folder: Path) -> Fetcher:
        """Return a fetcher that brings files to `folder`, unless they are on disk already."""

    def release(self, path: Path) -> None:
        """Free the disk space of a fetched file."""
