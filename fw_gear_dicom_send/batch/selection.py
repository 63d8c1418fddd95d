"""Selects the sessions of a batch by label, date and tags, and by what was sent already."""

import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..server_url import ServerURL, is_url
from ..text import quantity
from ..values import frozen
from .api import BatchAPI
from .models import GEARS, SERVER_OPTIONS, Gear, Job, Session

log = logging.getLogger(__name__)

_CAST = re.compile(r'[,<>=!"]|^[\d\s.+-]|^(null|nan|inf(inity)?)$|^[0-9a-f]{24}$', re.IGNORECASE)
"""Text that the site's filter would split, or would not read as text."""


@frozen
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

    def passes(self, session: Session) -> bool | None:
        """Return whether a session matches, None if only its date is missing."""
        if session.deleted or not set(self.tags) <= session.tags:
            return False
        if self.label and not self.label.search(session.label):
            return False
        if not (self.since or self.until):
            return True
        if not session.timestamp:
            return None
        return (self.since or date.min) <= session.timestamp.date() <= (self.until or date.max)


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


def already_sent(
    api: BatchAPI, sessions: Sequence[Session], gear: Gear, config: Mapping[str, Any]
) -> set[str]:
    """Return the ids of the sessions that were already sent to the server of `config`.

    Sessions with the tag `sent_tag` count for any server. If the site does not show all jobs of a
    project, query the user's own jobs, and then the jobs on each other session. Raises SiteError
    if the site does not respond.
    """
    tag = str(gear.value("sent_tag", config) or "").strip()
    found = {session.id for session in sessions if tag in session.tags}
    for project_id in dict.fromkeys(session.project_id for session in sessions):
        jobs = api.jobs_of(project_id)
        if jobs is not None:
            found |= sent(jobs, gear, config)
            continue
        found |= sent(api.own_jobs_of(project_id) or (), gear, config)
        hidden = 0
        for session in sessions:
            if session.project_id == project_id and session.id not in found:
                jobs = api.jobs_on(session.id)
                found |= sent(jobs or (), gear, config)
                hidden += jobs is None
        if hidden:
            log.warning(
                "The site does not show the jobs of other users on %s; some may have been sent",
                quantity(hidden, "session"),
            )
    return found


def sent(jobs: Iterable[Job], gear: Gear, config: Mapping[str, Any]) -> set[str]:
    """Return the ids of the sessions with a complete or active job for the same server.

    Dry runs do not count.
    """
    place = _place(gear, config)
    return {
        job.container.id
        for job in jobs
        if job.gear_name in GEARS
        and job.container.type == "session"
        and (job.is_active or job.state == "complete")
        and not job.is_dry_run
        and _place(gear, job.config) == place
    }


def _place(gear: Gear, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the server of a job; missing options have the gear's defaults."""
    host, port, title = (str(gear.value(name, config)).strip() for name in SERVER_OPTIONS)
    return (str(ServerURL.of(host) or host),) if is_url(host) else (host.lower(), port, title)
