"""Sends images to a DICOM server by C-STORE (PS3.4 annex B)."""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from math import inf
from threading import Lock
from time import perf_counter

from ..dicom.types import SOPInstance, Unreadable
from ..dicom.uids import name_of, printable_uid
from ..reasons import Kind, Reason
from ..retry import Retry, RetryBudget, RetryPolicy
from .association import StorageAssociation
from .contexts import COMPRESSIONS, ECHO, Context, candidate_contexts, choose
from .errors import AssociationError, LostAnswerError, NoAssociationError
from .judgement import History, Outcome, failure, judge
from .pool import RUN_ENDED, AssociationPool
from .statuses import describe as describe_status
from .transport import DEFAULT_TRANSPORT, Transport
from .trouble import DEFAULT_BLAME, BlamePolicy, Trouble, given_up
from .types import ConversionMode, NotSent, PeerAE, Planned, Sent, Suspect, Transfer

log = logging.getLogger(__name__)

MAX_LOSSES_LOGGED = 10
"""Maximum number of lost associations with a line in the log each."""
MAX_LOSS_TIMES = 1_000
"""Maximum number of lost associations whose times are kept."""
RESEND_POLICY = RetryPolicy(min_wait=2, max_wait=15)
"""The waits while the server is at fault; the retry budget limits the total time."""


