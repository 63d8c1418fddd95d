"""Clock that advances only when a thread waits."""

from collections.abc import Callable
from threading import Condition, Lock

from fw_gear_dicom_send.retry import MonotonicClock


class Clock(MonotonicClock):
    """Clock on which every wait ends immediately.

    `waits` lists the requested durations. Each reading advances the clock by `tick` seconds. A test
    can set `time` to let more time pass.
    """

    def __init__(self, tick: float = 0.0) -> None:
        """Start at an arbitrary time, without waiting threads."""
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
        """Advance the clock."""
        with self._lock:
            self.waits.append(seconds)
            self.time += seconds

    def wait_for(self, _: Condition, is_over: Callable[[], bool], seconds: float) -> None:
        """Advance the clock, unless the condition is already met."""
        if not is_over():
            self.sleep(seconds)
