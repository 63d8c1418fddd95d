"""Tells trouble of the server from trouble with single images."""

import logging
from dataclasses import dataclass
from math import inf
from threading import Lock

from ..reasons import Kind, Reason
from ..retry import Retry, RetryBudget, RetryPolicy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlamePolicy:
    """When the server is to blame, and no longer the images.

    That is after `max_failures` images in a row without an accepted one. `burst` is how many other
    images are tried then after each wait. `max_unanswered` images in a row get no answer, beside
    one for each association, before the server is given up. An image that is lost within
    `max_quick_loss` seconds can be resent at once without holding up others.
    """

    max_failures: int = 64
    burst: int = 8
    max_unanswered: int = 2
    max_quick_loss: float = 5.0


DEFAULT_BLAME = BlamePolicy()


class Trouble:
    """Counts images that fail in a row, and tells when to wait, and when to give up.

    The mutable state is all that does not come from the constructor; it is changed with the lock.
    """

    def __init__(
        self, budget: RetryBudget, waits: RetryPolicy, policy: BlamePolicy, associations: int
    ) -> None:
        """Wait by `waits` until `budget` is spent, once the server is to blame."""
        self._budget = budget
        self._waits = waits
        self.policy = policy
        self._max_unanswered = policy.max_unanswered + associations
        self._lock = Lock()
        self._failures = 0
        self._unanswered = 0
        self._remaining = 0
        self._retry: Retry | None = None
        self._reason = Reason(Kind.OTHER)
        self._accepted_at = -inf
        self._is_resending_useful = True

    @property
    def accepted_at(self) -> float:
        """When the server last dealt with an image, on the clock of the waits."""
        return self._accepted_at

    @property
    def is_servers(self) -> bool:
        """Whether the server is to blame."""
        return self._failures >= self.policy.max_failures

    @property
    def is_resending_useful(self) -> bool:
        """Whether the latest image that was resent at once, after a loss, was not lost again."""
        return self._is_resending_useful

    def note_resend(self, *, is_useful: bool) -> None:
        """Note whether an image that was resent at once got an answer."""
        self._is_resending_useful = is_useful

    def note_success(self) -> None:
        """Note that the server accepts an image, or refuses it for good."""
        self._budget.restore()
        if not (self._failures or self._unanswered):
            self._accepted_at = self._waits.clock.now()
            return
        with self._lock:
            if self._retry:
                log.info("The server accepts images again")
            self._accepted_at = self._waits.clock.now()
            self._failures = self._unanswered = self._remaining = 0
            self._retry = None

    def note_failure(self, reason: Reason, *, is_counted: bool = True) -> Reason | None:
        """Note an image that failed, `reason` says how; return why to give the server up, if so.

        One that is not counted is known to fail, and says nothing about the server.
        """
        with self._lock:
            self._reason = reason
            self._failures += is_counted
            if reason.kind is not Kind.NO_ANSWER:
                return None
            self._unanswered += 1
            if self._unanswered < self._max_unanswered:
                return None
            detail = f"{self._unanswered} images in a row to which the server gave no answer"
            return Reason(Kind.GIVEN_UP, detail)

    def blame(self) -> None:
        """Take the server to be at fault until it accepts an image; wait before the next one."""
        with self._lock:
            self._remaining = 0
            self._failures = max(self._failures, self.policy.max_failures)

    def wait_time(self) -> float:
        """Return for how many seconds to wait before the next image is tried."""
        with self._lock:
            if not self.is_servers:
                return 0.0
            if self._remaining:
                self._remaining -= 1
                return 0.0
            if not self._retry:
                self._retry = Retry(self._waits)
                log.warning(
                    "The server takes no image: %s. Others are tried for up to %.0f s",
                    self._reason.text,
                    self._budget.seconds,
                )
            self._remaining = self.policy.burst - 1
            wait = self._retry.wait_time() or 0.0
            log.debug("The next image is tried in %.1f s: %s", wait, self._reason.text)
            return wait

    def give_up_reason(self) -> Reason | None:
        """Return why to give the server up, None while it is not to blame, or not long enough."""
        if not (self.is_servers and self._budget.is_spent()):
            return None
        return given_up(self._budget, self._reason)


def given_up(budget: RetryBudget, reason: Reason) -> Reason:
    """Return why a peer is given up: the latest trouble, and for how long there was some."""
    if not budget.seconds:
        return reason
    return Reason(Kind.GIVEN_UP, f"{budget.seconds:.0f} s of trouble: {reason.text}")