class StorageSCU:
    """Storage SCU that opens associations as the images need them."""

    def __init__(
        self,
        peer: PeerAE,
        convert: Callable[[SOPInstance, str], SOPInstance | Unreadable | None],
        *,
        associations: int = 1,
        retry_time: float = 300,
        transport: Transport = DEFAULT_TRANSPORT,
        is_dry: bool = False,
        conversion: ConversionMode = ConversionMode.WHEN_NEEDED,
        policy: RetryPolicy = RESEND_POLICY,
        blame: BlamePolicy = DEFAULT_BLAME,
        max_images: int = 0,
        query_peer: PeerAE | None = None,
    ) -> None:
        """Prepare to send to `peer`.

        Args:
            peer: The server that stores the images.
            convert: Changes the transfer syntax of an image. Returns None for an image that it
                cannot compress; the image is then sent unchanged.
            associations: Maximum number of associations at the same time.
            retry_time: Seconds to continue without an accepted image.
            transport: TLS, timeouts and rate limit of all associations. The rate limit does not
                apply to `query_peer`.
            is_dry: Whether to do everything except the C-STORE requests.
            conversion: When to change transfer syntaxes.
            policy: Waits while the server is at fault.
            blame: When the server is at fault.
            max_images: Images after which an association is released, 0 for no limit.
            query_peer: Server for queries, over one additional association. None for `peer`.
        """
        self._is_dry = is_dry
        self._throttle = transport.throttle
        self._convert = convert
        self._conversion = conversion
        self._policy = policy
        self._timeouts = transport.timeouts
        self._budget = RetryBudget(retry_time, policy.clock)
        self._trouble = Trouble(self._budget, policy, blame, associations)
        self._turn = Lock()
        self._losses = count(1)
        self.lost_associations = 0
        """Number of associations that were lost with an image."""
        self.lost_at: deque[float] = deque(maxlen=MAX_LOSS_TIMES)
        """Times of the latest of these losses, on the clock of the retry policy."""
        self._retry_numbers = count(1)
        self._retries = 0
        self._pool = AssociationPool(
            peer,
            associations,
            self._budget,
            transport,
            policy=policy,
            conversion=conversion,
            max_images=max_images,
        )
        self._queries = self._pool
        if query_peer:
            budget = RetryBudget(retry_time, policy.clock, success="an association for queries")
            unlimited = replace(transport, throttle=None)
            self._queries = AssociationPool(query_peer, 1, budget, unlimited, policy=policy)

    def __repr__(self) -> str:
        """Show the state of its pool."""
        return f"<StorageSCU: {self._pool!r}>"

    def send(
        self, instance: SOPInstance, earlier: Suspect | None = None
    ) -> Sent | Planned | NotSent | Suspect:
        """Send one image. Several threads may call this at the same time.

        `earlier` is the result of an earlier call for the same image. The dataset is closed,
        unless the result is a Suspect.

        An image that is lost with its association is resent immediately, on a new association
        that has answered a C-ECHO. This is skipped if it did not help the last time, or if the
        loss took long. An image that is still lost, or that the server has no resources for, is a
        Suspect, which the caller may resend.

        The server is at fault if it accepts no association, or if many images fail in a row. Then
        this waits for the server until the retry time is over, and gives up.
        """
        result: Sent | Planned | NotSent | Suspect | None = None
        try:
            result = self._send(instance, earlier)
        finally:
            if not isinstance(result, Suspect):
                instance.dataset.close()
        return result

    @property
    def queries(self) -> AssociationPool:
        """The associations for queries, the same as for images without a `query_peer`."""
        return self._queries

    @property
    def lost_server(self) -> Reason | None:
        """The reason why the run gave up the server, None if it did not."""
        return None if self._pool.closed_reason is RUN_ENDED else self._pool.closed_reason

    @property
    def max_rate(self) -> float:
        """Maximum rate of all associations together, in bytes per second, 0 for no limit."""
        return self._throttle.rate if self._throttle else 0.0

    @property
    def given_up(self) -> Reason | None:
        """The reason why no more images are sent, None while images may be sent."""
        return self._pool.closed_reason

    @property
    def contexts(self) -> Mapping[Context, bool]:
        """The proposed presentation contexts, and whether they were accepted."""
        return {**self._queries.contexts, **self._pool.contexts}

    @property
    def open_associations(self) -> int:
        """Number of associations that are open."""
        return self._pool.open_associations

    @property
    def retries(self) -> int:
        """Number of times that an image was resent."""
        return self._retries

    @property
    def accepted_at(self) -> float:
        """Time of the latest accepted or permanently rejected image, -inf if there is none."""
        return self._trouble.accepted_at

    @property
    def has_accepted(self) -> bool:
        """Whether the server has accepted or permanently rejected any image."""
        return self._trouble.accepted_at > -inf

    @property
    def is_at_fault(self) -> bool:
        """Whether the server currently accepts no images."""
        return self._trouble.is_server_at_fault

    def blame(self) -> None:
        """Treat the server as at fault until it accepts an image."""
        self._trouble.blame()

    def wait_until(self, moment: float) -> None:
        """Wait until `moment` on the policy's clock, or until the run gives up the server."""
        if (seconds := moment - self._policy.clock.now()) > 0:
            log.debug("The next image to retry is sent in %.1f s", seconds)
            self._pool.wait(seconds)

    def finish(self) -> None:
        """Let current requests finish, and start no more."""
        for pool in {self._pool, self._queries}:
            pool.give_up(RUN_ENDED)

    def close(self) -> None:
        """Release the associations."""
        for pool in {self._pool, self._queries}:
            pool.close()

    def abort(self) -> None:
        """Abort the associations and their current requests."""
        for pool in {self._pool, self._queries}:
            pool.abort()

    def _send(
        self, instance: SOPInstance, earlier: Suspect | None
    ) -> Sent | Planned | NotSent | Suspect:
        wanted = candidate_contexts(_context_of(instance), self._conversion)[0]
        clock = self._policy.clock
        tries = earlier.failure.transfer.tries if earlier else 0
        may_be_stored = bool(earlier and earlier.may_be_stored)
        is_slow = bool(earlier and earlier.failure.reason.kind is Kind.NO_ANSWER)
        begun_at = lost_at = -inf
        was_resent = False
        silence: Reason | None = None
        self._hold_back()
        # While the server is at fault, the next try belongs to another image.
        may_resend = not self._trouble.is_server_at_fault
        while True:
            is_lost = False
            try:
                with self._pool.association(wanted, lost_at) as assoc:
                    timeout = self._timeouts.response * (2 if is_slow else 1)
                    history = History(tries, may_be_stored, timeout)
                    tries += 1
                    if tries > 1:
                        self._retries = next(self._retry_numbers)
                    begun_at = clock.now()
                    outcome = self._store(assoc, instance, history, self._conversion)
            except NoAssociationError as exc:
                # The report must show that an image without an answer may be stored.
                return _unfinished(silence or exc.reason, tries, may_be_stored=may_be_stored)
            except AssociationError as exc:
                is_lost, lost_at = True, clock.now()
                may_be_stored = may_be_stored or isinstance(exc, LostAnswerError)
                outcome = failure(exc.reason, is_temporary=True)
                silence = exc.reason if exc.reason.kind is Kind.NO_ANSWER else None
                is_slow = bool(silence)
                if self._pool.closed_reason is RUN_ENDED:
                    continue
                if may_resend and not was_resent:
                    self._log_loss(exc.reason)
                    was_away = self._await_server(wanted, lost_at)
                    is_useful = bool(earlier) or self._trouble.is_resending_useful
                    is_quick = lost_at - begun_at <= self._trouble.policy.max_quick_loss
                    was_resent = was_away or (is_useful and is_quick and not silence)
                    if was_resent:
                        continue
            break
        if was_resent:
            self._trouble.note_resend(is_useful=not is_lost)
        result = replace(outcome.result, transfer=replace(outcome.result.transfer, tries=tries))
        if not (outcome.is_temporary and isinstance(result, NotSent)):
            return result
        is_known = bool(earlier and self.has_accepted)
        if blame := self._trouble.note_failure(result.reason, is_counted=not is_known):
            self._pool.give_up(blame)
        return Suspect(result, clock.now(), may_be_stored)

    def _hold_back(self) -> None:
        """Wait while the server is at fault. One thread waits, and the others queue behind it."""
        if not self._trouble.is_server_at_fault:
            return
        with self._turn:
            if reason := self._trouble.give_up_reason():
                self._pool.give_up(reason)
            elif wait := self._trouble.wait_time():
                self._pool.wait(wait)

    def _await_server(self, wanted: Context, lost_at: float) -> bool:
        """Wait until the server answers a C-ECHO on an association opened after the loss.

        Returns whether the server was at fault: it accepted no association, or did not answer.
        """
        attempts, since = Retry(self._policy), lost_at
        while True:
            try:
                with self._pool.association(wanted, since) as assoc:
                    if ECHO in assoc.accepted:
                        assoc.send_c_echo(ECHO)
            except NoAssociationError:
                return True
            except AssociationError as exc:
                since = self._policy.clock.now()
                if self._budget.is_spent():
                    self._pool.give_up(given_up(self._budget, exc.reason))
                    return True
                if not attempts.tries:
                    log.warning(
                        "The server does not answer a C-ECHO: %s. Retrying for up to %.0f s",
                        exc,
                        self._budget.seconds,
                    )
                wait = attempts.wait_time() or 0
                log.debug("The next C-ECHO follows in %.1f s: %s", wait, exc)
                self._pool.wait(wait)
            else:
                return since > lost_at or self._pool.recovered_at > lost_at

    def _log_loss(self, reason: Reason) -> None:
        """Log that an association was lost with its image, after many losses as DEBUG only."""
        number = self.lost_associations = next(self._losses)
        self.lost_at.append(self._policy.clock.now())
        log.log(
            logging.WARNING if number <= MAX_LOSSES_LOGGED else logging.DEBUG,
            "An association was lost with an image: %s%s",
            reason.text,
            ". Further losses are not logged" if number == MAX_LOSSES_LOGGED else "",
        )

    def _store(
        self,
        assoc: StorageAssociation,
        instance: SOPInstance,
        history: History,
        mode: ConversionMode,
    ) -> Outcome:
        """Send an image, converted if the server or `mode` requires it."""
        own = _context_of(instance)
        candidates = candidate_contexts(own, mode)
        is_fit = own in candidates
        context = choose(candidates, assoc.accepted)
        if context is None:
            return failure(Reason(Kind.NOT_ACCEPTED, _describe(own if is_fit else candidates[0])))
        if context == own:
            return self._request(assoc, instance, context, history)
        change = f"{_describe(own)} only as {name_of(context.transfer_syntax)}"
        if mode is ConversionMode.NEVER:
            return failure(Reason(Kind.CONVERSION_OFF, change))
        is_compressed = mode is ConversionMode.LOSSLESS and context.transfer_syntax in COMPRESSIONS
        converted = self._converted(instance, context)
        if not isinstance(converted, SOPInstance):
            if not is_compressed:
                return failure(converted or Reason(Kind.NOT_CONVERTIBLE, _describe(own)))
            outcome = self._store(assoc, instance, history, ConversionMode.WHEN_NEEDED)
            return _with_remark(outcome, converted) if converted else outcome
        try:
            outcome = self._request(assoc, converted, context, history)
        finally:
            converted.dataset.close()
        remark = Reason(Kind.CONVERTED, change)
        if is_compressed or not is_fit:
            names = map(name_of, (own.transfer_syntax, context.transfer_syntax))
            remark = Reason(Kind.CONVERTED_AS_ASKED, " to ".join(names))
        return _with_remark(outcome, remark)

    def _converted(self, instance: SOPInstance, context: Context) -> SOPInstance | Reason | None:
        """Convert an image; return the reason if that fails, None if it cannot be compressed."""
        try:
            converted = self._convert(instance, context.transfer_syntax)
        except OSError as exc:
            return Reason(Kind.NOT_CONVERTED, exc.strerror or str(exc))
        return converted.reason if isinstance(converted, Unreadable) else converted

    def _request(
        self,
        assoc: StorageAssociation,
        instance: SOPInstance,
        context: Context,
        history: History,
    ) -> Outcome:
        syntax, size = context.transfer_syntax, instance.dataset.size
        if self._is_dry:
            self._trouble.note_success()
            return Outcome(
                Planned(Transfer(transfer_syntax_uid=syntax, size=size), instance.remarks)
            )
        begun = perf_counter()
        try:
            response = assoc.send_c_store(instance, context, history.response_timeout)
        except OSError as exc:
            return failure(Reason(Kind.NOT_READ, exc.strerror or str(exc)))
        except AssociationError as exc:
            if log.isEnabledFor(logging.DEBUG):
                seconds = perf_counter() - begun
                log.debug("%s: no answer: %s", _request_of(assoc, instance, history, seconds), exc)
            raise
        seconds = perf_counter() - begun
        if log.isEnabledFor(logging.DEBUG):
            request = _request_of(assoc, instance, history, seconds)
            log.debug("%s: status %s", request, describe_status(response.status))
        outcome = judge(response, instance.read_identity, history)
        if not outcome.is_temporary:
            self._trouble.note_success()
        transfer = replace(
            outcome.result.transfer, seconds=seconds, transfer_syntax_uid=syntax, size=size
        )
        remarks = (*instance.remarks, *outcome.result.remarks)
        return replace(outcome, result=replace(outcome.result, transfer=transfer, remarks=remarks))


def _unfinished(reason: Reason, tries: int, *, may_be_stored: bool) -> NotSent:
    """Return the result of an image that gets no further association, for `reason`."""
    if tries and reason is RUN_ENDED:
        reason = Reason(Kind.UNANSWERED if may_be_stored else Kind.INTERRUPTED)
    return NotSent(reason, Transfer(tries=tries))


def _with_remark(outcome: Outcome, remark: Reason) -> Outcome:
    """Return an outcome with one more remark, before the existing ones."""
    result = outcome.result
    return replace(outcome, result=replace(result, remarks=(remark, *result.remarks)))


def _request_of(
    assoc: StorageAssociation, instance: SOPInstance, history: History, seconds: float
) -> str:
    """Return a label for a C-STORE request in the log, with its duration."""
    uid, tries = printable_uid(instance.sop_instance_uid), history.tries + 1
    return f"C-STORE of {uid}, association {assoc.number}, try {tries}, {seconds * 1000:.1f} ms"


def _context_of(instance: SOPInstance) -> Context:
    return Context(instance.sop_class_uid, instance.transfer_syntax_uid)


def _describe(context: Context) -> str:
    return f"{name_of(context.abstract_syntax)} in {name_of(context.transfer_syntax)}"
