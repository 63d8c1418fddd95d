"""Delivery of an image: what happens when a try fails (resend, hold back, give up)."""

import logging
from collections import deque
from functools import partial
from itertools import count
from math import inf
from threading import Lock

from ..dicom.types import SOPInstance
from ..reasons import Kind, Reason
from ..retry import Retry, RetryBudget, RetryPolicy
from ..values import replace
from .blame import DEFAULT_BLAME, Trouble, given_up
from .first_images import FirstImages
from .results import (
    RUN_ENDED,
    AlreadyStored,
    NotSent,
    Planned,
    Resending,
    Sent,
    StoreResult,
    Suspect,
    Transfer,
)
from .tries import Attempts, Busy, Closed, Connections, History, Judged, Lost, Try

log = logging.getLogger(__name__)

MAX_SECOND_TRIES = 100
"""Maximum number of images with `Resending.ONCE` that are resent."""
MAX_LOSSES_LOGGED = 10
"""Maximum number of lost connections with a line in the log each."""
MAX_LOSS_TIMES = 1_000
"""Maximum number of lost connections whose times are kept."""
MAX_BUSY_TRIES = 5
"""Tries in a row while the server is busy after which an image is put aside."""


class Delivery:
    """Sends images with the necessary retries, and judges whether the server is at fault.

    The mutable state is the counters of retries and losses, and the state of `Trouble`.
    """

    def __init__(
        self,
        attempts: Attempts,
        connections: Connections,
        number: int,
        budget: RetryBudget,
        policy: RetryPolicy,
    ) -> None:
        """Send by `attempts` over `connections` until `budget` is spent.

        More than `number` connections are possible, but need not be open.

        `policy` has the waits while the server is at fault.
        """
        self._attempts = attempts
        self._connections = connections
        self._budget = budget
        self._policy = policy
        self._trouble = Trouble(budget, policy, DEFAULT_BLAME, number)
        self._first_images = FirstImages()
        self._turn = Lock()
        self._second_tries = count(1)
        self._losses = count(1)
        self._retry_numbers = count(1)
        self.retries = 0
        """Number of times that an image was resent."""
        self.losses = 0
        """Number of connections that were lost with an image."""
        self.lost_at: deque[float] = deque(maxlen=MAX_LOSS_TIMES)
        """Times of the latest of these losses, on the clock of the retry policy."""

    @property
    def given_up(self) -> Reason | None:
        """The reason why no more images are sent, None while images may be sent."""
        return self._connections.closed_reason

    @property
    def accepted_at(self) -> float:
        """Time of the latest accepted image, -inf if there is none."""
        return self._trouble.accepted_at

    def now(self) -> float:
        """Return the time on the policy's clock."""
        return self._policy.clock.now()

    @property
    def is_at_fault(self) -> bool:
        """Whether the server currently accepts no images."""
        return self._trouble.is_server_at_fault

    def blame(self) -> None:
        """Treat the server as at fault until it accepts an image."""
        self._trouble.blame()

    def expect(self, number: int) -> None:
        """Prepare for up to `number` images that wait for answers at the same time."""
        self._trouble.associations = number

    def wait_until(self, moment: float) -> None:
        """Wait until `moment` on the policy's clock, or until the run gives up the server."""
        if (seconds := moment - self.now()) > 0:
            log.debug("The next image to retry is sent in %.1f s", seconds)
            self._connections.wait(seconds)

    def send(self, instance: SOPInstance, earlier: Suspect | None = None) -> StoreResult | Suspect:
        """Send one image. Several threads may call this at the same time.

        The first image of each patient and study is sent alone.

        An image that is lost with its connection is resent immediately, on a new connection that
        has given a sign of life. This is skipped if it did not help the last time, or if the loss
        took long. It is also skipped if the whole image reached the server: some archives delete
        or truncate an image that arrives twice in a row, or twice at once (dcm4chee-arc-light
        issue 4754, dcm4che issues 1103 and 1112). An image that a busy server put off is resent
        after each pause, up to MAX_BUSY_TRIES times in a row. An image that is still lost, or that
        the server may store later, is a Suspect, which the caller may resend.

        The server is at fault if it accepts no connection, or if many images fail in a row. Then
        this waits for the server until the retry time is over, and gives up.
        """
        return self._first_images.in_turn(instance, partial(self._send, instance, earlier))

    def _send(self, instance: SOPInstance, earlier: Suspect | None) -> StoreResult | Suspect:
        """Send one image, as soon as it is its turn."""
        clock, trouble = self._policy.clock, self._trouble
        tries = earlier.failure.transfer.tries if earlier else 0
        may_be_stored = bool(earlier and earlier.may_be_stored)
        is_slow = bool(earlier and earlier.failure.reason.kind is Kind.NO_ANSWER)
        # An idle connection may be about to end, like the last ones that were lost with the image.
        was_lost = earlier is not None and earlier.failure.transfer.answer is None and tries > 1
        lost_at = clock.now() if was_lost else -inf
        was_resent = False
        silence: Reason | None = None
        self._hold_back()
        # While the server is at fault, the next try belongs to another image.
        may_resend = not (earlier or trouble.is_server_at_fault)
        answer_timeout = earlier.answer_timeout if earlier else inf
        while True:
            history = History(tries, may_be_stored, is_slow, answer_timeout, is_first=not tries)
            result, tries = self._attempt(instance, history, lost_at)
            if isinstance(result, Closed):
                # The report must show that an image without an answer may be stored.
                return _unfinished(silence or result.reason, tries, may_be_stored=may_be_stored)
            if isinstance(result, AlreadyStored):
                trouble.note_answer(is_accepted=True)
                return result
            may_be_stored |= isinstance(result, Busy | Lost) and result.may_be_stored
            if isinstance(result, Judged):
                break
            lost_at = clock.now()
            is_slow = result.reason.kind is Kind.NO_ANSWER
            silence = result.reason if is_slow else None
            if self._connections.closed_reason is RUN_ENDED:
                continue
            if not may_resend or was_resent:
                break
            self._log_loss(result.reason)
            was_away = self._await_server(instance, lost_at)
            if result.may_be_stored and not self._connections.closed_reason:
                break
            was_resent = was_away or self._may_resend_now(result)
            if not was_resent:
                break
        if was_resent:
            trouble.note_resend(is_useful=isinstance(result, Judged))
        sent = _with_tries(result, tries)
        if not isinstance(sent, NotSent):
            trouble.note_answer(is_accepted=True)
            return sent
        resending = self._resending(result, is_retry=bool(earlier))
        self._note_failure(sent, resending, is_retry=bool(earlier))
        if resending is Resending.NEVER:
            return sent
        return Suspect(sent, clock.now(), may_be_stored, resending)

    def _note_failure(self, sent: NotSent, resending: Resending, *, is_retry: bool) -> None:
        """Record an image that was not sent, and give up the server if needed."""
        trouble = self._trouble
        if resending is Resending.WHILE_NOTHING_IS_STORED:
            is_known = is_retry and trouble.accepted_at > -inf
            peak = self._connections.peak
            if blame := trouble.note_failure(sent.reason, peak=peak, is_counted=not is_known):
                self._connections.give_up(blame)
        elif sent.transfer.answer:
            trouble.note_answer(is_accepted=False)

    def _resending(self, result: Judged | Lost, *, is_retry: bool) -> Resending:
        """Return when to resend an image after its last try."""
        if isinstance(result, Lost):
            return Resending.WHILE_NOTHING_IS_STORED
        if result.resending is Resending.ONCE and (
            is_retry or next(self._second_tries) > MAX_SECOND_TRIES
        ):
            return Resending.NEVER
        return result.resending

    def _may_resend_now(self, loss: Lost) -> bool:
        """Return whether an image may be resent at once, although the server was never away."""
        is_useful = self._trouble.is_resending_useful
        is_quick = loss.seconds <= self._trouble.policy.max_quick_loss
        return is_useful and is_quick and loss.reason.kind is not Kind.NO_ANSWER

    def _attempt(
        self, instance: SOPInstance, history: History, opened_after: float
    ) -> tuple[Try, int]:
        """Try to send an image until the server is not busy; return the number of all tries."""
        tries = history.tries
        while True:
            result = self._attempts.attempt(instance, replace(history, tries=tries), opened_after)
            if isinstance(result, Closed):
                return result, tries
            tries += 1
            if tries > 1:
                self.retries = next(self._retry_numbers)
            if not isinstance(result, Busy):
                return result, tries
            if not self._may_repeat(instance, result, tries - history.tries):
                return result, tries

    def _may_repeat(self, instance: SOPInstance, busy: Busy, tries: int) -> bool:
        """Return whether to resend an image after the pause of a busy server.

        The run gives up a server that is busy for the whole retry time. A gateway may have lost
        its server: the next image waits for a sign of life.
        """
        budget = self._budget
        if not budget.seconds:
            return False
        if busy.may_be_stored:
            self._await_server(instance, -inf)
            return False
        if budget.is_spent() and isinstance(busy.result, NotSent):
            self._connections.give_up(given_up(budget, busy.result.reason))
        return tries < MAX_BUSY_TRIES and not self._trouble.is_server_at_fault

    def _hold_back(self) -> None:
        """Wait while the server is at fault. One thread waits, and the others queue behind it."""
        if not self._trouble.is_server_at_fault:
            return
        with self._turn:
            if reason := self._trouble.give_up_reason():
                self._connections.give_up(reason)
            elif wait := self._trouble.wait_time():
                self._connections.wait(wait)

    def _await_server(self, instance: SOPInstance, lost_at: float) -> bool:
        """Wait for a sign of life on a connection that was opened after the loss.

        Returns whether the server was at fault: it accepted no connection, or did not answer.
        """
        attempts, since = Retry(self._policy), lost_at
        while True:
            silence = self._attempts.probe(instance, since)
            if silence is None:
                return since > lost_at or self._connections.recovered_at > lost_at
            if isinstance(silence, Closed):
                return True
            since = self._policy.clock.now()
            if self._budget.is_spent():
                self._connections.give_up(given_up(self._budget, silence))
                return True
            if not attempts.tries:
                log.warning(
                    "The server does not respond: %s. Retrying for up to %.0f s",
                    silence.text,
                    self._budget.seconds,
                )
            wait = attempts.wait_time() or 0
            log.debug("The next check of the server follows in %.1f s: %s", wait, silence.text)
            self._connections.wait(wait)

    def _log_loss(self, reason: Reason) -> None:
        """Log that a connection was lost with its image, after many losses as DEBUG only."""
        number = self.losses = next(self._losses)
        self.lost_at.append(self._policy.clock.now())
        log.log(
            logging.WARNING if number <= MAX_LOSSES_LOGGED else logging.DEBUG,
            "A connection was lost with an image: %s%s",
            reason.text,
            ". Further losses are not logged" if number == MAX_LOSSES_LOGGED else "",
        )


def _with_tries(result: Judged | Lost, tries: int) -> Sent | Planned | NotSent:
    """Return the result of an image after its last try."""
    if isinstance(result, Lost):
        return NotSent(result.reason, Transfer(tries=tries))
    return replace(result.result, transfer=replace(result.result.transfer, tries=tries))


def _unfinished(reason: Reason, tries: int, *, may_be_stored: bool) -> NotSent:
    """Return the result of an image that gets no further connection, for `reason`."""
    if tries and reason is RUN_ENDED:
        reason = Reason(Kind.UNANSWERED if may_be_stored else Kind.INTERRUPTED)
    return NotSent(reason, Transfer(tries=tries))
