"""Retry policies: how long to retry, how often, and how long to wait between tries.

All times are seconds on a monotonic clock. The backoff package computes the waits, which grow
exponentially with full jitter.
"""

import logging
import time
from collections.abc import Callable, Generator
from math import inf
from threading import Condition, Lock
from typing import TypeVar

from .values import frozen

log = logging.getLogger(__name__)

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


class MonotonicClock:
    """Monotonic clock, in seconds, that can also wait."""

    def now(self) -> float:
        """Return the time."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def wait_for(self, condition: Condition, is_over: Callable[[], bool], seconds: float) -> None:
        """Wait up to `seconds` until `is_over` is true. The caller owns the `condition`."""
        condition.wait_for(is_over, seconds)


CLOCK = MonotonicClock()


@frozen
class RetryPolicy:
    """Rules for when to retry and when to give up.

    The waits double from `min_wait` to `max_wait`. With `jitter`, each wait is a random time
    between 0 and that value. Retries end after `max_time` since the first failure, or after
    `max_tries` in all, whichever comes first. The last wait is cut to the remaining time. Times
    and waits use `clock`.
    """

    max_time: float = inf
    max_tries: float = inf
    min_wait: float = 1.0
    max_wait: float = 15.0
    jitter: bool = True
    clock: MonotonicClock = CLOCK


DEFAULT_POLICY = RetryPolicy()
ONCE = RetryPolicy(max_tries=1)
"""No retry."""


class Retry:
    """Count of the tries of one action, and the waits between them."""

    def __init__(self, policy: RetryPolicy) -> None:
        """Start with no tries."""
        self.policy = policy
        self.tries = 0
        self._deadline: float | None = None
        self._waits: Generator[float, None, None] | None = None

    def wait_time(self, at_least: float = 0) -> float | None:
        """Record a failed try; return the seconds until the next one, None to give up.

        `at_least` is the minimum wait, such as a server's Retry-After.
        """
        policy, now = self.policy, self.policy.clock.now()
        self.tries += 1
        if self._deadline is None:
            self._deadline = now + policy.max_time
        remaining = self._deadline - now
        if remaining <= 0 or self.tries >= policy.max_tries:
            return None
        # Importing backoff takes 0.04 s, and most runs never wait.
        import backoff

        if self._waits is None:
            self._waits = backoff.expo(factor=policy.min_wait, max_value=policy.max_wait)
            # The first value of backoff's generators is not a wait.
            next(self._waits)
        wait = next(self._waits)
        if policy.jitter:
            wait = backoff.full_jitter(wait)
        return min(max(wait, at_least), remaining)


def retry(
    policy: RetryPolicy,
    action: Callable[[], T],
    *,
    on: type[E],
    is_temporary: Callable[[E], bool] = lambda _: True,
    at_least: Callable[[E], float] = lambda _: 0,
    before_wait: Callable[[E, float], object] = lambda *_: None,
    sleep: Callable[[float], object] | None = None,
) -> T:
    """Call `action` until it does not raise `on`, and return its result.

    Raises the last error when the policy gives up, and an error that is not temporary immediately.
    Error messages must be single lines, for the log. `at_least` returns the minimum wait after an
    error, in seconds. `before_wait` gets the error and the wait. `sleep` replaces the clock's.
    """
    state = Retry(policy)
    while True:
        try:
            return action()
        except on as error:
            wait = state.wait_time(at_least(error)) if is_temporary(error) else None
            if wait is None:
                raise
            before_wait(error, wait)
            log.debug("Try %d follows in %.1f s: %s", state.tries + 1, wait, error)
        (sleep or policy.clock.sleep)(wait)


def is_temporary_status(status: int) -> bool:
    """Return whether an HTTP request with this status may succeed later (RFC 9110 15.5, 15.6)."""
    return status in (408, 429) or status >= 500


class RetryBudget:
    """Maximum time that a run continues without success. Each success restores it.

    The mutable state is the time of the first failure since then. Threads share it.
    """

    def __init__(
        self, seconds: float, clock: MonotonicClock = CLOCK, *, success: str = "a stored image"
    ) -> None:
        """Allow failures for `seconds`, 0 for none. `success` says in words what is missing."""
        self.seconds = seconds
        self.success = success
        self._clock = clock
        self._failing_since: float | None = None
        self._lock = Lock()

    def restore(self) -> None:
        """Record a success."""
        with self._lock:
            self._failing_since = None

    def is_spent(self) -> bool:
        """Record a failure, and return whether the time is over."""
        with self._lock:
            now = self._clock.now()
            if self._failing_since is None:
                self._failing_since = now
            return now - self._failing_since >= self.seconds
