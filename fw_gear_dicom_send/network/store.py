"""Sends images to a DICOM server by C-STORE (PS3.4 annex B)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from ssl import SSLContext
from time import perf_counter

from ..dicom.privacy import Identity
from ..dicom.types import SOPInstance, Unreadable
from ..dicom.uids import name_of
from ..reasons import Kind, Reason
from ..retry import Retry, RetryBudget, RetryPolicy
from ..text import printable
from .association import StorageAssociation
from .contexts import Context, choose
from .dimse import MAX_ERROR_COMMENT, StoreResponse
from .errors import AssociationError, NoAssociationError
from .opener import given_up
from .pool import RUN_ENDED, AssociationPool
from .statuses import describe, fate_of, is_warning
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .types import NotSent, PeerAE, Planned, Sent, Transfer

MIN_TRIES = 6
"""How often an image that gets lost, or is refused for want of resources, is sent at least."""

RESEND_POLICY = RetryPolicy(min_wait=2, max_wait=15)
"""The waits before an image is resent; the time is that of the retry budget."""


@dataclass(frozen=True)
class _Outcome:
    """What became of a try to send an image, and whether another may end better."""

    result: Sent | Planned | NotSent
    may_pass: bool = False


class StorageSCU:
    """A Storage SCU that opens associations as the images need them."""

    def __init__(
        self,
        peer: PeerAE,
        convert: Callable[[SOPInstance, str], SOPInstance | Unreadable],
        *,
        associations: int = 1,
        retry_time: float = 300,
        ssl_context: SSLContext | None = None,
        is_dry: bool = False,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        policy: RetryPolicy = RESEND_POLICY,
    ) -> None:
        """Send to `peer`, over no more than so many `associations` at once.

        `convert` changes an image's transfer syntax. `retry_time` is for how many seconds
        to go on without any image being accepted. With `ssl_context`, each association
        uses TLS. If it `is_dry`, all is done but the C-STORE requests, and an image is
        planned that could be sent. `policy` has the waits before an image is resent.
        """
        self._is_dry = is_dry
        self._convert = convert
        self._policy = policy
        self._budget = RetryBudget(retry_time, policy.clock)
        self._pool = AssociationPool(
            peer, associations, self._budget, ssl_context, timeouts=timeouts, policy=policy
        )

    def __repr__(self) -> str:
        """Show the state of its pool."""
        return f"<StorageSCU: {self._pool!r}>"

    def send(self, instance: SOPInstance) -> Sent | Planned | NotSent:
        """Send one image, and close its dataset; to be called by several threads at once.

        An image that is lost with its association, or refused for want of resources, is
        sent again, on a new association or after a while. Once the retry time is over the
        server is given up: all further images fail at once.
        """
        try:
            return self._send(instance)
        finally:
            instance.dataset.close()

    @property
    def associations(self) -> AssociationPool:
        """The associations, for queries to ride on."""
        return self._pool

    @property
    def given_up(self) -> Reason | None:
        """Why nothing is sent any more, None while something may be."""
        return self._pool.gone

    @property
    def contexts(self) -> Mapping[Context, bool]:
        """The presentation contexts that were proposed, and whether they were accepted."""
        return self._pool.contexts

    @property
    def open_associations(self) -> int:
        """How many there are."""
        return self._pool.open_associations

    def finish(self) -> None:
        """Let what is being sent come to its end, and send nothing more."""
        self._pool.give_up(RUN_ENDED)

    def close(self) -> None:
        """Release the associations."""
        self._pool.close()

    def abort(self) -> None:
        """Abort the associations, and what is sent over them."""
        self._pool.abort()

    def _send(self, instance: SOPInstance) -> Sent | Planned | NotSent:
        began_at, failed_at, lost_at = inf, -inf, -inf
        attempts, clock = Retry(self._policy), self._policy.clock
        for number in count(1):
            try:
                with self._pool.association(_context_of(instance), lost_at) as assoc:
                    outcome = self._store(assoc, instance, is_resend=number > 1)
                is_lost = False
            except NoAssociationError as exc:
                return NotSent(exc.reason, Transfer(tries=number - 1))
            except AssociationError as exc:
                outcome = _failure(exc.reason, may_pass=True)
                lost_at = clock.now()
                is_lost = True
            result = outcome.result
            if not (outcome.may_pass and isinstance(result, NotSent)):
                break
            if self._budget.is_spent():
                self._pool.give_up(given_up(self._budget, result.reason))
                break
            began_at = min(began_at, clock.now())
            if number >= MIN_TRIES and self._budget.is_spent_for_one(began_at, failed_at):
                break
            failed_at = clock.now()
            wait = attempts.wait_time() or 0
            # The first loss may be that of an idle association, which a new one makes good.
            self._pool.wait(0 if is_lost and number == 1 else wait)
        return replace(result, transfer=replace(result.transfer, tries=number))

    def _store(
        self, assoc: StorageAssociation, instance: SOPInstance, *, is_resend: bool
    ) -> _Outcome:
        """Send an image as it is or, where it must be, converted."""
        wanted = _context_of(instance)
        context = choose(wanted, assoc.accepted)
        if context is None:
            return _failure(Reason(Kind.NOT_ACCEPTED, _describe(wanted)))
        if context == wanted:
            return self._request(assoc, instance, context, is_resend)
        try:
            converted = self._convert(instance, context.transfer_syntax)
        except OSError as exc:
            return _failure(Reason(Kind.NOT_CONVERTED, exc.strerror or str(exc)))
        if isinstance(converted, Unreadable):
            return _failure(converted.reason)
        try:
            outcome = self._request(assoc, converted, context, is_resend)
        finally:
            converted.dataset.close()
        change = f"{_describe(wanted)} only as {name_of(context.transfer_syntax)}"
        remarks = (Reason(Kind.CONVERTED, change), *outcome.result.remarks)
        return replace(outcome, result=replace(outcome.result, remarks=remarks))

    def _request(
        self, assoc: StorageAssociation, instance: SOPInstance, context: Context, is_resend: bool
    ) -> _Outcome:
        syntax = context.transfer_syntax
        if self._is_dry:
            self._budget.restore()
            return _Outcome(Planned(Transfer(transfer_syntax_uid=syntax), instance.remarks))
        begun = perf_counter()
        try:
            response = assoc.send_c_store(instance, context)
        except OSError as exc:
            return _failure(Reason(Kind.NOT_READ, exc.strerror or str(exc)))
        seconds = perf_counter() - begun
        outcome = _judge(response, instance.read_identity, is_resend)
        if not outcome.may_pass:
            self._budget.restore()
        transfer = replace(outcome.result.transfer, seconds=seconds, transfer_syntax_uid=syntax)
        remarks = (*instance.remarks, *outcome.result.remarks)
        return replace(outcome, result=replace(outcome.result, transfer=transfer, remarks=remarks))


def _failure(reason: Reason, *, may_pass: bool = False) -> _Outcome:
    return _Outcome(NotSent(reason), may_pass)


def _judge(
    response: StoreResponse, read_identity: Callable[[], Identity], is_resend: bool
) -> _Outcome:
    """Return the outcome, with what the peer says of it."""
    status = response.status
    fate = fate_of(status, is_resend=is_resend)
    if fate.sent and not is_warning(status):
        return _Outcome(Sent(Transfer(status)))
    detail = describe(status)
    if response.offending_elements:
        detail += f", offending elements {' '.join(response.offending_elements)}"
    comment = response.error_comment
    if comment:
        if read_identity().is_quoted_in(comment):
            comment = "withheld as it may quote the dataset"
        comment = printable(comment[:MAX_ERROR_COMMENT])
        detail += f", error comment {comment}"
    transfer = Transfer(status, comment)
    if fate.sent:
        return _Outcome(Sent(transfer, (Reason(Kind.WARNING, detail),)))
    kind = Kind.OUT_OF_RESOURCES if fate.may_pass else Kind.REFUSED
    return _Outcome(NotSent(Reason(kind, detail), transfer), fate.may_pass)


def _context_of(instance: SOPInstance) -> Context:
    return Context(instance.sop_class_uid, instance.transfer_syntax_uid)


def _describe(context: Context) -> str:
    return f"{name_of(context.abstract_syntax)} in {name_of(context.transfer_syntax)}"
