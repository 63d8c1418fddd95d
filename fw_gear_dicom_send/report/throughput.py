"""When images were sent, and how long each C-STORE took, in a bounded number of counts."""

from bisect import bisect_right
from dataclasses import dataclass

from ..models import ImageRecord
from ..network.types import Sent
from ..retry import CLOCK, MonotonicClock
from .events import Observer

LIMITS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds that part the counts of C-STORE times."""
MAX_SLOTS = 120


@dataclass(frozen=True)
class ThroughputCounts:
    """What was counted.

    `images` and `bytes` are those sent in each of the slots of `slot_seconds`; `durations` are
    the images whose C-STORE took less than each of `LIMITS` and no less than the one before,
    and last those that took longer.
    """

    slot_seconds: float
    images: tuple[int, ...]
    bytes: tuple[int, ...]
    durations: tuple[int, ...]
    seconds: float


class Throughput(Observer):
    """Counts images in slots, which become longer as the run does."""

    def __init__(self, clock: MonotonicClock = CLOCK) -> None:
        """Begin now."""
        self._clock = clock
        self._begun = clock.now()
        self._slot = 1.0
        self._images: list[int] = []
        self._bytes: list[int] = []
        self._durations = [0] * (len(LIMITS) + 1)

    def image(self, record: ImageRecord) -> None:
        """Count an image that was sent."""
        result = record.result
        if seconds := result.transfer.seconds:
            self._durations[bisect_right(LIMITS, seconds)] += 1
        if not isinstance(result, Sent):
            return
        place = int((self._clock.now() - self._begun) / self._slot)
        while place >= MAX_SLOTS:
            self._images, self._bytes = _halved(self._images), _halved(self._bytes)
            self._slot *= 2
            place //= 2
        missing = place + 1 - len(self._images)
        self._images += [0] * missing
        self._bytes += [0] * missing
        self._images[place] += 1
        self._bytes[place] += record.sent_size

    def counts(self) -> ThroughputCounts:
        """Return what was counted."""
        return ThroughputCounts(
            self._slot,
            tuple(self._images),
            tuple(self._bytes),
            tuple(self._durations),
            self._clock.now() - self._begun,
        )


def _halved(counts: list[int]) -> list[int]:
    """Add each count to the one after it."""
    return [sum(counts[start : start + 2]) for start in range(0, len(counts), 2)]
