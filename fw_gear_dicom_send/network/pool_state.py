"""State of a pool of associations, and the decisions that depend on it."""

import logging
from collections.abc import Collection
from math import inf
from threading import Condition

from ..dicom.uids import printable_uid
from ..reasons import Reason
from ..retry import MonotonicClock
from ..values import field, mutable
from .assign import Lend, Open, Waiter, assign
from .association import StorageAssociation
from .contexts import ECHO, MAX_CONTEXTS, Context, ContextPlan
from .limit import AssociationLimit

log = logging.getLogger(__name__)

MAX_SPLITS_LOGGED = 10
"""Maximum number of split studies with a line in the log each."""


@mutable(eq=False)
class Waiting:
    """A waiting thread, which gets `assoc` when it is served."""

    needs: Waiter
    is_served: bool = False
    assoc: StorageAssociation = field(init=False)


@mutable(eq=False)
class Opening:
    """An association that is being opened.

    `is_extra` means that the peer refused this many associations before. `tries` have failed, the
    latest with `refusal`. `is_logged` means that the log shows the failure.
    """

    needs: Waiter
    replaced: StorageAssociation | None
    is_extra: bool
    assoc: StorageAssociation | None = None
    tries: int = 0
    refusal: str = ""
    is_logged: bool = False


@mutable(eq=False)
class PoolState:
    """The complete mutable state of a pool. The lock of `changed` guards it.

    It holds the waiting threads, and the associations that are idle, lent or being opened.
    `down_since` is the start of an outage, None while there is an association. `recovered_at` is
    the end of the latest outage. `closed_reason` is set when the pool lends no more associations.
    `crash` is an unexpected error. `is_over` means that lent associations end when they are
    returned. After `max_images`, an association is not lent again, only replaced and released; 0
    means no limit. More associations than are `useful` are released when they are returned. `peak`
    is the largest number of open ones. `earlier` are the associations that existed when the latest
    one was accepted. If one of them still works, the peer `is_parallel`: it serves several at the
    same time.

    `studies` are being sent, each over an association of its own in which all its contexts are
    proposed. If the run `is_by_study`, `sent_studies` has the number of the first association of
    each study, and `split_studies` needed another one.
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
    closed_reason: Reason | None = None
    crash: Exception | None = None
    useful: float = inf
    peak: int = 0
    earlier: Collection[StorageAssociation] = ()
    is_parallel: bool = False
    is_over: bool = False
    studies: dict[str, ContextPlan] = field(default_factory=dict)
    is_by_study: bool = False
    sent_studies: dict[str, int] = field(default_factory=dict)
    split_studies: dict[str, None] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the numbers of associations and of waiting threads."""
        refusal = self.limit.refusal
        return (
            f"{len(self.idle)} idle, {len(self.lent)} lent, "
            f"{len(self.openings)} opening, {len(self.waiting)} waiting"
            f"{', no association' if self.down_since is not None else ''}"
            f"{f', limited to {self.limit.number}: {refusal}' if refusal else ''}"
            f"{f', given up: {self.closed_reason.text}' if self.closed_reason else ''}"
        )

    @property
    def number(self) -> int:
        """Number of associations, including those that are being opened."""
        return len(self.idle) + len(self.lent) + len(self.openings)

    @property
    def is_refused(self) -> bool:
        """Whether an association that the peer refused is retried."""
        return any(opening.refusal for opening in self.openings)

    def serve(
        self, new: StorageAssociation | None = None, *, may_split: bool = False
    ) -> list[Opening]:
        """Serve the waiting threads; return the openings that the caller must start for the rest.

        A `new` association is lent even if it is already lost. Its user notices the loss, and
        decides how often to retry.
        """
        openings: list[Opening] = []
        if self.waiting and not (self.closed_reason or self.crash):
            waiting, idle = self.waiting.copy(), self.idle.copy()
            decisions = assign(
                [one.needs for one in waiting],
                idle,
                lambda assoc: self._is_alive(assoc, new),
                lent=len(self.lent),
                opening=len(self.openings),
                limit=self._limit(may_request=not may_split),
                is_parallel=self.is_parallel,
                studies=self._busy_studies(),
                may_split=may_split,
            )
            for decision in decisions:
                served = waiting[decision.waiter]
                match decision:
                    case Lend():
                        self._lend(served, idle[decision.idle])
                    case Open():
                        replaced = None if decision.replaced is None else idle[decision.replaced]
                        openings.append(self._note_opening(served.needs, replaced))
        self.changed.notify_all()
        return openings

    def contexts_for(self, needs: Waiter, limit: int = MAX_CONTEXTS) -> tuple[Context, ...]:
        """Return up to `limit` contexts to propose in an association for a waiting thread."""
        plan = self.studies.get(needs.study, self.plan)
        return plan.include(needs.wanted, alone=needs.alone, limit=limit)

    def keep(self, assoc: StorageAssociation) -> None:
        """Keep an open association, and record its contexts."""
        self.contexts |= {one: one in assoc.accepted for one in assoc.proposed if one != ECHO}
        self.idle.append(assoc)
        self.peak = max(self.peak, len(self.idle) + len(self.lent))

    def limit_contexts(self, number: int) -> None:
        """Propose at most `number` contexts from now on."""
        for plan in (self.plan, *self.studies.values()):
            plan.limit_to(number)

    def note_study(self, study: str, association: int) -> None:
        """Record an association for an image of a study. A second one splits the study."""
        with self.changed:
            if self.sent_studies.setdefault(study, association) == association:
                return
            is_new = study not in self.split_studies
            self.split_studies[study] = None
            number = len(self.split_studies)
        if is_new and number <= MAX_SPLITS_LOGGED:
            log.warning("Study %s is split over several associations", printable_uid(study))

    def _busy_studies(self) -> set[str]:
        lent = {assoc.study for assoc in self.lent}
        return (lent | {opening.needs.study for opening in self.openings}) - {""}

    def _lend(self, waiting: Waiting, assoc: StorageAssociation) -> None:
        waiting.assoc = assoc
        waiting.is_served = True
        self.waiting.remove(waiting)
        self.idle.remove(assoc)
        self.lent.append(assoc)

    def log_limit(self) -> None:
        """Log once that the peer allows fewer associations than requested."""
        number = len(self.idle) + len(self.lent)
        pending = (opening.refusal for opening in self.openings if opening.refusal)
        refusal = self.limit.refusal or next(pending, "")
        if refusal and number and not self.closed_reason:
            self.limit.log_once(number, refusal)

    def _limit(self, *, may_request: bool) -> int:
        """Return the maximum number of associations, without more while the peer refuses one.

        It is one as long as none can be opened.
        """
        if self.down_since is not None:
            return 1
        if self.is_refused:
            return self.number
        is_free = may_request and not self.openings
        return self.limit.number + (is_free and self.limit.may_request(self.clock.now()))

    def _note_opening(self, needs: Waiter, replaced: StorageAssociation | None) -> Opening:
        if replaced:
            self.idle.remove(replaced)
        is_extra = self.number >= self.limit.number
        if is_extra:
            self.limit.note_request(self.clock.now())
        opening = Opening(needs, replaced, is_extra)
        self.openings.append(opening)
        return opening

    def _is_alive(self, assoc: StorageAssociation, new: StorageAssociation | None) -> bool:
        """Return whether an idle association can be lent.

        One without accepted contexts can, so that its user learns this.
        """
        has_room = not self.max_images or assoc.images < self.max_images
        return has_room and (assoc is new or assoc.is_usable or not assoc.accepted)
