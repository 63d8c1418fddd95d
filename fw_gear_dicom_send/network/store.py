"""Sends images to a DICOM server by C-STORE (PS3.4 annex B)."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import count
from math import inf
from ssl import SSLContext
from time import monotonic, perf_counter

import backoff
from pydicom.uid import UID

from ..dicom.types import SOPInstance, Unreadable
from .association import AssociationError, StorageAssociation, StoreResponse
from .contexts import Context, choose
from .patience import Patience
from .pool import RUN_ENDED, AssociationPool, NoAssociationError
from .statuses import describe, fate_of, is_warning
from .types import PeerAE, StoreResult

FEWEST_TRIES = 6
"""How often an image that gets lost, or is refused for want of resources, is sent at least."""

_LONGEST_WAIT = 15.0
_MOST_DOUBLINGS = 5


@dataclass(frozen=True)
class _Outcome:
    """What became of a try to send an image, and whether another may end better."""

    result: StoreResult
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
    ) -> None:
        """Send to `peer`, over no more than so many `associations` at once.

        `convert` changes an image's transfer syntax. `retry_time` is for how many seconds
        to go on without any image being accepted. With `ssl_context`, each association
        uses TLS. If it `is_dry`, all is done but the C-STORE requests, and an image counts
        as sent that could be.
        """
        self._is_dry = is_dry
        self._convert = convert
        self._patience = Patience(retry_time)
        self._pool = AssociationPool(peer, associations, self._patience, ssl_context)

    def send(self, instance: SOPInstance) -> StoreResult:
        """Send one image, and close its dataset; to be called by several threads at once.

        An image that is lost with its association, or refused for want of resources, is
        sent again, on a new association or after a while. Once the retry time is over the
        server is given up: all further images fail at once.
        """
        try:
            return self._send(instance)
        finally:
            instance.dataset.close()

    def place(self) -> AbstractContextManager[Callable[[str], None]]:
        """Keep the place of one association free, as `AssociationPool.place` does."""
        return self._pool.place()

    @property
    def given_up(self) -> str:
        """Why nothing is sent any more, empty while something may be."""
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

    def _send(self, instance: SOPInstance) -> StoreResult:
        began_at, failed_at, lost_at = inf, -inf, -inf
        for number in count(1):
            grown = 2.0 ** min(number, _MOST_DOUBLINGS)
            try:
                with self._pool.association(_context_of(instance), lost_at) as assoc:
                    outcome = self._store(assoc, instance, is_resend=number > 1)
                wait = grown
            except NoAssociationError as exc:
                return StoreResult(False, str(exc), tries=number - 1)
            except AssociationError as exc:
                outcome = _Outcome(StoreResult(False, str(exc)), may_pass=True)
                lost_at = monotonic()
                wait = grown - 2
            if not outcome.may_pass:
                break
            if self._patience.is_over():
                self._pool.give_up(self._patience.explain(outcome.result.remark))
                break
            began_at = min(began_at, monotonic())
            if number >= FEWEST_TRIES and self._patience.is_over_for_one(began_at, failed_at):
                break
            failed_at = monotonic()
            self._pool.wait(backoff.full_jitter(min(wait, _LONGEST_WAIT)))
        return replace(outcome.result, tries=number)

    def _store(
        self, assoc: StorageAssociation, instance: SOPInstance, *, is_resend: bool
    ) -> _Outcome:
        """Send an image as it is or, where it must be, converted."""
        wanted = _context_of(instance)
        context = choose(wanted, assoc.accepted)
        if context is None:
            return _failure(f"the server does not accept {_describe(wanted)}")
        if context == wanted:
            return self._request(assoc, instance, context, is_resend)
        try:
            converted = self._convert(instance, context.transfer_syntax)
        except OSError as exc:
            return _failure(f"the image could not be converted: {exc.strerror or exc}")
        if isinstance(converted, Unreadable):
            return _failure(converted.reason)
        try:
            outcome = self._request(assoc, converted, context, is_resend)
        finally:
            converted.dataset.close()
        change = f"the server takes {_describe(wanted)} only as {_name(context.transfer_syntax)}"
        remark = "; ".join(filter(None, (change, outcome.result.remark)))
        return replace(outcome, result=replace(outcome.result, remark=remark))

    def _request(
        self, assoc: StorageAssociation, instance: SOPInstance, context: Context, is_resend: bool
    ) -> _Outcome:
        syntax = context.transfer_syntax
        if self._is_dry:
            self._patience.renew()
            return _Outcome(StoreResult(True, transfer_syntax_uid=syntax))
        begun = perf_counter()
        try:
            response = assoc.send_c_store(instance, context)
        except OSError as exc:
            return _failure(f"the image could not be read: {exc.strerror or exc}")
        seconds = perf_counter() - begun
        outcome = _judge(response, instance.identifying, is_resend)
        if not outcome.may_pass:
            self._patience.renew()
        result = replace(outcome.result, seconds=seconds, transfer_syntax_uid=syntax)
        return replace(outcome, result=result)


def _failure(reason: str) -> _Outcome:
    return _Outcome(StoreResult(False, reason))


def _judge(response: StoreResponse, identifying: frozenset[str], is_resend: bool) -> _Outcome:
    """Return the outcome, with what the peer says of it."""
    status = response.status
    fate = fate_of(status, is_resend=is_resend)
    if fate.sent and not is_warning(status):
        return _Outcome(StoreResult(True, status=status))
    remark = f"status {describe(status)}"
    if response.offending_elements:
        remark += f", offending elements {' '.join(response.offending_elements)}"
    comment = response.error_comment
    if comment:
        if any(word in comment.lower() for word in identifying):
            comment = "withheld as it may name the patient"
        remark += f", error comment {comment}"
    return _Outcome(
        StoreResult(fate.sent, remark, status=status, error_comment=comment), fate.may_pass
    )


def _context_of(instance: SOPInstance) -> Context:
    return Context(instance.sop_class_uid, instance.transfer_syntax_uid)


def _describe(context: Context) -> str:
    return f"{_name(context.abstract_syntax)} in {_name(context.transfer_syntax)}"


def _name(uid: str) -> str:
    return UID(uid).name
