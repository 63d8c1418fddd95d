"""The state of a pool of associations, and what is decided by it."""

from dataclasses import dataclass, field
from math import inf
from threading import Condition

from ..reasons import Reason
from ..retry import MonotonicClock
from .assign import Idle, Lend, Open, Situation, Waiter, assign, fits
from .association import StorageAssociation
from .contexts import Context, ContextPlan
from .limit import AssociationLimit


@dataclass(eq=False)
class Waiting:
    """A thread that waits; it is served with `assoc`."""

    needs: Waiter
    is_served: bool = False
    assoc: StorageAssociation = field(init=False)


@dataclass(eq=False)
class Opening:
    """An association on its way; one that `is_extra` is one more than the peer gave before.

    `tries` have failed, the latest with `refusal`; `is_told` is whether the log says so.
    """

    needs: Waiter
    replaced: StorageAssociation | None
    is_extra: bool
    assoc: StorageAssociation | None = None
    tries: int = 0
    refusal: str = ""
    is_told: bool = False


@dataclass(eq=False)
class PoolState:
    """The mutable state of a pool, all of it; it is changed with the lock of `changed`.

    There are threads that wait, and associations that are idle, lent or on their way. There is no
    association since `down_since`, unless that is None, and there was one again at `recovered_at`.
    `gone` is why none is lent any more, `crash` what failed unexpectedly; `is_over` tells that
    those that are lent end when they come back. One over which `max_images` were sent, unless that
    is 0, is lent no more: it can only be replaced, and is released then.
    """

    limit: AssociationLimit
    clock: MonotonicClock
    plan: ContextPlan
    max_images: int = 0
    changed: Condition = field(default_factory=Condition)
    waiting: list[Waiting] = field(default_factory=list)
    idle: list[StorageAssociation] = field(default_factory=list)
    lent: list[StorageAssociation] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    contexts: dict[Context, bool] = field(default_factory=dict)
    down_since: float | None = None
    recovered_at: float = -inf
    gone: Reason | None = None
    crash: Exception | None = None
    is_over: bool = False

    def __str__(self) -> str:
        """Say how many associations there are, and how many threads wait."""
        refusal = self.limit.refusal
        return (
            f"{len(self.idle)} idle, {len(self.lent)} lent, "
            f"{len(self.openings)} opening, {len(self.waiting)} waiting"
            f"{', no association' if self.down_since is not None else ''}"
            f"{f', limited to {self.limit.number}: {refusal}' if refusal else ''}"
            f"{f', given up: {self.gone.text}' if self.gone else ''}"
        )

    @property
    def number(self) -> int:
        """How many associations there are, with those on their way."""
        return len(self.idle) + len(self.lent) + len(self.openings)

    def serve(self, new: StorageAssociation | None = None) -> list[Opening]:
        """Give those who wait what there is; return what the caller has to open for the others.

        A `new` association is given out even if it is lost already: who uses it learns that, and
        decides how often to try again.
        """
        openings: list[Opening] = []
        waiting, idle = self.waiting.copy(), self.idle.copy()
        is_open = waiting and not (self.gone or self.crash)
        if is_open and not self._lend_to_the_only_one(new):
            for decision in assign(self._situation(new)):
                served = waiting[decision.waiter]
                match decision:
                    case Lend():
                        self._lend(served, idle[decision.idle])
                    case Open():
                        replaced = None if decision.replaced is None else idle[decision.replaced]
                        openings.append(self._note_opening(served.needs, replaced))
        self.changed.notify_all()
        return openings

    def _lend_to_the_only_one(self, new: StorageAssociation | None) -> bool:
        """Decide as `assign` does where one thread waits, and look at no more than it takes."""
        if len(self.waiting) > 1:
            return False
        (waiting,) = self.waiting
        for assoc in self.idle:
            if fits(self._view(assoc, new), waiting.needs):
                self._lend(waiting, assoc)
                return True
        return False

    def _lend(self, waiting: Waiting, assoc: StorageAssociation) -> None:
        waiting.assoc = assoc
        waiting.is_served = True
        self.waiting.remove(waiting)
        self.idle.remove(assoc)
        self.lent.append(assoc)

    def tell_limit(self) -> None:
        """Say once that the peer gives fewer associations than were requested."""
        number = len(self.idle) + len(self.lent)
        pending = (opening.refusal for opening in self.openings if opening.refusal)
        refusal = self.limit.refusal or next(pending, "")
        if refusal and number and not self.gone:
            self.limit.tell(number, refusal)

    def _situation(self, new: StorageAssociation | None) -> Situation:
        may_ask = not self.openings and self.limit.may_ask(self.clock.now())
        return Situation(
            [one.needs for one in self.waiting],
            [self._view(one, new) for one in self.idle],
            len(self.lent),
            len(self.openings),
            self.limit.number + may_ask,
            self.down_since is not None,
        )

    def _note_opening(self, needs: Waiter, replaced: StorageAssociation | None) -> Opening:
        if replaced:
            self.idle.remove(replaced)
        is_extra = self.number >= self.limit.number
        if is_extra:
            self.limit.note_request(self.clock.now())
        opening = Opening(needs, replaced, is_extra)
        self.openings.append(opening)
        return opening

    def _view(self, assoc: StorageAssociation, new: StorageAssociation | None) -> Idle:
        """Return what is decided by; one that accepted nothing is lent, if only to learn that."""
        has_room = not self.max_images or assoc.images < self.max_images
        is_alive = has_room and (assoc is new or assoc.is_usable or not assoc.accepted)
        return Idle(assoc.proposed, assoc.opened_at, is_alive)
