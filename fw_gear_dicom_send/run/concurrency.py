"""Adaptive limit on the number of sending threads, and so of connections."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from threading import Condition
from time import monotonic, thread_time

from ..account import ConnectionsUsed
from ..delivery.results import Sent, StoreResult, Suspect, Transfer
from ..delivery.sender import Parallel, SenderFacts, Why
from ..values import frozen
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


@frozen
class GrowthPolicy:
    """Policy for connections beyond those that need no proof.

    An image that takes less than `near` seconds, with its conversion if it needs one, shows that
    the server is near. Otherwise twice as many connections are tried, and kept if the rate grows by
    the factor `min_gain`. If not, the next trial waits `rest` seconds, and after each further one
    twice as long, up to `max_rest`. Every `check` seconds, half of the connections are tried, and
    kept if the rate falls at most by the factor `max_loss`. A trial lasts for `images` on each
    connection, after a first one. An image counts as one, plus its size divided by `image_bytes`.
    """

    near: float = 0.005
    images: int = 2
    min_gain: float = 1.2
    rest: float = 2.0
    max_rest: float = 320.0
    check: float = 60.0
    max_loss: float = 0.9
    image_bytes: int = 1 << 18


DEFAULT_CONCURRENCY = ConcurrencyPolicy()
DEFAULT_GROWTH = GrowthPolicy()


class Growth:
    """Decides how many connections help, beyond those that need no proof.

    The rate follows from the seconds of each image: a run that waits for files says nothing about
    the server. `_begun` has the times at which the images at work began, and `_set_aside` those of
    images that wait too long for their answer.

    The mutable state is all attributes except the constructor's arguments. The caller holds a lock.
    """

    def __init__(self, parallel: Parallel, policy: GrowthPolicy = DEFAULT_GROWTH) -> None:
        """Decide within the limits of `parallel`."""
        self._parallel = parallel
        self._policy = policy
        self.why = parallel.why
        self._shortest = inf
        self._trial: tuple[int, float] | None = None
        self._rest = policy.rest
        self._next_up = self._next_down = -inf
        self._begun: list[float] = []
        self._set_aside: list[float] = []
        self.restart(1, -inf)

    @property
    def is_trying(self) -> bool:
        """Whether a number of connections is being tried."""
        return self._trial is not None

    def restart(self, allowed: int, now: float) -> None:
        """Measure the rate of `allowed` connections, once each has had time to open."""
        self._allowed = allowed
        self._opening = allowed
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._since = now
        self._images = 0
        self._seconds = 0.0
        self._work = 0.0

    @property
    def at_work(self) -> int:
        """Number of images at work, without those that were set aside."""
        return len(self._begun)

    @property
    def set_aside(self) -> int:
        """Number of images that were set aside, and have not ended."""
        return len(self._set_aside)

    def begin_image(self, now: float) -> None:
        """Record that a thread begins an image."""
        self._begun.append(now)

    def end_image(self, begun: float) -> None:
        """Record that a thread ends the image that it began at a time."""
        times = self._begun if begun in self._begun else self._set_aside
        times.remove(begun)

    def add(self, transfer: Transfer, begun: float, now: float) -> None:
        """Count an image that the server answered."""
        is_converted = transfer.crc32 is not None
        self._shortest = min(self._shortest, now - begun if is_converted else transfer.seconds)
        if self._opening:
            self._opening -= 1
            self._begin(now)
        elif begun >= self._since:
            self._images += 1
            self._seconds += now - begun
            self._work += 1 + transfer.size / self._policy.image_bytes

    def _rate(self, now: float) -> float:
        """Return the rate of all connections, 0 if there are too few images.

        It follows from the seconds of each image. Images that take twice as long as the others,
        and have not ended yet, count too: the server may serve only some of the connections.
        """
        if self._images < self._policy.images * self._allowed or not self._seconds:
            return 0.0
        late = sum(now - begun for begun in self._late(now))
        return self._allowed * self._work / (self._seconds + late)

    def _late(self, now: float) -> list[float]:
        """Return the times at which images began that take twice as long as the others."""
        soonest = now - 2 * self._seconds / self._images
        return [begun for begun in self._begun if begun < soonest]

    def back_off(self, now: float) -> int:
        """Return the number of connections after a lost or refused image."""
        if self._allowed <= self._parallel.assured:
            return self._allowed
        self.why, self._trial = Why.TROUBLE, None
        self._rest = self._policy.max_rest
        self._next_up = now + self._rest
        return self._parallel.assured

    def decide(self, now: float) -> int:
        """Return the number of connections that may be open from now on."""
        allowed, policy, parallel = self._allowed, self._policy, self._parallel
        if self._shortest < policy.near and not parallel.is_fixed:
            self.why, self._trial = Why.NEAR, None
            return parallel.assured
        rate = self._rate(now)
        if parallel.is_fixed or not rate:
            return allowed
        if self._trial:
            (before, min_rate), self._trial = self._trial, None
            is_kept = rate >= min_rate
            self._plan(now, is_more=allowed > before, is_kept=is_kept)
            if not is_kept:
                return before
        if allowed < parallel.most and now >= self._next_up:
            self._trial = allowed, policy.min_gain * rate
            return min(2 * allowed, parallel.most)
        if allowed > parallel.assured and now >= self._next_down:
            self._trial = allowed, policy.max_loss * rate
            return max(allowed // 2, parallel.assured)
        return allowed

    def _plan(self, now: float, *, is_more: bool, is_kept: bool) -> None:
        """Plan the next trials after one of more or fewer connections."""
        policy = self._policy
        if is_kept or not is_more:
            self._next_down = now + policy.check
        if is_more and is_kept:
            self._rest = policy.rest
            self.why = Why.MOST if self._allowed == self._parallel.most else Why.SHORT
        elif is_more:
            late = self._late(now)
            # They must not keep the place of images that other connections can send.
            self._begun = [begun for begun in self._begun if begun not in late]
            self._set_aside += late
            self._rest = policy.max_rest if late else self._rest
            self._next_up = now + self._rest
            self._rest = min(2 * self._rest, policy.max_rest)
            self.why = Why.NO_GAIN
        elif is_kept:
            self._next_up = now + policy.check
            self.why = Why.NO_GAIN


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
            self._growth.add(result.transfer, begun, now)
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
