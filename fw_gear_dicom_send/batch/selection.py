"""Selects the sessions of a batch by label, date and tags."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ..errors import UsageError
from .models import Session

_CAST = re.compile(r'[,<>=!"]|^[\d\s.+-]|^(null|nan|inf(inity)?)$|^[0-9a-f]{24}$', re.IGNORECASE)
"""Text that the site's filter would split, or would not read as text."""


@dataclass(frozen=True)
class Filter:
    """Filter for sessions. `label` matches a part of a label; `since` and `until` are inclusive."""

    label: re.Pattern[str] | None = None
    since: date | None = None
    until: date | None = None
    tags: Sequence[str] = ()

    @property
    def searches(self) -> list[str]:
        """Filters in the syntax of the site, which may match more sessions.

        The site compares dates in UTC, but sessions have different time zones. So the filter
        includes an additional day on either side. A second one is for sessions without a date. The
        site supports only one tag.
        """
        parts = [f"tags={tag}" for tag in self.tags if not _CAST.search(tag)][:1]
        if self.label and not _CAST.search(self.label.pattern):
            parts.insert(0, f"label=~{self.label.pattern}")
        days = []
        if self.since and self.since > date.min:
            days.append(f"timestamp>={self.since - timedelta(days=1)}")
        if self.until and self.until < date.max - timedelta(days=1):
            days.append(f"timestamp<{self.until + timedelta(days=2)}")
        undated = [[*parts, "timestamp=null"]] if self.since or self.until else []
        return [",".join(search) for search in ([*parts, *days], *undated)]

    def passes(self, session: Session) -> bool:
        """Return whether a session matches."""
        if not self._passes_undated(session):
            return False
        if not (self.since or self.until):
            return True
        if not session.timestamp:
            return False
        day = session.timestamp.date()
        return (self.since or date.min) <= day <= (self.until or date.max)

    def lacks_date(self, session: Session) -> bool:
        """Return whether a session would match if it had a date."""
        has_dates = bool(self.since or self.until)
        return has_dates and not session.timestamp and self._passes_undated(session)

    def _passes_undated(self, session: Session) -> bool:
        if session.deleted or not set(self.tags) <= session.tags:
            return False
        return not self.label or bool(self.label.search(session.label))


def read_ids(name: str) -> list[str]:
    """Return the ids in a file, or on standard input for `-`, with one per line.

    Raises UsageError.
    """
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        raise UsageError(f"--sessions-file: cannot read {name}") from None
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]
