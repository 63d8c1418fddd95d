"""How servers match a query for a list of UIDs: as the standard has it, or not at all."""

from collections.abc import Callable, Sequence

SUCCESS, CANCEL = 0x0000, 0xFE00
OUT_OF_RESOURCES, NOT_OF_THIS_CLASS = 0xA700, 0xA900

Found = tuple[Sequence[str], int]
"""The UIDs that are found, and the status at the end."""
Matching = Callable[[Sequence[str], Sequence[str]], Found]
"""Finds those of the stored UIDs that are asked for, or all where none is."""


def by_list(asked: Sequence[str], stored: Sequence[str]) -> Found:
    """Find each UID of a list (PS3.4 C.2.2.2.2)."""
    return [uid for uid in stored if not asked or uid in asked], SUCCESS


def ignoring_uids(_: Sequence[str], stored: Sequence[str]) -> Found:
    """Find all, whatever is asked for."""
    return stored, SUCCESS


def ignoring_lists(matches: int) -> Matching:
    """Find one UID, or so many of all whatever list is asked for, and do not say so."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> Found:
        return by_list(asked, stored) if len(asked) == 1 else (stored[:matches], SUCCESS)

    return match


def finding_no_list(asked: Sequence[str], stored: Sequence[str]) -> Found:
    """Take a list for one UID that is not there."""
    return by_list(asked, stored) if len(asked) < 2 else ((), SUCCESS)


def finding_first_of_list(asked: Sequence[str], stored: Sequence[str]) -> Found:
    """Look for the first UID of a list only."""
    return by_list(asked[:1], stored)


def refusing_lists(asked: Sequence[str], stored: Sequence[str]) -> Found:
    """Refuse a list."""
    return by_list(asked, stored) if len(asked) < 2 else ((), NOT_OF_THIS_CLASS)


def limited(matches: int, status: int = CANCEL) -> Matching:
    """Find so many and no more; the status says so, or does not."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> Found:
        found, _ = by_list(asked, stored)
        return found[:matches], status if len(found) > matches else SUCCESS

    return match


def refusing_over(matches: int) -> Matching:
    """Refuse a query for more UIDs, and find nothing then."""

    def match(asked: Sequence[str], stored: Sequence[str]) -> Found:
        found = by_list(asked, stored)
        return found if 0 < len(asked) <= matches else ((), OUT_OF_RESOURCES)

    return match
