"""Timetable of bandwidth limits."""

from datetime import datetime

import pytest

from fw_gear_dicom_send.bandwidth import Timetable
from fw_gear_dicom_send.option_values import RATE, TIMETABLE

MONDAY = 1


def at(day: int, time: str) -> datetime:
    """Return a time on a day of June 2026, whose first day is a Monday."""
    return datetime.fromisoformat(f"2026-06-{day:02}T{time}:00")


@pytest.mark.parametrize(
    ("time", "limit"),
    [("08:00", 2), ("17:59", 2), ("18:00", 0), ("23:59", 0), ("00:00", 0), ("07:59", 0)],
)
def test_a_time_has_a_limit_until_the_next(time: str, limit: float) -> None:
    """Before the first time of a day, the last one of the day before applies."""
    for text in ("08:00 2, 18:00 off", "18:00,off 8:00,2", " 18:00 0,08:00  2 "):
        assert Timetable(text).limit(at(3, time)) == limit


@pytest.mark.parametrize(
    ("day", "time", "limit"),
    [
        (MONDAY, "06:59", 0),
        (MONDAY, "07:00", 2),
        (5, "18:59", 2),
        (5, "19:00", 0),
        (7, "12:00", 0),
    ],
)
def test_a_time_may_have_a_day(day: int, time: str, limit: float) -> None:
    """The week begins on Monday, and goes on with the limit of the week before."""
    assert Timetable("Mon-07:00 2, Fri-19:00 off").limit(at(day, time)) == limit


@pytest.mark.parametrize(
    "text",
    [
        *("", "08:00", "2 08:00", "08:00 2, 18:00"),
        *("24:00 2", "08:60 2", "8 2", "Mo-08:00 2"),
        *("08:00 x", "08:00 nan", "08:00 -1", "08:00 0.01", "08:00 20000"),
    ],
)
def test_other_text_is_not_allowed(text: str) -> None:
    """Nor are limits that a number could not have."""
    assert not TIMETABLE.is_valid(text)


def test_only_the_command_has_a_timetable() -> None:
    """The option of the gear is a number."""
    assert TIMETABLE.is_valid("08:00 0.5, 18:00 off")
    assert TIMETABLE.is_valid(2.5)
    assert not RATE.is_valid("08:00 0.5, 18:00 off")
