"""Decides which thread gets which association, and which one to open, without locks or I/O."""

from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import Any, NamedTuple, Protocol

from .contexts import Context


class Waiter(NamedTuple):
    """The needs of a thread that waits for an association in which a context was proposed.

    The association must be opened later than `opened_after`, on the clock of the pool. With
    `alone`, no other SOP class may be proposed in it. With a `study`, only images of that study go
    over it.
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
    studies: Collection[str] = (),
) -> list[Decision]:
    """Decide for each waiter, in their order. A waiter without a decision continues to wait.

    Each association that is being opened is for one waiter, which may take an earlier one. An idle
    association that is not alive can only be replaced. `is_alive` makes a system call, so it is
    called last. `lent` and `opening` are numbers of associations, `limit` is their maximum.

    `studies` have an association that is lent or being opened. A study waits for its association,
    and for room: no association of another study is replaced while it is alive.
    """
    decisions: list[Decision] = []
    busy = set(studies)
    idle = list(range(len(associations)))
    coming = opening
    for number, waiter in enumerate(waiters):
        for one in idle:
            if _fits(associations[one], waiter) and is_alive(associations[one]):
                decisions.append(Lend(number, one))
                idle.remove(one)
                lent += 1
                break
        else:
            has_room = len(idle) + lent + opening < limit
            if waiter.study in busy:
                continue
            if not waiter.study and coming and (lent or not idle):
                coming -= 1
            elif idle or has_room:
                replaced = _replaceable(idle, associations, waiter, is_alive, has_room=has_room)
                if replaced is None and not has_room:
                    continue
                busy |= {waiter.study} - {""}
                decisions.append(Open(number, replaced))
                if replaced is not None:
                    idle.remove(replaced)
                opening += 1
    return decisions


def _replaceable(
    idle: Sequence[int],
    associations: Sequence[Idle],
    waiter: Waiter,
    is_alive: Callable[[Any], bool],
    *,
    has_room: bool,
) -> int | None:
    """Return the idle association to replace, None if there is none or no need."""
    for one in idle:
        if (waiter.study and associations[one].study == waiter.study) or not is_alive(
            associations[one]
        ):
            return one
    if has_room:
        return None
    others = (one for one in idle if not (waiter.study and associations[one].study))
    return next(others, None)


def _fits(association: Idle, waiter: Waiter) -> bool:
    """Return whether an association meets the needs of a waiter."""
    wanted, opened_after, alone, study = waiter
    return (
        association.opened_at > opened_after
        and association.study == study
        and wanted in association.proposed
        and not (
            alone
            and any(one.abstract_syntax != wanted.abstract_syntax for one in association.proposed)
        )
    )
