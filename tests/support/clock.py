"""A clock that goes on only when somebody waits."""

from collections.abc import Callable
from threading import Condition, Lock

from fw_gear_dicom_send.retry import MonotonicClock


class Clock(MonotonicClock):
    """A clock on which whoever waits goes on at once.

    How long each wait would have been is in `waits`. Each look at the clock takes `tick` seconds;
    a test lets more time pass by setting `time`.
    """

    def __init__(self, tick: float = 0.0) -> None:
        """Begin at some time, with nobody waiting."""
        self.time = 1000.0
        self.waits: list[float] = []
        self._tick = tick
        self._lock = Lock()

    def now(self) -> float:
        """Return the time."""
        with self._lock:
            self.time += self._tick
            return self.time

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        with self._lock:
            self.waits.append(seconds)
            self.time += seconds

    def wait_for(self, _: Condition, is_over: Callable[[], bool], seconds: float) -> None:
        """Let the time pass, unless there is nothing to wait for."""
        if not is_over():
            self.sleep(seconds)
