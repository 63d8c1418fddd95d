"""Lets as many threads send at once as help."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from time import monotonic, thread_time


@dataclass(frozen=True)
class CrewPolicy:
    """When to have another thread send, and when one less.

    What the threads do is looked at each `window` seconds. Where they use less CPU time than
    `min_busy` seconds a second, they wait for the server or the disk, so that one more helps.
    Otherwise one more, or one less, is tried each `trial_interval` seconds, and kept if that gives
    at least `min_gain` times as many images a second.
    """

    window: float = 0.05
    min_busy: float = 0.6
    trial_interval: float = 0.5
    min_gain: float = 1.05


DEFAULT_CREW = CrewPolicy()


class Crew:
    """Threads that send, of which some wait while the others keep Python busy.

    Python runs one thread at a time: where the server is fast, more threads only pass its lock
    on, which costs each image a third more. Where the server takes its time, all of them help.
    The mutable state is all that does not come from the constructor; it is changed with the lock.
    """

    def __init__(
        self,
        threads: int,
        policy: CrewPolicy = DEFAULT_CREW,
        clock: Callable[[], float] = monotonic,
        cpu_clock: Callable[[], float] = thread_time,
    ) -> None:
        """Have no more than so many `threads` at work; `cpu_clock` is that of a thread."""
        self._threads = threads
        self._policy = policy
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._allowed = 1
        self._at_work = 0
        self._images = 0
        self._cpu_seconds = 0.0
        self._began_at = clock()
        self._tried_at = self._began_at
        self._step = 1
        self._rate_before: float | None = None
        self._changed = Condition()

    @property
    def allowed(self) -> int:
        """How many threads may be at work."""
        return self._allowed

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Wait until another thread helps, and have the block handle one image."""
        with self._changed:
            while self._at_work >= self._allowed:
                self._changed.wait(self._policy.window)
                self._look()
            self._at_work += 1
        begun = self._cpu_clock()
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._images += 1
                self._cpu_seconds += self._cpu_clock() - begun
                self._look()
                # Nobody is woken: this thread comes back at once for the next image.

    def leave(self) -> None:
        """Have those that wait look at once whether there is work, as there is none here."""
        with self._changed:
            self._changed.notify_all()

    def _look(self) -> None:
        """Change how many threads are allowed, where a window is over."""
        now, policy = self._clock(), self._policy
        elapsed = now - self._began_at
        if elapsed < policy.window or self._threads == 1:
            return
        rate, busy = self._images / elapsed, self._cpu_seconds / elapsed
        if self._rate_before is not None:
            if rate < self._rate_before * policy.min_gain:
                self._allow(self._allowed - self._step)
            self._rate_before = None
            self._step = -self._step
            self._tried_at = now
        elif busy < policy.min_busy:
            self._allow(self._allowed + 1)
        elif now - self._tried_at >= policy.trial_interval:
            wanted = self._allowed + self._step
            if not 1 <= wanted <= self._threads:
                self._step = -self._step
                wanted = self._allowed + self._step
            self._rate_before = rate
            self._allow(wanted)
        self._began_at, self._images, self._cpu_seconds = now, 0, 0.0

    def _allow(self, number: int) -> None:
        allowed = min(max(number, 1), self._threads)
        if allowed > self._allowed:
            self._changed.notify(allowed - self._allowed)
        self._allowed = allowed
