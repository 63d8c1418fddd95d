"""Ways in which servers match a query for a list of UIDs, correct and incorrect."""

from collections.abc import Callable, Sequence

SUCCESS, CANCEL = 0x0000, 0xFE00
OUT_OF_RESOURCES, NOT_OF_THIS_CLASS = 0xA700, 0xA900

Found = tuple[Sequence[str], int]
"""The matching UIDs and the final status."""
Matching = Callable[[Sequence[str], Sequence[str]], Found]
"""Return the stored UIDs that match the query, or all if the query names none."""


def by_list(asked: Sequence[str], stored: Sequence[str]) -> Found:
    """Match each UID of a list (PS3.4 C.2.2.2.2)."""
    return [uid for uid in stored if not asked or uid in asked], SUCCESS


def ignoring_uids(_: Sequence[str], stored: Sequence[str]) -> Found:
    """Match all, whatever the query asks for."""
    return stored, SUCCESS


def ignoring_lists(matches: int) -> Matching:
    """Match a single UID; for any list return this many arbitrary matches with Success."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> Found:
        return by_list(asked, stored) if len(asked) == 1 else (stored[:matches], SUCCESS)

    return match


def finding_no_list(asked: Sequence[str], stored: Sequence[str]) -> Found:
    """Treat a list as a single unknown UID."""
    return by_list(asked, stored) if len(asked) < 2 else ((), SUCCESS)


def finding_first_of_list(asked: Sequence[str], stored: Sequence[str]) -> Found:
    """Match only the first UID of a list."""
    return by_list(asked[:1], stored)


def refusing_lists(asked: Sequence[str], stored: Sequence[str]) -> Found:
    """Reject a list."""
    return by_list(asked, stored) if len(asked) < 2 else ((), NOT_OF_THIS_CLASS)


def limited(matches: int, status: int = CANCEL) -> Matching:
    """Limit the number of matches; the status may or may not report it."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> Found:
        found, _ = by_list(asked, stored)
        return found[:matches], status if len(found) > matches else SUCCESS

    return match


def refusing_over(matches: int) -> Matching:
    """Reject a query for more UIDs than this, without matches."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> Found:
        found = by_list(asked, stored)
        return found if 0 < len(asked) <= matches else ((), OUT_OF_RESOURCES)

    return match
