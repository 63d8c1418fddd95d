"""Which sessions have been sent already: by their tags, and by the jobs on them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import SiteError
from .api import BatchAPI
from .models import GEARS, Gear, Job, Session

_SAME_PLACE = ("destination", "port", "called_ae")

log = logging.getLogger(__name__)


def already_sent(
    api: BatchAPI, sessions: Sequence[Session], gear: Gear, config: Mapping[str, Any]
) -> set[str]:
    """Return the ids of the sessions that need not be sent to the server of `config` again.

    Those with the tag `sent_tag` count, whatever server it was. An ordinary user may not see the
    jobs of a whole project: those that they started are asked for, then those on each session
    that is left. Raises SiteError if the site does not answer.
    """
    tag = str(_option("sent_tag", gear, config) or "").strip()
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
            log.warning("The site does not show the jobs of others on %d sessions", hidden)
    return found


def _shown(jobs: Iterable[Job]) -> list[Job] | None:
    """Return jobs, None where the site refuses to list them."""
    try:
        return list(jobs)
    except SiteError as exc:
        if not exc.is_final:
            raise
        return None


def sent(jobs: Iterable[Job], gear: Gear, config: Mapping[str, Any]) -> set[str]:
    """Return the ids of the sessions that a job has sent to the same server, or is about to.

    A job that failed, was cancelled or is a dry run does not count.
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
    """Return where a job sends to; an option that it lacks has the gear's default."""
    host, port, title = (str(_option(name, gear, config)).strip() for name in _SAME_PLACE)
    return (host.lower(), port, title)


def _option(name: str, gear: Gear, config: Mapping[str, Any]) -> Any:
    return config.get(name, gear.options.get(name, {}).get("default"))
