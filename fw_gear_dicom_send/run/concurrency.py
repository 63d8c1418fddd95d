"""Adaptive limit on the number of sending threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from time import monotonic, thread_time


@dataclass(frozen=True)
class ConcurrencyPolicy:
    """Policy for adding and removing sending threads.

    The load is measured every `window` seconds. If the threads use less than `min_busy` seconds of
    CPU time per second, they wait for the server or the disk, and twice as many help.
    Otherwise one thread more or less is tried every `trial_interval` seconds. The change is kept
    if the rate of images grows at least by the factor `min_gain`.
    """

    window: float = 0.05
    min_busy: float = 0.6
    trial_interval: float = 0.5
    min_gain: float = 1.05


DEFAULT_CONCURRENCY = ConcurrencyPolicy()


class AdaptiveLimit:
    """Limit on the number of threads that send at the same time.

    Python runs one thread at a time. With a fast server, more threads only contend for Python's
    lock, and each image costs a third more. With a slow server, every thread helps.

    The mutable state is all attributes except the constructor's arguments. It changes under the
    lock.
    """

    def __init__(
        self,
        threads: int,
        policy: ConcurrencyPolicy = DEFAULT_CONCURRENCY,
        clock: Callable[[], float] = monotonic,
        cpu_clock: Callable[[], float] = thread_time,
    ) -> None:
        """Allow at most `threads` threads; `cpu_clock` returns the CPU time of a thread."""
        self._threads = threads
        self._policy = policy
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._allowed = 1
        self._at_work = 0
        self._images = 0
        self._cpu_seconds = 0.0
        self._window_start = clock()
        self._last_trial = self._window_start
        self._step = 1
        self._rate_before: float | None = None
        self._changed = Condition()

    @property
    def allowed(self) -> int:
        """Number of threads that may send now."""
        return self._allowed

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for permission to send, then run the block, which handles one image."""
        with self._changed:
            while self._at_work >= self._allowed:
                self._changed.wait(self._policy.window)
                self._adjust()
            self._at_work += 1
        start = self._cpu_clock()
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._images += 1
                self._cpu_seconds += self._cpu_clock() - start
                self._adjust()
                # No other thread is woken: this one returns immediately for the next image.

    def wake_all(self) -> None:
        """Wake all waiting threads, so that each sees that no work is left."""
        with self._changed:
            self._changed.notify_all()

    def _adjust(self) -> None:
        """Adjust the number of allowed threads at the end of each window."""
        now, policy = self._clock(), self._policy
        elapsed = now - self._window_start
        if elapsed < policy.window or self._threads == 1:
            return
        rate, busy = self._images / elapsed, self._cpu_seconds / elapsed
        if self._rate_before is not None:
            if rate < self._rate_before * policy.min_gain:
                self._allow(self._allowed - self._step)
            self._rate_before = None
            self._step = -self._step
            self._last_trial = now
        elif busy < policy.min_busy:
            self._allow(2 * self._allowed)
        elif now - self._last_trial >= policy.trial_interval:
            wanted = self._allowed + self._step
            if not 1 <= wanted <= self._threads:
                self._step = -self._step
                wanted = self._allowed + self._step
            self._rate_before = rate
            self._allow(wanted)
        self._window_start, self._images, self._cpu_seconds = now, 0, 0.0

    def _allow(self, number: int) -> None:
        allowed = min(max(number, 1), self._threads)
        if allowed > self._allowed:
            self._changed.notify(allowed - self._allowed)
        self._allowed = allowed
