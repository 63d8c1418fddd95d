"""Limits the rate of all associations together."""

from collections.abc import Callable
from threading import Lock

from ..retry import CLOCK, MonotonicClock

MAX_PIECE = 1 << 18
"""Maximum number of bytes in one write without a rate limit."""
_MIN_PIECE = 1 << 12
_PIECES_A_SECOND = 50
_NAP = 0.1
"""Seconds between checks whether a waiting association has ended."""


class Throttle:
    """Rate limiter that gives each write a turn. The rate may change during the run.

    Unused capacity expires, so that no second exceeds the rate. The mutable state is the time of
    the next turn, guarded by the lock.
    """

    def __init__(self, rate: float | Callable[[], float], clock: MonotonicClock = CLOCK) -> None:
        """Allow `rate` bytes per second, or as many as it returns; 0 is no limit."""
        self._rate = rate
        self._clock = clock
        self._next_at = clock.now()
        self._lock = Lock()

    @property
    def rate(self) -> float:
        """Number of bytes per second now, 0 for no limit."""
        return self._rate() if callable(self._rate) else self._rate

    @property
    def piece(self) -> int:
        """Number of bytes in one write, for an even flow."""
        rate = self.rate
        return min(max(int(rate / _PIECES_A_SECOND), _MIN_PIECE), MAX_PIECE) if rate else MAX_PIECE

    def wait(self, size: int, is_over: Callable[[], bool]) -> None:
        """Wait until `size` bytes may be written, or until `is_over` is true."""
        rate = self.rate
        if not rate:
            return
        with self._lock:
            now = self._clock.now()
            turn = max(self._next_at, now)
            self._next_at = turn + size / rate
        while (remaining := turn - self._clock.now()) > 0 and not is_over():
            self._clock.sleep(min(remaining, _NAP))
