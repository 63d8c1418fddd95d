"""Selects the sessions of a batch by label, date and tags, and by what was sent already."""

import logging
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import partial
from itertools import chain
from pathlib import Path

from ..errors import UsageError
from ..text import quantity
from ..values import frozen
from .api import BatchAPI, in_parts
from .earlier_runs import EarlierRuns
from .models import Sent, Session
from .parallel import in_order

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


def already_sent(api: BatchAPI, sessions: Sequence[Session], runs: EarlierRuns) -> Sent:
    """Find the sessions that were sent before, and add what is known about them to `runs`.

    If no job is found, the mark of a session with the gear's tag counts. Raises SiteError if the
    site does not respond.
    """
    for project_id in dict.fromkeys(session.project_id for session in sessions):
        inside = [session for session in sessions if session.project_id == project_id]
        _add_jobs(api, runs, project_id, inside)
        tagged = [one.id for one in inside if runs.tag in one.tags and one.id not in runs.times]
        for session_id, info in zip(
            tagged, in_order(api.info, tagged, "Reading marks"), strict=True
        ):
            runs.add_mark(session_id, info)
    ids = {session.id for session in sessions}
    parts = in_parts(session for session in sessions if session.id in runs.times)
    newer = set[str]().union(*in_order(partial(_newer, api, runs), parts, "Comparing files"))
    known = ids & runs.times.keys()
    return Sent(known - newer, newer, ids & runs.narrower - known)


def _add_jobs(
    api: BatchAPI, runs: EarlierRuns, project_id: str, sessions: Iterable[Session]
) -> None:
    """Add the jobs of a project.

    If the site does not show all of them, query the user's own jobs, and then the jobs on each
    other session.
    """
    jobs = api.jobs_of(project_id)
    if jobs is not None:
        runs.add_jobs(jobs)
        return
    runs.add_jobs(api.own_jobs_of(project_id) or ())
    unknown = [session.id for session in sessions if session.id not in runs.times]
    lists = list(in_order(api.jobs_on, unknown, "Listing jobs"))
    runs.add_jobs(job for jobs in lists for job in jobs or ())
    if hidden := lists.count(None):
        log.warning(
            "The site does not show the jobs of other users on %s; some may have been sent",
            quantity(hidden, "session"),
        )


def _newer(api: BatchAPI, runs: EarlierRuns, sessions: Sequence[Session]) -> set[str]:
    """Return the ids of the sessions that have newer files."""
    own = ((session.id, session.choices) for session in sessions)
    return {
        session_id
        for session_id, files in chain(own, api.files_below(sessions))
        if any(runs.is_newer(session_id, file) for file in files)
    }
