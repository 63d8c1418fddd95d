"""Timetable of bandwidth limits, such as `08:00 2, 18:00 off`."""

import re
from bisect import bisect
from datetime import datetime

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(rf"(?:({'|'.join(_DAYS)})-)?([01]?\d|2[0-3]):([0-5]\d)")
_OFF = ("off", "0")
_MINUTES = 24 * 60


class Timetable:
    """Limits in MB/s from times of the day on, in local time.

    A time has a limit until the next one; a day of the week may precede it: `Sat-00:00 off`.
    """

    def __init__(self, text: str) -> None:
        """Read times and limits, with spaces or commas between them. Raises ValueError."""
        words = re.split(r"[\s,]+", text.strip().lower())
        limits: dict[int, float] = {}
        for time, limit in zip(words[::2], words[1::2], strict=True):
            found = _TIME.fullmatch(time)
            if not found:
                raise ValueError(f"invalid time {time}")
            day, hour, minute = found.groups()
            for number in [_DAYS.index(day)] if day else range(7):
                start = number * _MINUTES + int(hour) * 60 + int(minute)
                limits[start] = 0.0 if limit in _OFF else float(limit)
        self._starts = sorted(limits)
        self.limits = [limits[start] for start in self._starts]

    def limit(self, now: datetime) -> float:
        """Return the limit at a time in MB/s, 0 for none."""
        minute = now.weekday() * _MINUTES + now.hour * 60 + now.minute
        # Before the first time of the week, the last one of the week before applies.
        return self.limits[bisect(self._starts, minute) - 1]
