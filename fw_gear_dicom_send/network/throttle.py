"""Keeps all associations together below a number of bytes a second."""

from collections.abc import Callable
from threading import Lock

from ..retry import CLOCK, MonotonicClock

MAX_PIECE = 1 << 18
"""Bytes to write at once where there is no limit."""
_MIN_PIECE = 1 << 12
_PIECES_A_SECOND = 50
_NAP = 0.1
"""Seconds after which who waits looks whether the association has ended."""


class Throttle:
    """A bucket that fills at a constant rate: who wants to write waits for its turn.

    What nobody has used in the past is lost, so that no second has more than the rate. The mutable
    state is when the next piece may be written, with the lock.
    """

    def __init__(self, rate: float, clock: MonotonicClock = CLOCK) -> None:
        """Allow `rate` bytes a second."""
        self.rate = rate
        self._clock = clock
        self._next_at = clock.now()
        self._lock = Lock()

    @property
    def piece(self) -> int:
        """How many bytes to write at once, for an even flow."""
        return min(max(int(self.rate / _PIECES_A_SECOND), _MIN_PIECE), MAX_PIECE)

    def wait(self, size: int, is_over: Callable[[], bool]) -> None:
        """Wait until so many bytes may be written, or until there is no need to."""
        with self._lock:
            now = self._clock.now()
            turn = max(self._next_at, now)
            self._next_at = turn + size / self.rate
        while (remaining := turn - self._clock.now()) > 0 and not is_over():
            self._clock.sleep(min(remaining, _NAP))
