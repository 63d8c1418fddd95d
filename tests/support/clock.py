"""A clock that goes on only when somebody waits."""

from itertools import count

_START, _TICK = 1000.0, 1e-6


class Clock:
    """A monotonic clock that can take the place of the module `time`.

    Whoever waits goes on at once; how long it would have been is in `waits`.
    """

    def __init__(self) -> None:
        """Begin at some time, with nobody waiting."""
        self.waits: list[float] = []
        self._ticks = count()

    def monotonic(self) -> float:
        """Return the time, a little later at each look."""
        return _START + sum(self.waits) + next(self._ticks) * _TICK

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.waits.append(seconds)
