"""Associations with one peer, as many at once as it takes."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import inf
from ssl import SSLContext
from threading import Condition, Thread

from ..reasons import Kind, Reason
from ..retry import DEFAULT_POLICY, RetryBudget, RetryPolicy, retry
from .association import StorageAssociation
from .contexts import Context, ContextPlan
from .errors import AssociationError, NoAnswerError, NoAssociationError, TemporaryError
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .types import PeerAE

log = logging.getLogger(__name__)

RUN_ENDED = Reason(Kind.NOT_REACHED)

_MAX_TRIES, _MAX_TRIES_TO_REPLACE = 3, 5


@dataclass(eq=False)
class _Waiter:
    """A thread that waits for an association or, where none is `wanted`, for a place.

    It is served with `assoc`, or with a place for which those `replaced` have to make room.
    """

    wanted: Context | None
    opened_after: float = -inf
    is_served: bool = False
    assoc: StorageAssociation = field(init=False)
    replaced: list[StorageAssociation] = field(default_factory=list)


@dataclass(eq=False)
class _Opening:
    """An association on its way; `assoc` is at first the one that it replaces."""

    wanted: Context
    is_replacement: bool
    assoc: StorageAssociation | None
    tries: int = 0
    refusal: str = ""


class AssociationPool:
    """Lends associations to threads, first come first served.

    They are opened on threads of their own, when somebody waits and there are fewer
    than `most`: who waits for one that is long in coming takes one that comes back
    before. One that was not proposed what is needed next is replaced by one that is
    proposed all contexts seen so far.
    """

    def __init__(
        self,
        peer: PeerAE,
        most: int,
        budget: RetryBudget,
        ssl_context: SSLContext | None = None,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        policy: RetryPolicy = DEFAULT_POLICY,
    ) -> None:
        """Open no more than `most` associations with `peer` at once.

        While there is none, one is requested with the waits of `policy` until `budget` is spent.
        """
        self._peer = peer
        self._budget = budget
        self._timeouts = timeouts
        self._policy = policy
        self._ssl_context = ssl_context
        self._most = self._wished = most
        self._plan = ContextPlan()
        self._idle: list[StorageAssociation] = []
        self._lent: list[StorageAssociation] = []
        self._places = 0
        self._openings: list[_Opening] = []
        self._waiters: list[_Waiter] = []
        self._refusal = ""
        self._is_down = False
        self._is_limit_told = False
        self._gone: Reason | None = None
        self._is_over = False
        self._contexts: dict[Context, bool] = {}
        self._crash: Exception | None = None
        self._changed = Condition()

    def __repr__(self) -> str:
        """Show its state: how many associations there are, and how many threads wait."""
        with self._changed:
            return (
                f"<AssociationPool: {len(self._idle)} idle, {len(self._lent)} lent, "
                f"{len(self._openings)} opening, {len(self._waiters)} waiting"
                f"{', no association' if self._is_down else ''}"
                f"{f', limited: {self._refusal}' if self._refusal else ''}"
                f"{f', given up: {self._gone.text}' if self._gone else ''}>"
            )

    @contextmanager
    def association(
        self, wanted: Context, opened_after: float = -inf
    ) -> Iterator[StorageAssociation]:
        """Lend an association in which `wanted` was proposed.

        It is one opened later than `opened_after`, on the clock of the policy: of
        those from before a loss more may be lost. If the block raises anything, the
        association is aborted. Raises NoAssociationError if there is none and none can
        be opened.
        """
        waiter = _Waiter(wanted, opened_after)
        self._take(waiter)
        assoc = waiter.assoc
        is_intact = False
        try:
            yield assoc
            is_intact = not self._is_over
        finally:
            if not is_intact:
                assoc.abort()
            with self._changed:
                self._lent.remove(assoc)
                if is_intact:
                    self._idle.append(assoc)
                self._serve()

    @contextmanager
    def place(self) -> Iterator[Callable[[str], None]]:
        """Keep the place of one association free, for one that the block opens by itself.

        An idle one makes room if there are as many as there may be, and all do if none is
        in use: they would only take turns with it. Where none is lent any more there is room.
        The block gets what it has to call with the peer's words if it is refused all the same.
        """
        waiter = _Waiter(wanted=None)
        try:
            self._take(waiter)
        except NoAssociationError:
            yield lambda _: None
            return
        try:
            _on_all(waiter.replaced, StorageAssociation.release)
            yield self._make_room
        finally:
            with self._changed:
                self._places -= 1
                self._serve()

    @property
    def contexts(self) -> Mapping[Context, bool]:
        """The presentation contexts that were proposed, and whether they were accepted."""
        with self._changed:
            return dict(self._contexts)

    @property
    def open_associations(self) -> int:
        """How many associations there are."""
        with self._changed:
            return len(self._idle) + len(self._lent)

    @property
    def gone(self) -> Reason | None:
        """Why no association is lent any more, None while there may be one."""
        return self._gone

    def give_up(self, reason: Reason) -> None:
        """Lend no association any more."""
        with self._changed:
            self._gone = self._gone or reason
            self._serve()

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until the peer is given up."""
        with self._changed:
            self._policy.clock.wait_for(self._changed, lambda: bool(self._gone), seconds)

    def close(self) -> None:
        """Release the associations, and abort what is on its way."""
        self._end(StorageAssociation.release)

    def abort(self) -> None:
        """Abort all associations, those that are lent as well."""
        self._end(StorageAssociation.abort)

    def _end(self, end: Callable[[StorageAssociation], None]) -> None:
        with self._changed:
            self._tell_limit()
            self._is_over = True
            self.give_up(RUN_ENDED)
            coming = [opening.assoc for opening in self._openings if opening.assoc]
            if end is StorageAssociation.abort:
                coming += self._lent
            idle = self._idle.copy()
            self._idle.clear()
        _on_all(coming, StorageAssociation.abort)
        _on_all(idle, end)

    def _take(self, waiter: _Waiter) -> None:
        with self._changed:
            self._waiters.append(waiter)
            self._serve()
            try:
                while not waiter.is_served:
                    if self._crash:
                        raise self._crash
                    if self._gone:
                        raise NoAssociationError(self._gone)
                    self._changed.wait()
            finally:
                if not waiter.is_served:
                    self._waiters.remove(waiter)

    def _serve(self, new: StorageAssociation | None = None) -> None:
        """Give what is idle to those who wait, in their order, and open what they lack.

        A `new` association is given out even if it is lost already: who uses it
        learns that, and decides how often to try again.
        """
        on_its_way = len(self._openings)
        for waiter in [] if self._gone or self._crash else self._waiters.copy():
            if not waiter.wanted:
                self._give_place(waiter)
                continue
            self._plan.include(waiter.wanted)
            alive = (one for one in self._idle if one is new or _is_alive(one))
            if assoc := next((one for one in alive if _fits(one, waiter)), None):
                self._idle.remove(assoc)
                self._lent.append(assoc)
                self._waiters.remove(waiter)
                waiter.assoc, waiter.is_served = assoc, True
            elif on_its_way and (self._lent or not self._idle):
                on_its_way -= 1
            elif self._idle or self._number < (1 if self._is_down else self._most):
                self._start_opening(waiter.wanted)
        self._changed.notify_all()

    def _give_place(self, waiter: _Waiter) -> None:
        """Give a place if there is one, or that of an idle association."""
        if self._is_down or (self._number >= self._most and not self._idle):
            return
        if not self._lent and self._waiters == [waiter]:
            waiter.replaced, self._idle = self._idle, []
        elif self._number >= self._most:
            waiter.replaced = [self._idle.pop(0)]
        self._places += 1
        self._waiters.remove(waiter)
        waiter.is_served = True

    def _make_room(self, refusal: str) -> None:
        """Release what is idle, as the peer gives no more associations than there are."""
        with self._changed:
            idle, self._idle = self._idle, []
            if idle:
                self._most = min(self._most, len(idle) + len(self._lent))
                self._refusal = self._refusal or refusal
        _on_all(idle, StorageAssociation.release)

    @property
    def _number(self) -> int:
        return len(self._idle) + len(self._lent) + len(self._openings) + self._places

    def _start_opening(self, wanted: Context) -> None:
        """Open an association; it replaces one that has ended or, without room, that is idle."""
        replaced = next((assoc for assoc in self._idle if not _is_alive(assoc)), None)
        if not replaced and self._number >= self._most:
            replaced = self._idle[0]
        if replaced:
            self._idle.remove(replaced)
        opening = _Opening(wanted, bool(replaced), replaced)
        try:
            Thread(target=self._open, args=(opening,), daemon=True).start()
        except RuntimeError as exc:
            self._crash = exc
        else:
            self._openings.append(opening)

    def _open(self, opening: _Opening) -> None:
        assoc, failure, crash = None, None, None
        try:
            if opening.assoc:
                opening.assoc.release()
            assoc = retry(
                self._policy,
                partial(self._request, opening),
                on=TemporaryError,
                is_temporary=partial(self._is_worth_waiting, opening),
            )
        except (AssociationError, OSError) as exc:
            failure = exc
        except Exception as exc:
            crash = exc
        with self._changed:
            self._openings.remove(opening)
            self._crash = self._crash or crash
            is_too_late = bool(self._gone)
            # What has a place may need this one, that nobody waits for.
            is_in_the_way = bool(self._places) and not self._waiters
            if assoc:
                self._contexts |= {one: one in assoc.accepted for one in assoc.proposed}
            if assoc and not is_too_late:
                if not is_in_the_way:
                    self._idle.append(assoc)
                self._recover()
            elif failure:
                self._go_on_without(failure)
            if not self._openings:
                self._tell_limit()
            self._serve(new=assoc)
        if assoc and is_too_late:
            assoc.abort()
        elif assoc and is_in_the_way:
            assoc.release()

    def _request(self, opening: _Opening) -> StorageAssociation:
        with self._changed:
            if self._crash:
                raise self._crash
            if self._gone:
                raise NoAssociationError(self._gone)
            contexts = self._plan.include(opening.wanted)
            assoc = StorageAssociation(
                self._peer, contexts, self._ssl_context, self._timeouts, self._policy.clock
            )
            opening.assoc = assoc
        assoc.open()
        return assoc

    def _is_worth_waiting(self, opening: _Opening, failure: Exception) -> bool:
        """Tell whether to ask again.

        One more association is asked for a few times, as the peer may be slow to count, or
        to forget the one that was replaced. Where there is none, one opening goes on asking.
        """
        with self._changed:
            opening.tries += 1
            if self._idle or self._lent:
                opening.refusal = str(failure)
                most = _MAX_TRIES_TO_REPLACE if opening.is_replacement else _MAX_TRIES
                return opening.tries < most and not isinstance(failure, NoAnswerError)
            self._is_down = True
            return len(self._openings) == 1 and not self._budget.is_spent()

    def _recover(self) -> None:
        """Open as many as are wished again, after there was none."""
        if self._is_down:
            self._is_down = False
            self._most = self._wished
            self._refusal = ""

    def _go_on_without(self, failure: AssociationError | OSError) -> None:
        """Open no more than there are; give the peer up where there is none."""
        if self._idle or self._lent:
            self._most = self._number
            self._refusal = self._refusal or str(failure)
        elif not isinstance(failure, TemporaryError):
            self._gone = self._gone or _reason_of(failure)
        elif self._budget.is_spent():
            self._gone = self._gone or given_up(self._budget, failure.reason)

    def _tell_limit(self) -> None:
        """Say once that the peer gives fewer associations than it was asked for."""
        number = len(self._idle) + len(self._lent) + self._places
        pending = (opening.refusal for opening in self._openings if opening.refusal)
        refusal = self._refusal or next(pending, "")
        if refusal and number and not (self._gone or self._is_limit_told):
            self._is_limit_told = True
            log.warning("Going on with %d of %d associations: %s", number, self._wished, refusal)


def given_up(budget: RetryBudget, reason: Reason) -> Reason:
    """Return why a peer is given up: the latest trouble, and for how long there was some."""
    if not budget.seconds:
        return reason
    return Reason(Kind.GIVEN_UP, f"{budget.seconds:.0f} s of trouble: {reason.text}")


def _reason_of(failure: AssociationError | OSError) -> Reason:
    if isinstance(failure, AssociationError):
        return failure.reason
    return Reason(Kind.NO_CONNECTION, str(failure))


def _is_alive(assoc: StorageAssociation) -> bool:
    """Tell whether it can be used, if only to learn that nothing was accepted."""
    return assoc.is_usable or not assoc.accepted


def _fits(assoc: StorageAssociation, waiter: _Waiter) -> bool:
    return waiter.wanted in assoc.proposed and assoc.opened_at > waiter.opened_after


def _on_all(
    assocs: Collection[StorageAssociation], end: Callable[[StorageAssociation], None]
) -> None:
    """End associations at the same time, as each may take its timeout."""
    if assocs:
        with ThreadPoolExecutor(len(assocs)) as executor:
            executor.map(end, assocs)
