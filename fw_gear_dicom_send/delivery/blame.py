"""Distinguishes failures of the server from failures of single images."""

import logging
from math import inf
from threading import Lock

from ..reasons import Kind, Reason
from ..retry import Retry, RetryBudget, RetryPolicy
from ..values import frozen

log = logging.getLogger(__name__)


@frozen
class BlamePolicy:
    """Limits after which the server is at fault, and not the images.

    The server is at fault after `max_failures` images in a row without an accepted one. Then
    `burst` images are tried after each wait. After `max_unanswered` images in a row without an
    answer, plus one for each association, the run gives the server up. An image that is lost
    within `max_quick_loss` seconds can be resent immediately without delaying others.
    """

    max_failures: int = 64
    burst: int = 8
    max_unanswered: int = 2
    max_quick_loss: float = 5.0


DEFAULT_BLAME = BlamePolicy()


class Trouble:
    """Counter of consecutive failures, which decides when to wait and when to give up.

    The mutable state is every attribute that the constructor does not set from its arguments. The
    lock guards changes.
    """

    def __init__(
        self, budget: RetryBudget, waits: RetryPolicy, policy: BlamePolicy, associations: int
    ) -> None:
        """Wait by the policy `waits` until `budget` is spent, once the server is at fault."""
        self._budget = budget
        self._waits = waits
        self.policy = policy
        self.associations = associations
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
        """Time of the latest accepted image, -inf if there is none."""
        return self._accepted_at

    @property
    def is_server_at_fault(self) -> bool:
        """Whether the server is at fault."""
        return self._failures >= self.policy.max_failures

    @property
    def is_resending_useful(self) -> bool:
        """Whether the latest image that was resent immediately after a loss got an answer."""
        return self._is_resending_useful

    def note_resend(self, *, is_useful: bool) -> None:
        """Record whether an image that was resent immediately got an answer."""
        self._is_resending_useful = is_useful

    def note_answer(self, *, is_accepted: bool) -> None:
        """Record that the server accepted an image, or rejected it for a reason in the image."""
        self._budget.restore()
        if is_accepted:
            self._accepted_at = self._waits.clock.now()
        if not (self._failures or self._unanswered):
            return
        with self._lock:
            if self._retry:
                log.info("The server accepts images again")
            self._failures = self._unanswered = self._remaining = 0
            self._retry = None

    def note_failure(
        self, reason: Reason, *, peak: int = 0, is_counted: bool = True
    ) -> Reason | None:
        """Record a failed image; return the reason to give up the server, None to continue.

        There were up to `peak` associations, which may be more than expected. An image that is not
        counted is known to fail, and says nothing about the server.
        """
        with self._lock:
            self._reason = reason
            self._failures += is_counted
            if reason.kind is not Kind.NO_ANSWER:
                return None
            self._unanswered += 1
            associations = max(self.associations, peak)
            if self._unanswered < self.policy.max_unanswered + associations:
                return None
            return Reason(Kind.GIVEN_UP, f"{self._unanswered} images in a row without an answer")

    def blame(self) -> None:
        """Treat the server as at fault until it accepts an image; wait before the next one."""
        with self._lock:
            self._remaining = 0
            self._failures = max(self._failures, self.policy.max_failures)

    def wait_time(self) -> float:
        """Return the seconds to wait before the next image."""
        with self._lock:
            if not self.is_server_at_fault:
                return 0.0
            if self._remaining:
                self._remaining -= 1
                return 0.0
            if not self._retry:
                self._retry = Retry(self._waits)
                log.warning(
                    "The server accepts no images: %s. Retrying for up to %.0f s",
                    self._reason.text,
                    self._budget.seconds,
                )
            self._remaining = self.policy.burst - 1
            wait = self._retry.wait_time() or 0.0
            log.debug("The next image is sent in %.1f s: %s", wait, self._reason.text)
            return wait

    def give_up_reason(self) -> Reason | None:
        """Return the reason to give up the server, None to continue."""
        if not (self.is_server_at_fault and self._budget.is_spent()):
            return None
        return given_up(self._budget, self._reason)


def given_up(budget: RetryBudget, reason: Reason) -> Reason:
    """Return the reason why the run gives up a peer, with the time and the latest failure."""
    if not budget.seconds:
        return reason
    return Reason(Kind.GIVEN_UP, f"{budget.seconds:.0f} s without {budget.success}: {reason.text}")
