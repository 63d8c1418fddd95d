"""Throughput over time and C-STORE times, in a bounded number of counters."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from math import ceil, exp, floor, log

from ..account import StoreTimes, ThroughputCounts
from ..delivery.results import Sent
from ..models import ImageRecord
from ..retry import CLOCK, MonotonicClock
from .events import Observer

LIMITS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper limits, in seconds, of the classes of C-STORE times."""
MAX_SLOTS = 120
_STEP = log(1.04)
"""Logarithm of the ratio between adjacent classes for percentiles."""


class Throughput(Observer):
    """Counter of images in time slots, which grow with the length of the run."""

    def __init__(self, clock: MonotonicClock = CLOCK) -> None:
        """Start the clock."""
        self._clock = clock
        self._start = clock.now()
        self._slot = 1.0
        self._images: list[int] = []
        self._bytes: list[int] = []
        self._durations = [0] * (len(LIMITS) + 1)
        self._steps: Counter[int] = Counter()
        self._maximum = 0.0
        self._rated = (0, 0, 0.0)
        self._is_resending = False

    def start_resending(self) -> None:
        """Stop counting for the rates: the run has waited for the verification."""
        self._is_resending = True

    def image(self, record: ImageRecord) -> None:
        """Count an image that was sent."""
        result = record.result
        if seconds := result.transfer.seconds:
            self._durations[bisect_right(LIMITS, seconds)] += 1
            self._steps[floor(log(seconds) / _STEP)] += 1
            self._maximum = max(self._maximum, seconds)
        if not isinstance(result, Sent):
            return
        seconds = self._clock.now() - self._start
        if not self._is_resending:
            images, size, _ = self._rated
            self._rated = (images + 1, size + record.sent_size, seconds)
        place = int(seconds / self._slot)
        while place >= MAX_SLOTS:
            self._images, self._bytes = _add_pairs(self._images), _add_pairs(self._bytes)
            self._slot *= 2
            place //= 2
        missing = place + 1 - len(self._images)
        self._images += [0] * missing
        self._bytes += [0] * missing
        self._images[place] += 1
        self._bytes[place] += record.sent_size

    def counts(self, losses: Iterable[float] = ()) -> ThroughputCounts:
        """Return the counts; `losses` are the times of lost associations on the same clock."""
        return ThroughputCounts(
            self._slot,
            tuple(self._images),
            tuple(self._bytes),
            tuple(self._durations),
            self._clock.now() - self._start,
            self._times(),
            tuple(time - self._start for time in losses),
            *self._rated,
        )

    def _times(self) -> StoreTimes | None:
        if not self._steps:
            return None
        return StoreTimes(self._percentile(0.5), self._percentile(0.95), self._maximum)

    def _percentile(self, share: float) -> float:
        """Return the time that the given share of C-STOREs did not exceed."""
        remaining = ceil(share * self._steps.total())
        for step in sorted(self._steps):
            remaining -= self._steps[step]
            if remaining <= 0:
                break
        return min(exp((step + 0.5) * _STEP), self._maximum)


def _add_pairs(counts: list[int]) -> list[int]:
    """Return the sums of adjacent pairs of counts."""
    return [sum(counts[start : start + 2]) for start in range(0, len(counts), 2)]
