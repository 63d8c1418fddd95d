"""Pool of associations with one peer, as many as it allows."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from threading import Thread, local

from ..delivery.results import RUN_ENDED
from ..option_values import ConversionMode
from ..reasons import Reason
from ..retry import DEFAULT_POLICY, RetryBudget, RetryPolicy
from .assign import Waiter
from .association import StorageAssociation
from .contexts import Context, ContextPlan
from .errors import NoAssociationError
from .limit import AssociationLimit
from .opener import Opener
from .pool_state import Opening, PoolState, Waiting
from .transport import DEFAULT_TRANSPORT, Transport
from .types import PeerAE


class AssociationPool:
    """Pool that lends associations to threads, first come first served.

    Decisions are made under a lock, and carried out without it. Associations are opened on
    separate threads, so that a waiting thread can take an association that is returned meanwhile.
    An association that lacks the next presentation context is replaced by one for which all
    contexts seen so far are proposed.
    """

    def __init__(
        self,
        peer: PeerAE,
        associations: int,
        budget: RetryBudget,
        transport: Transport = DEFAULT_TRANSPORT,
        *,
        policy: RetryPolicy = DEFAULT_POLICY,
        conversion: ConversionMode = ConversionMode.WHEN_NEEDED,
        max_images: int = 0,
        expected: int = 0,
    ) -> None:
        """Prepare a pool of up to `associations` with `peer`.

        While no association is open, one is requested with the waits of `policy` until `budget`
        is spent. `conversion` decides which contexts are proposed for images. After `max_images`,
        an association is released and a new one opened for the next image; 0 means no limit.
        A peer that allows fewer than `expected`, by default all, deserves a warning.
        """
        expected = expected or associations
        limit = AssociationLimit(associations, transport.timeouts.limit, expected)
        self._clock = policy.clock
        self._conversion = conversion
        self._thread = local()
        self._max_idle = transport.timeouts.idle
        self._state = PoolState(limit, policy.clock, ContextPlan(conversion), max_images)
        self._changed = self._state.changed
        self._opener = Opener(self._state, peer, budget, transport, policy)

    def __repr__(self) -> str:
        """Show the numbers of associations and of waiting threads."""
        with self._changed:
            return f"<AssociationPool: {self._state}>"

    @contextmanager
    def association(
        self,
        wanted: Context,
        opened_after: float = -inf,
        *,
        alone: bool = False,
        study: str = "",
    ) -> Iterator[StorageAssociation]:
        """Lend an association in which `wanted` was proposed.

        With `alone`, no other SOP class was proposed. For an image of any `study`, a thread in
        `for_study` gets the association of its own study. The association was opened later than
        `opened_after`, on the clock of the policy: after a loss, older associations may be lost
        too. If the peer allows no more, one with a later answer is lent. If the block raises an
        exception, the association is aborted. Raises NoAssociationError if no association is open
        and none can be opened.
        """
        state = self._state
        own = getattr(self._thread, "study", "") if study else ""
        waiting = Waiting(Waiter(wanted, opened_after, alone, own))
        self._take(waiting)
        assoc = waiting.assoc
        if study and state.is_by_study:
            state.note_study(study, assoc.number)
        is_intact = False
        try:
            yield assoc
            is_intact = not state.is_over
        finally:
            if not is_intact:
                assoc.abort()
            with self._changed:
                state.lent.remove(assoc)
                # The peer may not answer those that are being opened: they replace no others.
                number = len(state.idle) + len(state.lent)
                is_surplus = is_intact and number >= state.useful
                if is_intact and not is_surplus:
                    state.idle.append(assoc)
                    state.is_parallel = state.is_parallel or assoc in state.earlier
                openings = state.serve()
            self._opener.start(openings)
            if is_surplus:
                assoc.release()

    def adopt(self, assoc: StorageAssociation) -> None:
        """Lend an association that is already open; other associations propose its contexts too."""
        state = self._state
        with self._changed:
            state.keep(assoc)
            for context in assoc.proposed[:-1]:
                state.plan.include(context)

    @contextmanager
    def for_study(self, study: str, wanted: Iterable[Context]) -> Iterator[None]:
        """Send the images of this thread over an association of a study while the block runs.

        `wanted` are the contexts of the images. At the end the association is released.
        """
        state, plan = self._state, ContextPlan(self._conversion)
        for context in wanted:
            plan.include(context)
        with self._changed:
            plan.limit_to(state.plan.limit)
            state.studies[study] = plan
            state.is_by_study = True
        self._thread.study = study
        try:
            yield
        finally:
            self._thread.study = ""
            with self._changed:
                del state.studies[study]
                ended = [assoc for assoc in state.idle if assoc.study == study]
                state.idle = [assoc for assoc in state.idle if assoc.study != study]
                state.lent += ended
            _on_all(ended, StorageAssociation.release)
            with self._changed:
                state.lent = [assoc for assoc in state.lent if assoc not in ended]
                openings = state.serve()
            self._opener.start(openings)

    @property
    def split_studies(self) -> tuple[str, ...]:
        """Study Instance UIDs of the studies that went over several associations."""
        with self._changed:
            return tuple(self._state.split_studies)

    @property
    def contexts(self) -> Mapping[Context, bool]:
        """The proposed presentation contexts, and whether they were accepted."""
        with self._changed:
            return dict(self._state.contexts)

    @property
    def open_associations(self) -> int:
        """Number of open associations."""
        with self._changed:
            return len(self._state.idle) + len(self._state.lent)

    @property
    def peak(self) -> int:
        """Largest number of open associations so far."""
        return self._state.peak

    @property
    def is_limited(self) -> bool:
        """Whether the peer allows fewer associations than were requested."""
        return bool(self._state.limit.refusal)

    @property
    def recovered_at(self) -> float:
        """Time of the latest first association after an outage, on the pool's clock."""
        return self._state.recovered_at

    @property
    def is_away(self) -> bool:
        """Whether the peer accepts no association now."""
        return self._state.down_since is not None

    @property
    def closed_reason(self) -> Reason | None:
        """The reason why the pool lends no more associations, None while it does."""
        return self._state.closed_reason

    def give_up(self, reason: Reason) -> None:
        """Lend no more associations."""
        with self._changed:
            self._state.closed_reason = self._state.closed_reason or reason
            self._changed.notify_all()

    def note_unserved(self, reason: Reason) -> None:
        """Record that the peer accepted one more association, but never answered on it.

        As after a rejection, the pool is limited to those on which it answers.
        """
        state = self._state
        with self._changed:
            alive = (*state.lent, *(assoc for assoc in state.idle if assoc.is_usable))
            number = sum(assoc.answered_at > -inf for assoc in alive)
            if 0 < number < state.limit.number and not state.is_over:
                state.limit.lower(number, reason.text, self._clock.now())

    def wait(self, seconds: float) -> None:
        """Wait, but stop as soon as the pool gives up the peer."""
        with self._changed:
            self._clock.wait_for(self._changed, lambda: bool(self._state.closed_reason), seconds)

    def trim(self, number: int) -> None:
        """Release associations beyond `number` when they are returned."""
        self._state.useful = number

    def close(self) -> None:
        """Release the idle associations, and abort those that are being opened."""
        self._end(StorageAssociation.release)

    def abort(self) -> None:
        """Abort all associations, including those that are lent."""
        self._end(StorageAssociation.abort)

    def _end(self, end: Callable[[StorageAssociation], None]) -> None:
        state = self._state
        with self._changed:
            state.log_limit()
            state.is_over = True
            self.give_up(RUN_ENDED)
            aborted = [opening.assoc for opening in state.openings if opening.assoc]
            if end is StorageAssociation.abort:
                aborted += state.lent
            idle, state.idle = state.idle, []
        _on_all(aborted, StorageAssociation.abort)
        _on_all(idle, end)

    def _take(self, waiting: Waiting) -> None:
        """Wait until served. Raises NoAssociationError, or an unexpected error of an opening."""
        state = self._state
        openings: list[Opening] | None
        with self._changed:
            state.waiting.append(waiting)
            openings = state.serve()
            if not waiting.is_served:
                state.contexts_for(waiting.needs)
        while openings is not None:
            self._opener.start(openings)
            openings = self._wait(waiting)

    def _wait(self, waiting: Waiting) -> list[Opening] | None:
        """Wait until served, or return openings that end a deadlock.

        The owner of an idle association of a study may wait for the thread of another study, for
        example if both send images of one patient. Such an association is replaced.
        """
        state = self._state
        with self._changed:
            try:
                while not waiting.is_served:
                    if state.crash:
                        raise state.crash
                    if state.closed_reason:
                        raise NoAssociationError(state.closed_reason)
                    is_active = self._changed.wait(self._max_idle)
                    if not (is_active or waiting.is_served or state.lent or state.openings):
                        return state.serve(may_split=True)
            except BaseException:
                state.waiting.remove(waiting)
                raise
        return None


def _on_all(
    assocs: Collection[StorageAssociation], end: Callable[[StorageAssociation], None]
) -> None:
    """End associations in parallel, as each may take up to its timeout."""
    threads = [Thread(target=end, args=(assoc,), daemon=True) for assoc in assocs]
    for thread in threads:
        try:
            thread.start()
        except RuntimeError:  # the limit of threads is reached
            thread.run()
    for thread in threads:
        if thread.ident:
            thread.join()
