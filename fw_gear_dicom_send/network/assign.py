"""Decides who gets which association, and which one to open: no lock, no thread, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from .contexts import Context


class Waiter(NamedTuple):
    """A thread that waits for an association or, where none is `wanted`, for a place.

    It takes one that was opened later than `opened_after`, on the clock of the pool.
    """

    wanted: Context | None
    opened_after: float = -inf


class Idle(NamedTuple):
    """An association that nobody uses; one that has ended can only be replaced."""

    proposed: Sequence[Context]
    opened_at: float
    is_alive: bool = True


@dataclass(frozen=True)
class Situation:
    """Who waits, in their order, and what there is; `limit` is how many there may be at once.

    `opening` are on their way, and `places` are kept free for what others open. Where it `is_down`
    there is no association, and was none when one was last requested.
    """

    waiters: Sequence[Waiter]
    idle: Sequence[Idle] = ()
    lent: int = 0
    opening: int = 0
    places: int = 0
    limit: int = 1
    is_down: bool = False


class Lend(NamedTuple):
    """Lend an idle association to a waiter; both are numbers in the situation."""

    waiter: int
    idle: int


class GivePlace(NamedTuple):
    """Give a place to a waiter, for which these idle associations make room."""

    waiter: int
    released: tuple[int, ...]


class Open(NamedTuple):
    """Open an association for a waiter, in the place of an idle one or beside all others."""

    waiter: int
    wanted: Context
    replaced: int | None


Decision = Lend | GivePlace | Open


def assign(now: Situation) -> list[Decision]:
    """Decide for each who waits, in their order; who gets nothing goes on waiting.

    One association on its way is for one waiter, who takes another one that comes first.
    """
    decisions: list[Decision] = []
    idle = list(range(len(now.idle)))
    lent, opening, places = now.lent, now.opening, now.places
    coming, waiting = now.opening, len(now.waiters)
    limit = 1 if now.is_down else now.limit
    for number, waiter in enumerate(now.waiters):
        has_room = len(idle) + lent + opening + places < limit
        if not waiter.wanted:
            if now.is_down or not (has_room or idle):
                continue
            # Those that nobody needs would only take turns with what is opened in the place.
            is_alone = not lent and waiting == 1
            released = tuple(idle if is_alone else () if has_room else idle[:1])
            decisions.append(GivePlace(number, released))
            idle = idle[len(released) :]
            places += 1
            waiting -= 1
            continue
        fit = next((one for one in idle if _fits(now.idle[one], waiter)), None)
        if fit is not None:
            decisions.append(Lend(number, fit))
            idle.remove(fit)
            lent += 1
            waiting -= 1
        elif coming and (lent or not idle):
            coming -= 1
        elif idle or has_room:
            replaced = next((one for one in idle if not now.idle[one].is_alive), None)
            if replaced is None and not has_room:
                replaced = idle[0]
            decisions.append(Open(number, waiter.wanted, replaced))
            if replaced is not None:
                idle.remove(replaced)
            opening += 1
    return decisions


def _fits(idle: Idle, waiter: Waiter) -> bool:
    is_new_enough = idle.opened_at > waiter.opened_after
    return idle.is_alive and is_new_enough and waiter.wanted in idle.proposed
