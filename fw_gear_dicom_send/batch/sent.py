"""Finds sessions that were sent already, by their tags and their jobs."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import SiteError
from ..text import quantity
from .api import BatchAPI
from .models import GEARS, SERVER_OPTIONS, Gear, Job, Session

log = logging.getLogger(__name__)


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
        jobs = _shown(api.jobs_of(project_id))
        if jobs is not None:
            found |= sent(jobs, gear, config)
            continue
        found |= sent(_shown(api.own_jobs_of(project_id)) or (), gear, config)
        hidden = 0
        for session in sessions:
            if session.project_id == project_id and session.id not in found:
                jobs = _shown(api.jobs_on(session.id))
                found |= sent(jobs or (), gear, config)
                hidden += jobs is None
        if hidden:
            log.warning(
                "The site does not show the jobs of other users on %s; some may have been sent",
                quantity(hidden, "session"),
            )
    return found


def _shown(jobs: Iterable[Job]) -> list[Job] | None:
    """Return the jobs, or None if the site does not list them."""
    try:
        return list(jobs)
    except SiteError as exc:
        if not exc.is_final:
            raise
        return None


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
    return (host.lower(), port, title)
