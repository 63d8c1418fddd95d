"""Associations with one peer, as many at once as it takes."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from threading import Thread

from ..reasons import Kind, Reason
from ..retry import DEFAULT_POLICY, RetryBudget, RetryPolicy
from .assign import Waiter
from .association import StorageAssociation
from .contexts import Context, ContextPlan
from .errors import NoAssociationError
from .limit import AssociationLimit
from .opener import Opener
from .pool_state import PoolState, Waiting
from .throttle import Throttle
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .tls import TLSContext
from .types import ConversionMode, PeerAE

RUN_ENDED = Reason(Kind.NOT_REACHED)


class AssociationPool:
    """Lends associations to threads, first come first served.

    What to do is decided under a lock, and done outside of it. Associations are opened on threads
    of their own: who waits for one that is long in coming takes one that comes back before. One
    that was not proposed what is needed next is replaced by one that is proposed all contexts
    seen so far.
    """

    def __init__(
        self,
        peer: PeerAE,
        associations: int,
        budget: RetryBudget,
        tls_context: TLSContext | None = None,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        policy: RetryPolicy = DEFAULT_POLICY,
        throttle: Throttle | None = None,
        conversion: ConversionMode = ConversionMode.WHEN_NEEDED,
        max_images: int = 0,
    ) -> None:
        """Open no more than so many `associations` with `peer` at once.

        While there is none, one is requested with the waits of `policy` until `budget` is spent.
        All of them write together as fast as the `throttle` allows. What is proposed for images
        depends on their `conversion`. One over which `max_images` were sent is released, and
        another one opened for the next image; 0 is for no limit.
        """
        limit = AssociationLimit(associations, timeouts.limit)
        self._clock = policy.clock
        self._state = PoolState(limit, policy.clock, ContextPlan(conversion), max_images)
        self._changed = self._state.changed
        self._opener = Opener(self._state, peer, budget, tls_context, timeouts, policy, throttle)

    def __repr__(self) -> str:
        """Show its state: how many associations there are, and how many threads wait."""
        with self._changed:
            return f"<AssociationPool: {self._state}>"

    @contextmanager
    def association(
        self, wanted: Context, opened_after: float = -inf, *, alone: bool = False
    ) -> Iterator[StorageAssociation]:
        """Lend an association in which `wanted` was proposed, and `alone` no other SOP class.

        It is one opened later than `opened_after`, on the clock of the policy: of
        those from before a loss more may be lost. If the block raises anything, the
        association is aborted. Raises NoAssociationError if there is none and none can
        be opened.
        """
        state, waiting = self._state, Waiting(Waiter(wanted, opened_after, alone))
        self._take(waiting)
        assoc = waiting.assoc
        is_intact = False
        try:
            yield assoc
            is_intact = not state.is_over
        finally:
            if not is_intact:
                assoc.abort()
            with self._changed:
                state.lent.remove(assoc)
                if is_intact:
                    state.idle.append(assoc)
                openings = state.serve()
            self._opener.start(openings)

    @property
    def contexts(self) -> Mapping[Context, bool]:
        """The presentation contexts that were proposed, and whether they were accepted."""
        with self._changed:
            return dict(self._state.contexts)

    @property
    def open_associations(self) -> int:
        """How many associations there are."""
        with self._changed:
            return len(self._state.idle) + len(self._state.lent)

    @property
    def recovered_at(self) -> float:
        """When there last was an association again after there was none, on the pool's clock."""
        return self._state.recovered_at

    @property
    def gone(self) -> Reason | None:
        """Why no association is lent any more, None while there may be one."""
        return self._state.gone

    def give_up(self, reason: Reason) -> None:
        """Lend no association any more."""
        with self._changed:
            self._state.gone = self._state.gone or reason
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until the peer is given up."""
        with self._changed:
            self._clock.wait_for(self._changed, lambda: bool(self._state.gone), seconds)

    def close(self) -> None:
        """Release the associations, and abort what is on its way."""
        self._end(StorageAssociation.release)

    def abort(self) -> None:
        """Abort all associations, those that are lent as well."""
        self._end(StorageAssociation.abort)

    def _end(self, end: Callable[[StorageAssociation], None]) -> None:
        state = self._state
        with self._changed:
            state.tell_limit()
            state.is_over = True
            self.give_up(RUN_ENDED)
            aborted = [opening.assoc for opening in state.openings if opening.assoc]
            if end is StorageAssociation.abort:
                aborted += state.lent
            idle, state.idle = state.idle, []
        _on_all(aborted, StorageAssociation.abort)
        _on_all(idle, end)

    def _take(self, waiting: Waiting) -> None:
        """Wait until served. Raises NoAssociationError, or what failed unexpectedly."""
        state = self._state
        with self._changed:
            state.waiting.append(waiting)
            openings = state.serve()
            if not waiting.is_served:
                state.plan.include(waiting.needs.wanted, alone=waiting.needs.alone)
        self._opener.start(openings)
        with self._changed:
            try:
                while not waiting.is_served:
                    if state.crash:
                        raise state.crash
                    if state.gone:
                        raise NoAssociationError(state.gone)
                    self._changed.wait()
            finally:
                if not waiting.is_served:
                    state.waiting.remove(waiting)


def _on_all(
    assocs: Collection[StorageAssociation], end: Callable[[StorageAssociation], None]
) -> None:
    """End associations at the same time, as each may take its timeout."""
    threads = [Thread(target=end, args=(assoc,), daemon=True) for assoc in assocs]
    for thread in threads:
        try:
            thread.start()
        except RuntimeError:  # there are as many threads as there may be
            thread.run()
    for thread in threads:
        if thread.ident:
            thread.join()
