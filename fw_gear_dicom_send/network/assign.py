"""Decides which thread gets which association, and which one to open, without locks or I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from .contexts import Context


class Waiter(NamedTuple):
    """The needs of a thread that waits for an association in which a context was proposed.

    The association must be opened later than `opened_after`, on the clock of the pool. With
    `alone`, no other SOP class may be proposed in it.
    """

    wanted: Context
    opened_after: float = -inf
    alone: bool = False


class Idle(NamedTuple):
    """An unused association. One that is not alive can only be replaced."""

    proposed: Sequence[Context]
    opened_at: float
    is_alive: bool = True


@dataclass(frozen=True)
class Situation:
    """The waiting threads, in their order, and the associations.

    `lent` and `opening` are numbers of associations, `limit` is their maximum. `is_down` means
    that no association is open, and that the latest request for one failed.
    """

    waiters: Sequence[Waiter]
    idle: Sequence[Idle] = ()
    lent: int = 0
    opening: int = 0
    limit: int = 1
    is_down: bool = False


class Lend(NamedTuple):
    """Lend an idle association to a waiter; both are indices in the situation."""

    waiter: int
    idle: int


class Open(NamedTuple):
    """Open an association for a waiter, as a replacement of an idle one or in addition."""

    waiter: int
    replaced: int | None


Decision = Lend | Open


def assign(now: Situation) -> list[Decision]:
    """Decide for each waiter, in their order. A waiter without a decision continues to wait.

    Each association that is being opened is for one waiter, which may take an earlier one.
    """
    decisions: list[Decision] = []
    idle = list(range(len(now.idle)))
    lent, opening, coming = now.lent, now.opening, now.opening
    limit = 1 if now.is_down else now.limit
    for number, waiter in enumerate(now.waiters):
        has_room = len(idle) + lent + opening < limit
        fit = next((one for one in idle if fits(now.idle[one], waiter)), None)
        if fit is not None:
            decisions.append(Lend(number, fit))
            idle.remove(fit)
            lent += 1
        elif coming and (lent or not idle):
            coming -= 1
        elif idle or has_room:
            replaced = next((one for one in idle if not now.idle[one].is_alive), None)
            if replaced is None and not has_room:
                replaced = idle[0]
            decisions.append(Open(number, replaced))
            if replaced is not None:
                idle.remove(replaced)
            opening += 1
    return decisions


def fits(idle: Idle, waiter: Waiter) -> bool:
    """Return whether an association meets the needs of a waiter."""
    is_new_enough = idle.opened_at > waiter.opened_after
    sop_class = waiter.wanted.abstract_syntax
    is_alone = not waiter.alone or all(one.abstract_syntax == sop_class for one in idle.proposed)
    return idle.is_alive and is_new_enough and is_alone and waiter.wanted in idle.proposed
