"""Earlier runs that sent sessions to the same server, and what they do not cover."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from ..config import GearConfig
from ..errors import ConfigError
from ..flywheel.site import left_out_for
from ..mark_key import mark_key
from ..option_types import Group, Place
from ..option_values import HOST
from ..options import OPTIONS
from ..project_settings import server_name_in
from ..server_url import ServerURL, is_url
from .models import GEARS, SERVER_OPTIONS, Gear, Job
from .records import END, changed, time_of

_FILE_OPTIONS = [row for row in OPTIONS if row.group is Group.FILES and row.where & Place.BATCH]
_ALL_FILES = {"file_types": "dicom and archive"}
"""Values of these options that leave out no file; those of the others are empty."""


class EarlierRuns:
    """Earlier jobs and marks of sessions for the same server.

    The mutable state is `times` and `narrower`. `times` has the time at which the newest job of a
    session selected its files. `narrower` are the sessions of jobs whose options leave out files
    that are wanted now.
    """

    def __init__(self, gear: Gear, config: Mapping[str, Any], wanted: GearConfig) -> None:
        """Compare with a new job's configuration, as given and as checked (`wanted`)."""
        self.tag = str(gear.value("sent_tag", config) or "").strip()
        self._gear = gear
        self._server = self._server_of(config)
        self._wanted = wanted
        self.times: dict[str, datetime] = {}
        self.narrower: set[str] = set()

    def add_jobs(self, jobs: Iterable[Job]) -> None:
        """Add the complete and active jobs for the server, without dry runs and runs on a file.

        A pending job will select all files that exist when it starts. Of a job whose project may
        have named the server, only the mark has the address.
        """
        for job in jobs:
            if (
                job.gear_name in GEARS
                and (job.is_active or job.state == "complete")
                and not (job.is_dry_run or job.has_file)
                and not (job.config.get("project_settings") and server_name_in(job.config))
                and self._server_of(job.config) == self._server
            ):
                selected = END if job.state == "pending" else job.started
                self._add(job.container.id, selected, job.config)

    def add_mark(self, session_id: str, info: Mapping[str, Any]) -> None:
        """Add the last success in the mark for the server, if it is valid."""
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            last = info[mark_key(*self._server)]["complete"]
            self._add(session_id, time_of(last["started"]), last["selection"])

    def is_newer(self, session_id: str, file: Mapping[str, Any]) -> bool:
        """Return whether a wanted file may be newer than the last selection of its session."""
        return (
            not file.get("deleted")
            and left_out_for(file, self._wanted) is None
            and changed(file) > self.times[session_id]
        )

    def _add(self, session_id: str, selected: datetime, options: Mapping[str, Any]) -> None:
        if self._covers(options):
            self.times[session_id] = max(selected, self.times.get(session_id, selected))
        else:
            self.narrower.add(session_id)

    def _covers(self, options: Mapping[str, Any]) -> bool:
        """Return whether each of these options has the wanted value, or leaves out no file."""
        for row in _FILE_OPTIONS:
            known = getattr(self._wanted, row.name), _ALL_FILES.get(row.name, ())
            with suppress(ConfigError, TypeError):
                if row.check(row.type.read(options.get(row.name) or row.default)) in known:
                    continue
            return False
        return True

    def _server_of(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the server of a job; missing options have the gear's defaults."""
        host, port, title = (str(self._gear.value(name, config)).strip() for name in SERVER_OPTIONS)
        if is_url(host):
            return (str(ServerURL.of(host) or host),)
        return HOST.convert(host).lower(), port, title
