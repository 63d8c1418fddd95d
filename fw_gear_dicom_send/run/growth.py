"""Decision how many parallel connections help."""

from math import inf

from ..delivery.sender import Parallel, Why
from ..values import frozen


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


DEFAULT_GROWTH = GrowthPolicy()


class Growth:
    """Decides how many connections help, beyond those that need no proof.

    An image is sent to a server, or is a file that is downloaded from one. The rate follows from
    the seconds of each image: a run that waits for files says nothing about the server. `_begun`
    has the times at which the images at work began, and `_set_aside` those of images that wait too
    long for their answer.

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

    def add(self, size: int, seconds: float, begun: float, now: float) -> None:
        """Count an image of some bytes that the server answered within some seconds."""
        self._shortest = min(self._shortest, seconds)
        if self._opening:
            self._opening -= 1
            self._begin(now)
        elif begun >= self._since:
            self._images += 1
            self._seconds += now - begun
            self._work += 1 + size / self._policy.image_bytes

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
        rate = 0.0 if parallel.is_fixed else self._rate(now)
        if not rate:
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
