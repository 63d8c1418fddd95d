"""Limits of time for processes that decode or encode frames."""

from dataclasses import dataclass

MEBIBYTE = 1 << 20
PATIENCE = 4
"""Seconds to wait for a second of CPU time, as other programs may use the machine."""
FREE = 0.1
"""Seconds to wait for any frame that are not overtime."""


@dataclass(frozen=True)
class FrameTimeouts:
    """Timeouts in seconds: to start a process, and CPU time for a frame and for each MiB of it.

    `overtime` is the time that a run waits for slow frames in total, before it gives up.

    Measured at 2.6 GHz, the slowest real frames take 0.24 s for each MiB: 16-bit noise that is
    encoded as JPEG 2000 and compared. Decoding takes up to 0.14 s.
    """

    start: float = 60
    frame: float = 5
    mebibyte: float = 1
    overtime: float = 60

    def cpu_time(self, size: int) -> float:
        """Return the maximum CPU time for a frame of `size` bytes."""
        return self.frame + self.mebibyte * size / MEBIBYTE

    def overtime_of_start(self, waited: float) -> float:
        """Return the overtime of a process that took so long to start."""
        return min(max(0, waited - self.start / 2), self.start / 2)

    def overtime_of(self, size: int, waited: float) -> float:
        """Return the overtime of a frame of `size` bytes that took so long.

        It is at most the CPU time of the frame: the machine may have been paused.
        """
        overtime = waited - FREE - PATIENCE * self.mebibyte * size / MEBIBYTE
        return min(max(0, overtime), self.cpu_time(size))


DEFAULT_TIMEOUTS = FrameTimeouts()
