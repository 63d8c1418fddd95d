"""Adaptive limit on the number of sending threads, and so of connections."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition
from time import monotonic, thread_time

from ..account import ConnectionsUsed
from ..delivery.results import Sent, StoreResult, Suspect
from ..delivery.sender import Parallel, SenderFacts, Why
from ..values import frozen
from .growth import Growth
from .quarantine import Quarantined


@frozen
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


class Work:
    """Work of a thread on one image; `result` is None if nothing was sent."""

    __slots__ = ("result",)

    def __init__(self) -> None:
        """Start without a result."""
        self.result: StoreResult | Suspect | Quarantined | None = None


class AdaptiveLimit:
    """Limit on the number of threads that send at the same time.

    Python runs one thread at a time. With a fast server, more threads only contend for Python's
    lock, and each image costs a third more. With a slow server, every thread helps.

    The mutable state is all attributes except the constructor's arguments. It changes under the
    lock.
    """

    def __init__(
        self,
        parallel: Parallel,
        policy: ConcurrencyPolicy = DEFAULT_CONCURRENCY,
        clock: Callable[[], float] = monotonic,
        cpu_clock: Callable[[], float] = thread_time,
        trim: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Allow at most `parallel.most` threads; `cpu_clock` returns the CPU time of a thread.

        `trim` gets the number of connections that help, whenever more than `assured` do or did. The
        connections of images that were set aside count too: others must not make room for them.
        """
        self._parallel = parallel
        self._policy = policy
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._trim = trim
        self._growth = Growth(parallel)
        self._allowed = 1
        self._waiting = 0
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

    @property
    def most(self) -> int:
        """Largest number of threads that may ever send."""
        return self._parallel.most

    def used(self, facts: SenderFacts, *, by_study: bool = False) -> ConnectionsUsed | None:
        """Return the numbers of connections so far, None without any.

        A run `by_study` has a connection for each study at work, whatever this limit allows.
        """
        if not facts.peak:
            return None
        why = Why.REFUSED if facts.is_refused else self._growth.why
        number = facts.peak if by_study else min(self._allowed, facts.peak)
        return ConnectionsUsed(number, facts.peak, facts.noun, why)

    @contextmanager
    def slot(self) -> Iterator[Work]:
        """Wait for permission to send, then run the block, which handles one image."""
        with self._changed:
            while self._growth.at_work >= self._allowed:
                self._waiting += 1
                # All waiting threads together look once in each window.
                self._changed.wait(self._policy.window * self._waiting)
                self._waiting -= 1
                self._adjust(self._clock())
            begun = self._clock()
            self._growth.begin_image(begun)
        work, start = Work(), self._cpu_clock()
        try:
            yield work
        finally:
            with self._changed:
                now = self._clock()
                set_aside = self._growth.set_aside
                self._growth.end_image(begun)
                if self._growth.set_aside < set_aside:
                    self._trim(self._allowed + self._growth.set_aside)
                self._images += 1
                self._cpu_seconds += self._cpu_clock() - start
                self._note(work.result, begun, now)
                self._adjust(now)
                # No other thread is woken: this one returns immediately for the next image.

    def wake_all(self) -> None:
        """Wake all waiting threads, so that each sees that no work is left."""
        with self._changed:
            self._changed.notify_all()

    def _note(
        self, result: StoreResult | Suspect | Quarantined | None, begun: float, now: float
    ) -> None:
        """Record the result of an image, which may show that more connections do harm."""
        if isinstance(result, Sent) and result.transfer.tries == 1:
            transfer = result.transfer
            is_converted = transfer.crc32 is not None
            seconds = now - begun if is_converted else transfer.seconds
            self._growth.add(transfer.size, seconds, begun, now)
        elif isinstance(result, Sent | Suspect | Quarantined):
            self._allow(self._growth.back_off(now), now)

    def _adjust(self, now: float) -> None:
        """Adjust the number of allowed threads at the end of each window."""
        policy, most = self._policy, max(self._allowed, self._parallel.assured)
        elapsed = now - self._window_start
        if elapsed < policy.window or self._parallel.most == 1:
            return
        rate, busy = self._images / elapsed, self._cpu_seconds / elapsed
        if self._rate_before is not None:
            if rate < self._rate_before * policy.min_gain:
                self._allow(self._allowed - self._step, now)
            self._rate_before = None
            self._step = -self._step
            self._last_trial = now
        elif self._allowed < self._parallel.assured and busy < policy.min_busy:
            self._allow(min(2 * self._allowed, self._parallel.assured), now)
        elif self._growth.is_trying or busy < policy.min_busy:
            self._allow(self._growth.decide(now), now)
        elif now - self._last_trial >= policy.trial_interval:
            wanted = self._allowed + self._step
            if not 1 <= wanted <= most:
                self._step = -self._step
                wanted = self._allowed + self._step
            self._rate_before = rate
            self._allow(wanted, now)
        self._window_start, self._images, self._cpu_seconds = now, 0, 0.0

    def _allow(self, allowed: int, now: float) -> None:
        """Allow a number of threads, and let the server's connections follow it."""
        before, self._allowed = self._allowed, allowed
        if allowed == before:
            return
        if allowed > before:
            self._changed.notify(allowed - before)
        self._growth.restart(allowed, now)
        if max(allowed, before) > self._parallel.assured:
            self._trim(allowed + self._growth.set_aside)
