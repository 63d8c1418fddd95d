"""One retry policy, as a value: how long, how often, and how long to wait in between.

All times are seconds on a monotonic clock. The waits are those of the backoff package:
exponential, with full jitter.
"""

import logging
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from math import inf
from threading import Condition, Lock
from typing import TypeVar

log = logging.getLogger(__name__)

_TEMPORARY_STATUSES = (408, 429)
_FIRST_SERVER_ERROR = 500

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


class MonotonicClock:
    """The time in seconds, which never goes back, and the waits on it."""

    def now(self) -> float:
        """Return the time."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def wait_for(self, condition: Condition, is_over: Callable[[], bool], seconds: float) -> None:
        """Wait until `is_over`, at most `seconds`; the caller owns the `condition`."""
        condition.wait_for(is_over, seconds)


CLOCK = MonotonicClock()


@dataclass(frozen=True)
class RetryPolicy:
    """When to retry, and when to give up.

    The waits double from `min_wait` to `max_wait`; each is drawn at random between 0 and that,
    unless `jitter` is false. `max_time` counts from the first failure, `max_tries` from the first
    try; what comes first ends it. The last wait is cut to the time that remains. Times and waits
    are those of `clock`.
    """

    max_time: float = inf
    max_tries: float = inf
    min_wait: float = 1.0
    max_wait: float = 15.0
    jitter: bool = True
    clock: MonotonicClock = CLOCK


DEFAULT_POLICY = RetryPolicy()


class Retry:
    """The tries of one action by a policy."""

    def __init__(self, policy: RetryPolicy) -> None:
        """Begin with no try made."""
        self.policy = policy
        self.tries = 0
        self._deadline: float | None = None
        self._waits: Generator[float, None, None] | None = None

    def wait_time(self, at_least: float = 0) -> float | None:
        """Note a failed try; return the seconds until the next one, None where to give up.

        `at_least` is for how long whoever refused asks to wait.
        """
        policy, now = self.policy, self.policy.clock.now()
        self.tries += 1
        if self._deadline is None:
            self._deadline = now + policy.max_time
        remaining = self._deadline - now
        if remaining <= 0 or self.tries >= policy.max_tries:
            return None
        # backoff takes 0.04 s to import, and most runs never wait.
        import backoff

        if self._waits is None:
            self._waits = backoff.expo(factor=policy.min_wait, max_value=policy.max_wait)
            # backoff's generators begin with a value that is no wait.
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
    before_wait: Callable[[E, float], object] = lambda *_: None,
) -> T:
    """Call `action` until it raises no `on`, and return what it returns.

    Raises the last error once the policy gives up, or at once where it is not temporary. The errors
    are of one line, fit for a log.
    `before_wait` gets the error and the wait, in seconds.
    """
    state = Retry(policy)
    while True:
        try:
            return action()
        except on as error:
            wait = state.wait_time() if is_temporary(error) else None
            if wait is None:
                raise
            before_wait(error, wait)
            log.debug("Try %d is in %.1f s: %s", state.tries + 1, wait, error)
        policy.clock.sleep(wait)


def is_temporary_status(status: int) -> bool:
    """Return whether an HTTP request with this answer may succeed later (RFC 9110 15.5, 15.6)."""
    return status in _TEMPORARY_STATUSES or status >= _FIRST_SERVER_ERROR


class RetryBudget:
    """The time for which a run goes on without success; each success restores it.

    The mutable state is when the trouble began. Threads share it.
    """

    def __init__(self, seconds: float, clock: MonotonicClock = CLOCK) -> None:
        """Allow trouble for `seconds`; with 0 the first trouble is the last."""
        self.seconds = seconds
        self._clock = clock
        self._trouble_since: float | None = None
        self._lock = Lock()

    def restore(self) -> None:
        """Note a success."""
        with self._lock:
            self._trouble_since = None

    def is_spent(self) -> bool:
        """Note trouble, and tell whether it has lasted too long."""
        with self._lock:
            now = self._clock.now()
            if self._trouble_since is None:
                self._trouble_since = now
            return now - self._trouble_since >= self.seconds
