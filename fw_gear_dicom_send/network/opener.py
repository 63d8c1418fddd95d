"""Opens the associations of a pool, and learns how many the peer allows."""

import logging
from collections.abc import Iterable
from functools import partial
from threading import Thread

from ..delivery.blame import given_up
from ..reasons import Kind, Reason
from ..retry import RetryBudget, RetryPolicy, retry
from ..values import frozen
from .association import StorageAssociation
from .context_limit import open_with_fitting_contexts
from .errors import (
    AssociationError,
    NoAnswerError,
    NoAssociationError,
    NoConnectionError,
    TemporaryError,
)
from .pool_state import Opening, PoolState
from .transport import Transport
from .types import PeerAE

log = logging.getLogger(__name__)

_MAX_TRIES, _MAX_TRIES_TO_REPLACE = 3, 5


@frozen
class Opener:
    """Opens each association on a separate thread, and records the outcome in `state`.

    While no association is open, one is requested with the waits of `policy` until `budget` is
    spent.
    """

    state: PoolState
    peer: PeerAE
    budget: RetryBudget
    transport: Transport
    policy: RetryPolicy

    def start(self, openings: Iterable[Opening]) -> None:
        """Open associations. The caller must not hold the lock of the state."""
        for opening in openings:
            try:
                Thread(target=self._open, args=(opening,), daemon=True).start()
            except RuntimeError as exc:  # the limit of threads is reached
                self._open_without_thread(opening, str(exc))

    def _open_without_thread(self, opening: Opening, why: str) -> None:
        """Continue with the existing associations, or open the first one on this thread."""
        state = self.state
        with state.changed:
            has_others = state.number > 1
            if has_others:
                state.openings.remove(opening)
                state.limit.lower(state.number, why, self._now())
                state.log_limit()
                state.changed.notify_all()
        if not has_others:
            self._open(opening)
        elif opening.replaced:
            opening.replaced.release()

    def _open(self, opening: Opening) -> None:
        assoc, failure, crash = None, None, None
        try:
            if opening.replaced:
                opening.replaced.release()
            assoc = retry(
                self.policy,
                partial(self._request, opening),
                on=TemporaryError,
                is_temporary=partial(self._is_worth_waiting, opening),
            )
        except AssociationError as exc:
            failure = exc
        except Exception as exc:
            crash = exc
        state = self.state
        with state.changed:
            state.openings.remove(opening)
            state.crash = state.crash or crash
            is_too_late = bool(state.closed_reason)
            if assoc and not is_too_late:
                state.earlier = (*state.idle, *state.lent)
                state.keep(assoc)
                self._note_success(opening)
            elif failure:
                self._note_failure(opening, failure)
            if not state.openings:
                state.log_limit()
            openings = state.serve(new=assoc)
        if assoc and is_too_late:
            assoc.abort()
        self.start(openings)

    def _request(self, opening: Opening) -> StorageAssociation:
        try:
            assoc, limit = open_with_fitting_contexts(partial(self._prepare, opening))
        except OSError as exc:  # the limit of open files is reached
            raise NoConnectionError(Reason(Kind.NO_CONNECTION, exc.strerror or str(exc))) from exc
        with self.state.changed:
            self.state.limit_contexts(limit)
        return assoc

    def _prepare(self, opening: Opening, limit: int) -> StorageAssociation:
        state, needs = self.state, opening.needs
        with state.changed:
            if state.crash:
                raise state.crash
            if state.closed_reason:
                raise NoAssociationError(state.closed_reason)
            contexts, clock = state.contexts_for(needs, limit), self.policy.clock
            assoc = StorageAssociation(self.peer, contexts, self.transport, clock, needs.study)
            opening.assoc = assoc
        return assoc

    def _is_worth_waiting(self, opening: Opening, failure: TemporaryError) -> bool:
        """Return whether to retry a failed opening.

        With other associations open, it is retried a few times: the peer may still count the
        association that was replaced. Of several further ones, a single opening is retried.
        Without any association, a single opening continues to retry.
        """
        state = self.state
        with state.changed:
            opening.tries += 1
            if state.idle or state.lent:
                is_further = state.is_refused and not (opening.replaced or opening.refusal)
                if opening.is_extra or is_further:
                    return False
                opening.refusal = str(failure)
                tries = _MAX_TRIES_TO_REPLACE if opening.replaced else _MAX_TRIES
                return opening.tries < tries and not isinstance(failure, NoAnswerError)
            if state.down_since is None:
                state.down_since = self._now()
            if state.closed_reason or len(state.openings) > 1 or self.budget.is_spent():
                return False
            if not opening.is_logged:
                opening.is_logged = True
                log.warning(
                    "No association: %s. Retrying for up to %.0f s",
                    failure,
                    self.budget.seconds,
                )
            return True

    def _note_success(self, opening: Opening) -> None:
        """Record an opened association, which ends an outage or raises the limit."""
        state = self.state
        if state.down_since is not None:
            if opening.is_logged:
                seconds = self._now() - state.down_since
                log.info("Association restored after %.0f s", seconds)
            state.down_since = None
            state.recovered_at = self._now()
            state.limit.reset()
        elif opening.is_extra or (opening.refusal and state.limit.refusal):
            state.limit.raise_to(state.number)

    def _note_failure(self, opening: Opening, failure: AssociationError) -> None:
        """Limit the pool to the existing associations, or give up the peer if there are none."""
        state = self.state
        if state.idle or state.lent:
            if opening.is_extra:
                state.limit.note_refusal(str(failure))
            else:
                state.limit.lower(state.number, str(failure), self._now())
        elif not isinstance(failure, TemporaryError):
            state.closed_reason = state.closed_reason or failure.reason
        elif self.budget.is_spent():
            state.closed_reason = state.closed_reason or given_up(self.budget, failure.reason)

    def _now(self) -> float:
        return self.policy.clock.now()
