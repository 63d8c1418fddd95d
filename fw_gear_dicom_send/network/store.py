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
from ..dicom.uids import name_of, shown
from ..reasons import Kind, Reason
from ..retry import Retry, RetryBudget, RetryPolicy
from .association import StorageAssociation
from .contexts import COMPRESSIONS, ECHO, Context, choose, ways
from .errors import AssociationError, LostAnswerError, NoAssociationError
from .judgement import History, Outcome, failure, judge
from .pool import RUN_ENDED, AssociationPool
from .statuses import describe as describe_status
from .throttle import Throttle
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .tls import TLSContext
from .trouble import DEFAULT_BLAME, BlamePolicy, Trouble, given_up
from .types import ConversionMode, NotSent, PeerAE, Planned, Sent, Suspect, Transfer

log = logging.getLogger(__name__)

MAX_LOSSES_LOGGED = 10
"""Associations that are lost with an image, of which each has a line in the log."""
MAX_LOSS_TIMES = 1_000
"""Lost associations of which the time is kept."""
RESEND_POLICY = RetryPolicy(min_wait=2, max_wait=15)
"""The waits while the server is at fault; the time is that of the retry budget."""


class StorageSCU:
    """A Storage SCU that opens associations as the images need them."""

    def __init__(
        self,
        peer: PeerAE,
        convert: Callable[[SOPInstance, str], SOPInstance | Unreadable | None],
        *,
        associations: int = 1,
        retry_time: float = 300,
        tls_context: TLSContext | None = None,
        is_dry: bool = False,
        conversion: ConversionMode = ConversionMode.WHEN_NEEDED,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        policy: RetryPolicy = RESEND_POLICY,
        blame: BlamePolicy = DEFAULT_BLAME,
        throttle: Throttle | None = None,
        max_images: int = 0,
        query_peer: PeerAE | None = None,
    ) -> None:
        """Send to `peer`, over no more than so many `associations` at once.

        `convert` changes an image's transfer syntax, where `conversion` wants that; it returns
        None for an image that it cannot compress, which then goes as it is. `retry_time` is for
        how many seconds to go on without any image being accepted. With `tls_context`, each
        association uses TLS. If it `is_dry`, all is done but the C-STORE requests, and an image is
        planned that could be sent. `policy` has the waits while the server is at fault, which it
        is by `blame`. All associations write together as fast as the `throttle` allows.
        An association is released after `max_images`, unless that is 0. With `query_peer`, queries
        go to that peer, over one association beside the others.
        """
        self._is_dry = is_dry
        self._throttle = throttle
        self._convert = convert
        self._conversion = conversion
        self._policy = policy
        self._timeouts = timeouts
        self._budget = RetryBudget(retry_time, policy.clock)
        self._trouble = Trouble(self._budget, policy, blame, associations)
        self._turn = Lock()
        self._losses = count(1)
        self.lost_associations = 0
        """How many associations were lost with an image."""
        self.lost_at: deque[float] = deque(maxlen=MAX_LOSS_TIMES)
        """When the latest of them were lost, on the clock of the retry policy."""
        self._retry_numbers = count(1)
        self._retries = 0
        self._pool = AssociationPool(
            peer,
            associations,
            self._budget,
            tls_context,
            timeouts=timeouts,
            policy=policy,
            throttle=throttle,
            conversion=conversion,
            max_images=max_images,
        )
        self._queries = self._pool
        if query_peer:
            budget = RetryBudget(retry_time, policy.clock)
            self._queries = AssociationPool(
                query_peer, 1, budget, tls_context, timeouts=timeouts, policy=policy
            )

    def __repr__(self) -> str:
        """Show the state of its pool."""
        return f"<StorageSCU: {self._pool!r}>"

    def send(
        self, instance: SOPInstance, earlier: Suspect | None = None
    ) -> Sent | Planned | NotSent | Suspect:
        """Send one image; to be called by several threads at once.

        `earlier` is what became of it before. The dataset is closed, unless the image is suspect.

        An image that is lost with its association is resent at once, on a new one that has
        answered a C-ECHO, unless that was of no use the last time, or the loss took long. If it
        is lost for good, or the server has no resources for it, it is suspect, and it is up to
        the caller to resend it.
        Where no association can be had, or many images fail in a row, the server is at fault: it
        is waited for until the retry time is over, and then given up.
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
        """The associations for queries, which are those for images but with a `query_peer`."""
        return self._queries

    @property
    def lost_server(self) -> Reason | None:
        """Why the server was given up, None where it was not."""
        return None if self._pool.gone is RUN_ENDED else self._pool.gone

    @property
    def max_rate(self) -> float:
        """How many bytes all associations may write a second, 0 where there is no limit."""
        return self._throttle.rate if self._throttle else 0.0

    @property
    def given_up(self) -> Reason | None:
        """Why nothing is sent any more, None while something may be."""
        return self._pool.gone

    @property
    def contexts(self) -> Mapping[Context, bool]:
        """The presentation contexts that were proposed, and whether they were accepted."""
        return {**self._queries.contexts, **self._pool.contexts}

    @property
    def open_associations(self) -> int:
        """How many there are."""
        return self._pool.open_associations

    @property
    def retries(self) -> int:
        """How often an image was sent again."""
        return self._retries

    @property
    def accepted_at(self) -> float:
        """When the server last accepted an image or refused one for good, -inf if it never did."""
        return self._trouble.accepted_at

    @property
    def has_accepted(self) -> bool:
        """Whether the server has dealt with any image."""
        return self._trouble.accepted_at > -inf

    @property
    def is_at_fault(self) -> bool:
        """Whether the server takes no image at all, as far as it is known."""
        return self._trouble.is_servers

    def blame(self) -> None:
        """Take the server to be at fault until it accepts an image."""
        self._trouble.blame()

    def wait_until(self, moment: float) -> None:
        """Wait until that time of the policy's clock, or until the server is given up."""
        if (seconds := moment - self._policy.clock.now()) > 0:
            log.debug("An image that was not sent is tried again in %.1f s", seconds)
            self._pool.wait(seconds)

    def finish(self) -> None:
        """Let what is being sent come to its end, and send nothing more."""
        for pool in {self._pool, self._queries}:
            pool.give_up(RUN_ENDED)

    def close(self) -> None:
        """Release the associations."""
        for pool in {self._pool, self._queries}:
            pool.close()

    def abort(self) -> None:
        """Abort the associations, and what is sent over them."""
        for pool in {self._pool, self._queries}:
            pool.abort()

    def _send(
        self, instance: SOPInstance, earlier: Suspect | None
    ) -> Sent | Planned | NotSent | Suspect:
        wanted, clock = ways(_context_of(instance), self._conversion)[0], self._policy.clock
        tries = earlier.failure.transfer.tries if earlier else 0
        may_be_stored = bool(earlier and earlier.may_be_stored)
        is_slow = bool(earlier and earlier.failure.reason.kind is Kind.NO_ANSWER)
        begun_at = lost_at = -inf
        was_resent = False
        silence: Reason | None = None
        self._hold_back()
        # While the server is at fault another image has the next try.
        may_resend = not self._trouble.is_servers
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
                # Of an image without answer it is to be told that it may be stored.
                return NotSent(silence or exc.reason, Transfer(tries=tries))
            except AssociationError as exc:
                is_lost, lost_at = True, clock.now()
                may_be_stored = may_be_stored or isinstance(exc, LostAnswerError)
                outcome = failure(exc.reason, may_pass=True)
                silence = exc.reason if exc.reason.kind is Kind.NO_ANSWER else None
                is_slow = bool(silence)
                if may_resend and not was_resent:
                    self._tell_loss(exc.reason)
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
        if not (outcome.may_pass and isinstance(result, NotSent)):
            return result
        is_known = bool(earlier and self.has_accepted)
        if blame := self._trouble.note_failure(result.reason, is_counted=not is_known):
            self._pool.give_up(blame)
        return Suspect(result, clock.now(), may_be_stored)

    def _hold_back(self) -> None:
        """Wait as long as the server is at fault; one thread waits, and others behind it."""
        if not self._trouble.is_servers:
            return
        with self._turn:
            if reason := self._trouble.give_up_reason():
                self._pool.give_up(reason)
            elif wait := self._trouble.wait_time():
                self._pool.wait(wait)

    def _await_server(self, wanted: Context, lost_at: float) -> bool:
        """Wait until the server answers a C-ECHO on an association that was opened since a loss.

        Returns whether the server was at fault: it gave no association, or did not answer.
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
                        "The server does not answer a C-ECHO: %s. It is retried for up to %.0f s",
                        exc,
                        self._budget.seconds,
                    )
                wait = attempts.wait_time() or 0
                log.debug("The next C-ECHO is in %.1f s: %s", wait, exc)
                self._pool.wait(wait)
            else:
                return since > lost_at or self._pool.recovered_at > lost_at

    def _tell_loss(self, reason: Reason) -> None:
        """Log that an association was lost with its image; many are logged for debugging only."""
        number = self.lost_associations = next(self._losses)
        self.lost_at.append(self._policy.clock.now())
        log.log(
            logging.WARNING if number <= MAX_LOSSES_LOGGED else logging.DEBUG,
            "An association was lost with an image: %s%s",
            reason.text,
            ". Further ones are not logged" if number == MAX_LOSSES_LOGGED else "",
        )

    def _store(
        self,
        assoc: StorageAssociation,
        instance: SOPInstance,
        history: History,
        mode: ConversionMode,
    ) -> Outcome:
        """Send an image as it is or, where it must be or `mode` wants it, converted."""
        own = _context_of(instance)
        candidates = ways(own, mode)
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
        """Convert an image; return why that failed, None if it cannot be compressed."""
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
        if not outcome.may_pass:
            self._trouble.note_success()
        transfer = replace(
            outcome.result.transfer, seconds=seconds, transfer_syntax_uid=syntax, size=size
        )
        remarks = (*instance.remarks, *outcome.result.remarks)
        return replace(outcome, result=replace(outcome.result, transfer=transfer, remarks=remarks))


def _with_remark(outcome: Outcome, remark: Reason) -> Outcome:
    """Return an outcome with one more remark, before its others."""
    result = outcome.result
    return replace(outcome, result=replace(result, remarks=(remark, *result.remarks)))


def _request_of(
    assoc: StorageAssociation, instance: SOPInstance, history: History, seconds: float
) -> str:
    """Return what tells a C-STORE request from others in a log, and how long it took."""
    uid, tries = shown(instance.sop_instance_uid), history.tries + 1
    return f"C-STORE of {uid}, association {assoc.number}, try {tries}, {seconds * 1000:.1f} ms"


def _context_of(instance: SOPInstance) -> Context:
    return Context(instance.sop_class_uid, instance.transfer_syntax_uid)


def _describe(context: Context) -> str:
    return f"{name_of(context.abstract_syntax)} in {name_of(context.transfer_syntax)}"
