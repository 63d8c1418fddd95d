"""Decides which thread gets which association, and which one to open, without locks or I/O."""

from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import Any, NamedTuple, Protocol

from .contexts import Context


class Waiter(NamedTuple):
    """The needs of a thread that waits for an association in which a context was proposed.

    The association must be opened later than `opened_after`, on the clock of the pool; if no other
    can be opened, a later answer is enough. With `alone`, no other SOP class may be proposed in it.
    With a `study`, only images of that study go over it.
    """

    wanted: Context
    opened_after: float = -inf
    alone: bool = False
    study: str = ""


class Idle(Protocol):
    """An unused association."""

    @property
    def proposed(self) -> Sequence[Context]:
        """The proposed contexts."""

    @property
    def opened_at(self) -> float:
        """Time on the clock of the pool."""

    @property
    def answered_at(self) -> float:
        """Time of the latest answer on the clock of the pool, -inf if there is none."""

    @property
    def study(self) -> str:
        """Study Instance UID of the only study that it is for, empty if it is for all."""


class Lend(NamedTuple):
    """Lend an idle association to a waiter; both are indices."""

    waiter: int
    idle: int


class Open(NamedTuple):
    """Open an association for a waiter, as a replacement of an idle one or in addition."""

    waiter: int
    replaced: int | None


Decision = Lend | Open


def assign(
    waiters: Sequence[Waiter],
    associations: Sequence[Idle],
    is_alive: Callable[[Any], bool],
    *,
    lent: int = 0,
    opening: int = 0,
    limit: int = 1,
    is_parallel: bool = False,
    studies: Collection[str] = (),
    may_split: bool = False,
) -> list[Decision]:
    """Decide for each waiter, in their order. A waiter without a decision continues to wait.

    Each association that is being opened is for one waiter, which may take an earlier one. An idle
    association that is not alive can only be replaced. `is_alive` makes a system call, so it is
    called last. `lent` and `opening` are numbers of associations, `limit` is their maximum.

    Until the peer has shown that it `is_parallel`, serving several associations at the same time,
    an idle one that does not fit is replaced: the peer might not answer until it is released.

    `studies` have an association that is lent or being opened. A study waits for its association,
    and for room: no association of another study is replaced while it is alive, unless the pool
    `may_split` studies.
    """
    decisions: list[Decision] = []
    busy = set(studies)
    idle = list(range(len(associations)))
    coming = opening
    for number, waiter in enumerate(waiters):
        has_room = len(idle) + lent + opening < limit
        is_full = not (has_room or opening)
        for one in idle:
            if _fits(associations[one], waiter, is_full=is_full) and is_alive(associations[one]):
                decisions.append(Lend(number, one))
                idle.remove(one)
                busy |= {waiter.study} - {""}
                lent += 1
                break
        else:
            if waiter.study in busy:
                continue
            if not waiter.study and coming and (lent or not idle):
                coming -= 1
            elif idle or has_room:
                keeps = has_room and is_parallel
                unfit = [(one, associations[one]) for one in idle]
                splits = not has_room and (may_split or not waiter.study)
                replaced = _replaceable(unfit, waiter, is_alive, keeps=keeps, splits=splits)
                if replaced is None and not has_room:
                    continue
                busy |= {waiter.study} - {""}
                decisions.append(Open(number, replaced))
                if replaced is not None:
                    idle.remove(replaced)
                opening += 1
    return decisions


def _replaceable(
    idle: Sequence[tuple[int, Idle]],
    waiter: Waiter,
    is_alive: Callable[[Any], bool],
    *,
    keeps: bool,
    splits: bool,
) -> int | None:
    """Return the idle association to replace, None if there is none or no need.

    One that is alive is replaced unless the pool `keeps` it. One of a study is replaced only for an
    image of the same study, or if the pool `splits` studies.
    """
    for one, assoc in idle:
        if (waiter.study and assoc.study == waiter.study) or not is_alive(assoc):
            return one
    if keeps:
        return None
    found = sorted((bool(assoc.study), one) for one, assoc in idle if splits or not assoc.study)
    return found[0][1] if found else None


def _fits(association: Idle, waiter: Waiter, *, is_full: bool) -> bool:
    """Return whether an association meets the needs of a waiter."""
    wanted, opened_after, alone, study = waiter
    return (
        (
            association.opened_at > opened_after
            or (is_full and association.answered_at > opened_after)
        )
        and association.study == study
        and wanted in association.proposed
        and not (
            alone
            and any(one.abstract_syntax != wanted.abstract_syntax for one in association.proposed)
        )
    )
