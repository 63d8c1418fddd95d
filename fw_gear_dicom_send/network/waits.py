"""Bounded waits for a peer: for its answer, and while it reads what is written."""

from collections.abc import Callable, Sequence
from time import monotonic

from .connection import Connection
from .dimse import Buffer


class Wait:
    """A wait for the peer that starts when the written data has reached it.

    Nothing that the peer sends moves the deadline. Data in transit does, while the peer
    acknowledges it, but at most to its duration at the minimum rate of the timeouts. The mutable
    state is the deadline, the number of unacknowledged bytes, and whether the wait `is_over`, so
    that no more data is read.
    """

    def __init__(self, connection: Connection, timeout: float) -> None:
        """Wait for `timeout` seconds."""
        self.timeout = timeout
        self.is_over = False
        self._connection = connection
        self._deadline = self._last_deadline = monotonic() + timeout
        self._in_flight: int | None = None
        self._is_first = True

    def remaining(self) -> float:
        """Return the remaining seconds. The first call makes no system call."""
        if self._is_first:
            self._is_first, self.is_over = False, self.timeout <= 0
            return self.timeout
        in_flight, now = self._connection.unacknowledged, monotonic()
        if self._in_flight is None:
            self._last_deadline += in_flight / self._connection.timeouts.min_rate
        elif in_flight < self._in_flight:
            self._deadline = min(now + self.timeout, self._last_deadline)
        self._in_flight = in_flight
        self.is_over = now >= self._deadline
        return self._deadline - now


def write_rest(
    connection: Connection, rest: Sequence[Buffer], is_writable: Callable[[], bool]
) -> bool:
    """Write the rest of a request as the peer reads it; return whether all is written.

    `is_writable` listens to the peer meanwhile, and returns false to stop. The timeouts of the
    connection limit the time without progress, and the whole time. Raises OSError.
    """
    timeouts = connection.timeouts
    size = sum(map(len, rest))
    in_flight = connection.unacknowledged
    deadline = monotonic() + timeouts.write
    last_deadline = deadline + size / timeouts.min_rate
    while rest:
        seconds = min(timeouts.tick, min(deadline, last_deadline) - monotonic())
        if seconds <= 0:
            return False
        connection.wait(seconds, to_write=True)
        if not is_writable():
            return False
        size = sum(map(len, rest))
        rest = connection.write(rest)
        unacknowledged = connection.unacknowledged
        if sum(map(len, rest)) < size or unacknowledged < in_flight:
            deadline = monotonic() + timeouts.write
        in_flight = unacknowledged
    return True
