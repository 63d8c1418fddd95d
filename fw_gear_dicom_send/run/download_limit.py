"""Adaptive limit on the number of parallel downloads."""

from collections.abc import Sequence
from pathlib import Path

from ..models import DownloadFailure, FileEntry
from ..source import Fetcher
from ..values import replace
from .growth import Growth, GrowthPolicy

SMALL_BYTES = 1 << 20
"""Maximum mean size of files for which more downloads are tried."""
_POLICY = GrowthPolicy(max_rest=30.0)
"""The next trial comes soon, as a single error of a site is common."""


class DownloadLimit:
    """Limit on the number of downloads that run at the same time.

    Within the numbers of the fetcher, more downloads of small files are tried, and kept if they
    raise the rate. Files of unknown size might take the disk space of more. A retry, or a failure
    that may be temporary, brings back the first number.

    The mutable state is the facts behind the number, the number of retries, the allowed downloads,
    and their `peak`. The caller holds a lock.
    """

    def __init__(self, fetcher: Fetcher, entries: Sequence[FileEntry]) -> None:
        """Start with the number that needs no proof."""
        parallel = fetcher.parallel
        sizes = [entry.size for entry in entries if entry.size is not None]
        if len(sizes) < len(entries) or sum(sizes) > SMALL_BYTES * len(sizes):
            parallel = replace(parallel, most=parallel.assured)
        self._count_retries = fetcher.retries
        self._retries = fetcher.retries()
        self._now = fetcher.late_policy.clock.now
        self._growth = Growth(parallel, _POLICY)
        self._growth.restart(parallel.assured, self._now())
        self._allowed = self.peak = parallel.assured

    @property
    def threads(self) -> int:
        """Number of threads that may download: those that take too long keep no place."""
        return self._allowed + self._growth.set_aside

    def begin(self) -> float:
        """Record that a download begins; return its time."""
        begun = self._now()
        self._growth.begin_image(begun)
        return begun

    def end(self, begun: float, outcome: Path | DownloadFailure, size: int) -> None:
        """Record that a download ends, and allow more or fewer of them."""
        growth, now = self._growth, self._now()
        growth.end_image(begun)
        retries_before, self._retries = self._retries, self._count_retries()
        is_retried = self._retries > retries_before
        allowed = self._allowed
        match outcome:
            case DownloadFailure(retry_after=None) if not is_retried:
                return
            case Path() if not is_retried:
                growth.add(size, now - begun, begun, now)
                allowed = growth.decide(now)
                if allowed == self._allowed:
                    return
            case _:
                allowed = growth.back_off(now)
        growth.restart(allowed, now)
        self._allowed, self.peak = allowed, max(allowed, self.peak)
