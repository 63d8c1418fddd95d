"""Which sessions a batch is for: by label, date and tags."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ..errors import UsageError
from .models import Session

_CAST = re.compile(r'[,<>=!"]|^[\d\s.+-]|^(null|nan|inf(inity)?)$|^[0-9a-f]{24}$', re.IGNORECASE)
"""What the site's filter would take apart, or read as something else than text."""


@dataclass(frozen=True)
class Filter:
    """What a session has to be like: `label` is searched in its label, days count inclusively."""

    label: re.Pattern[str] | None = None
    since: date | None = None
    until: date | None = None
    tags: Sequence[str] = ()

    @property
    def search(self) -> str:
        """The filter as the site's lists take it, which may let more pass.

        The site compares days in UTC: one more on either side is let pass, as a session may be
        of any time zone. Of tags it heeds one.
        """
        parts = self._parts()
        if self.since and self.since > date.min:
            parts.append(f"timestamp>={self.since - timedelta(days=1)}")
        if self.until and self.until < date.max - timedelta(days=1):
            parts.append(f"timestamp<{self.until + timedelta(days=2)}")
        return ",".join(parts)

    @property
    def search_undated(self) -> str:
        """The filter for the sessions that are left out for want of a day, empty for none."""
        return ",".join([*self._parts(), "timestamp=null"]) if self.since or self.until else ""

    def _parts(self) -> list[str]:
        parts = []
        if self.label and not _CAST.search(self.label.pattern):
            parts.append(f"label=~{self.label.pattern}")
        return parts + [f"tags={tag}" for tag in self.tags if not _CAST.search(tag)][:1]

    def passes(self, session: Session) -> bool:
        """Return whether a session is like that."""
        if not self._passes_undated(session):
            return False
        if not (self.since or self.until):
            return True
        if not session.timestamp:
            return False
        day = session.timestamp.date()
        return (self.since or date.min) <= day <= (self.until or date.max)

    def lacks_day(self, session: Session) -> bool:
        """Return whether a session is like that but for the day, which it does not have."""
        has_days = bool(self.since or self.until)
        return has_days and not session.timestamp and self._passes_undated(session)

    def _passes_undated(self, session: Session) -> bool:
        if session.deleted or not set(self.tags) <= session.tags:
            return False
        return not self.label or bool(self.label.search(session.label))


def read_ids(name: str) -> list[str]:
    """Return the ids in a file, one on each line, or those on standard input for `-`.

    Raises UsageError.
    """
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise UsageError(f"--sessions-file: {name}: it cannot be read") from None
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]
