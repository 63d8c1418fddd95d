"""Decides who gets which association, and which one to open: no lock, no thread, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from .contexts import Context


class Waiter(NamedTuple):
    """A thread that waits for an association in which a context was proposed.

    It takes one that was opened later than `opened_after`, on the clock of the pool. Where it
    wants it `alone`, no other SOP class was proposed.
    """

    wanted: Context
    opened_after: float = -inf
    alone: bool = False


class Idle(NamedTuple):
    """An association that nobody uses; one that has ended can only be replaced."""

    proposed: Sequence[Context]
    opened_at: float
    is_alive: bool = True


@dataclass(frozen=True)
class Situation:
    """Who waits, in their order, and what there is; `limit` is how many there may be at once.

    `opening` are on their way. Where it `is_down` there is no association, and was none when one
    was last requested.
    """

    waiters: Sequence[Waiter]
    idle: Sequence[Idle] = ()
    lent: int = 0
    opening: int = 0
    limit: int = 1
    is_down: bool = False


class Lend(NamedTuple):
    """Lend an idle association to a waiter; both are numbers in the situation."""

    waiter: int
    idle: int


class Open(NamedTuple):
    """Open an association for a waiter, in the place of an idle one or beside all others."""

    waiter: int
    replaced: int | None


Decision = Lend | Open


def assign(now: Situation) -> list[Decision]:
    """Decide for each who waits, in their order; who gets nothing goes on waiting.

    One association on its way is for one waiter, who takes another one that comes first.
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
    """Tell whether an association is what a waiter needs."""
    is_new_enough = idle.opened_at > waiter.opened_after
    sop_class = waiter.wanted.abstract_syntax
    is_alone = not waiter.alone or all(one.abstract_syntax == sop_class for one in idle.proposed)
    return idle.is_alive and is_new_enough and is_alone and waiter.wanted in idle.proposed
