"""Requests to a Flywheel site. docs/flywheel.md lists each one, and its call in flywheel-sdk.

All raise SiteError. Requests that start or end something are never retried.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote

from ..errors import ConfigError, SiteError, UsageError
from ..flywheel.api import API, EXHAUSTIVE, SITE_POLICY, container_url
from ..flywheel.client import connect
from ..flywheel.project_file import server_in
from ..models import Container
from ..retry import RetryPolicy
from . import records
from .models import GEAR, GEARS, Batch, Gear, Job, NewJob, Place, Project, Session, StoredFile
from .parallel import REQUESTS_AT_ONCE

_OF_THE_GEARS = f"gear_info.name=~^({'|'.join(GEARS)})$"
"""A filter that older sites support, too. They reject lists of values (`=|[...]`)."""
_ABSENT = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Statuses of a site's response to an unknown or invalid id."""
_ALL_JOBS = ("/api/jobs", "")
_OWN_JOBS = ("/api/users/self/jobs", "jobs")
"""Lists of jobs, with the key of the list in the response."""
_SESSIONS_AT_ONCE = 100
"""Number of sessions in one filter for acquisitions. The filter is part of a URL."""

Files = tuple[str, Sequence[Mapping[str, Any]]]
"""The id of a session, and the records of the files of one of its acquisitions."""
T = TypeVar("T")


class BatchAPI:
    """Requests of a batch."""

    def __init__(self, api_key: str, policy: RetryPolicy = SITE_POLICY) -> None:
        """Use the site of an API key; raise UsageError for an invalid key.

        Requests that change nothing are retried by `policy`.
        """
        try:
            client = connect(api_key, connections=REQUESTS_AT_ONCE)
        except ConfigError:
            raise UsageError("--api-key-file: invalid API key (expected <host>:<key>)") from None
        self._reader = API(client, policy)
        self._writer = API(client)
        self._descriptions: dict[str, str] = {}
        self._projects: dict[str, Project] = {}
        self._retries: set[str] = set()
        self._lock = Lock()

    def gear(self, version: str | None = None) -> Gear:
        """Return a version of the gear, or the newest; raise UsageError if it is missing."""
        wanted = [GEAR, version] if version else [GEAR]
        absent = f"the site has no gear {' '.join(wanted)!r}"
        return self._look_up(["gears", *wanted], records.gear, absent)

    def container(self, kind: str, place: str) -> str:
        """Return the id of a project or subject with the path or id `place`.

        Raises UsageError if it is missing or of another kind.
        """
        absent = f"--{kind}: the site has no {kind} {place!r}"
        if "/" not in place:
            return self._get(records.record_id, f"/api/{kind}s", place, absent=absent)
        found, container_id = self._look_up(place.split("/"), records.kind_and_id, absent)
        if found != kind:
            raise UsageError(f"--{kind}: {place!r} is not a {kind}; its type is {found}")
        return container_id

    def project(self, project_id: str) -> Project:
        """Return a project with its files; it is requested once."""
        with self._lock:
            if project_id not in self._projects:
                found = self._get(records.project, "/api/projects", project_id)
                self._projects[project_id] = found
            return self._projects[project_id]

    def server(self, project_id: str, name: str) -> tuple[Mapping[str, Any], str]:
        """Return what `server_in` returns for a project."""
        project = self.project(project_id)
        place = Container("project", project_id)
        return server_in(self._reader, place, project.path, project.files, name)

    def session(self, session_id: str, option: str = "") -> Session:
        """Return a session with its files; raise UsageError if that of an `option` is missing."""
        absent = f"{option}: the site has no session {session_id!r}" if option else ""
        return self._get(records.session, "/api/sessions", session_id, absent=absent)

    def place_of(self, container: Container) -> Place:
        """Return the session of a job's container, with the files of both."""
        if container.type != "acquisition":
            session = self.session(container.id)
            return Place(session, self.link(session), session.label, session.files)
        session_id, label, files = self._get(records.acquisition, "/api/acquisitions", container.id)
        session = self.session(session_id)
        label = f"{session.label}_{label}"
        return Place(session, self.link(session), label, session.files + files)

    @property
    def site(self) -> str:
        """URL of the site."""
        return self._reader.site

    def link(self, session: Session) -> str:
        """Return the URL of a session's page."""
        return self._reader.session_page(session.project_id, session.id)

    def label(self, container: Container) -> str:
        """Return a session's labels and id for a message, or only the id if the site fails."""
        try:
            return self.place_of(container).session.title
        except SiteError:
            return container.id

    def sessions_of(self, kind: str, container_id: str, search: str) -> Iterator[Session]:
        """Yield the sessions of a project or subject that match the filter `search`."""
        url = f"/api/{kind}s/{_quoted(container_id)}/sessions"
        query = {"filter": search} if search else {}
        yield from self._reader.containers(records.session, url, query)

    def info(self, session_id: str) -> Mapping[str, Any]:
        """Return the custom information of a session, nothing if the site refuses it."""
        try:
            return self._get(records.info, "/api/sessions", session_id)
        except SiteError as exc:
            if not exc.is_final:
                raise
            return {}

    def files_below(self, sessions: Iterable[Session]) -> Iterator[Files]:
        """Yield the session's id and the file records of each acquisition in some sessions.

        Older sites reject a list of values in a filter, and one value in brackets matches nothing.
        """
        ids: dict[str, list[str]] = {}
        for session in sessions:
            ids.setdefault(session.project_id, []).append(session.id)
        for project_id, some in ids.items():
            if len(some) > 1:
                url = f"/api/projects/{_quoted(project_id)}/acquisitions"
                try:
                    yield from self._files(url, some, f"parents.session=|[{','.join(some)}]")
                    continue
                except SiteError as exc:
                    if exc.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                        raise
            for session_id in some:
                yield from self._files(f"/api/sessions/{_quoted(session_id)}/acquisitions", some)

    def _files(self, url: str, session_ids: Sequence[str], search: str = "") -> Iterator[Files]:
        query = {"filter": search} if search else {}
        for session_id, files in self._reader.containers(records.files, url, query):
            if session_id in session_ids:
                yield session_id, files

    def jobs_of(self, project_id: str) -> list[Job] | None:
        """Return the gear's jobs in a project, None if the site shows them only to admins."""
        return self._jobs(*_ALL_JOBS, f"parents.project={project_id},{_OF_THE_GEARS}")

    def own_jobs_of(self, project_id: str) -> list[Job] | None:
        """Return the gear's jobs in a project that the user started, None if it is not listed."""
        return self._jobs(*_OWN_JOBS, f"parents.project={project_id},{_OF_THE_GEARS}")

    def jobs_on(self, session_id: str) -> list[Job] | None:
        """Return the gear's jobs on a session, None if the site does not list them."""
        jobs = self._jobs(f"/api/sessions/{_quoted(session_id)}/jobs", "jobs")
        return jobs and [job for job in jobs if job.gear_name in GEARS]

    def create(self, jobs: Sequence[NewJob]) -> str:
        """Create a batch of jobs without running it, and return its id."""
        body = {"jobs": [records.new_job(job) for job in jobs]}
        return self._writer.read(records.record_id, "POST", "/api/batch/jobs", json=body)

    def add(self, batch_id: str, job: NewJob) -> str:
        """Start one more job of a batch, and return its id."""
        body = {**records.new_job(job), "batch": batch_id}
        return self._writer.read(records.record_id, "POST", "/api/jobs/add", json=body)

    def start(self, batch_id: str) -> None:
        """Start a batch: the site creates its jobs, and the engine runs them."""
        self._writer.ask("POST", f"{_batch(batch_id)}/run")

    def get(self, batch_id: str, later: Callable[[Batch], Iterable[Job]] = lambda _: ()) -> Batch:
        """Return a batch with all its jobs; raise UsageError if it is missing or of another gear.

        Some sites list only the original jobs of a batch. The jobs that retry them are added, and
        those that were started `later`.
        """
        absent = f"the site has no batch {batch_id!r}"
        batch = self._get(
            records.batch, "/api/batch", batch_id, absent=absent, params={"jobs": True}
        )
        if others := {job.gear_name for job in batch.jobs}.difference(GEARS):
            raise UsageError(f"batch {batch_id} runs another gear: {min(others)}")
        batch = batch.with_more(later(batch))
        ended = [job for job in batch.jobs if job.state in ("failed", "cancelled")]
        if not ended:
            return batch
        since = min(job.created for job in ended)
        batch = batch.with_more(self.jobs_since(since, "attempt>1") or ())
        unlisted = self._retries.difference(job.id for job in batch.jobs)
        return batch.with_more(self._get(records.job, "/api/jobs", job_id) for job_id in unlisted)

    def batches(self) -> Iterator[Batch]:
        """Yield the gear's batches that the user can see, the newest first."""
        for batch_id in self._reader.read(records.batch_ids, "GET", "/api/batch", list):
            try:
                yield self.get(batch_id)
            except UsageError:
                continue  # It runs another gear.

    def cancel(self, batch_id: str) -> int:
        """Cancel the pending jobs of a batch, and return their number."""
        return self._writer.read(
            lambda record: int(record["number_cancelled"]), "POST", f"{_batch(batch_id)}/cancel"
        )

    def cancel_job(self, job_id: str) -> None:
        """Cancel a pending or running job."""
        self._writer.ask("PUT", f"/api/jobs/{_quoted(job_id)}", json={"state": "cancelled"})

    def retry(self, job_id: str) -> str:
        """Retry a failed job, and return the id of the new job."""
        url = f"/api/jobs/{_quoted(job_id)}/retry"
        new_id = self._writer.read(records.record_id, "POST", url)
        self._retries.add(new_id)
        return new_id

    def describe(self, job: Job) -> str:
        """Return a message about a failed job, with its session and the end of its log."""
        if job.id not in self._descriptions:
            line = ""
            with suppress(SiteError):
                url = f"/api/jobs/{_quoted(job.id)}/logs"
                line = self._reader.read(records.last_line, "GET", url)
            parts = (self.label(job.container), job.reason, *filter(None, [line]))
            self._descriptions[job.id] = ": ".join(parts)
        return self._descriptions[job.id]

    def read(self, file: StoredFile) -> bytes:
        """Return the content of a file."""
        url, what = container_url(file.parent, file.name), container_url(file.parent)
        return self._reader.ask(
            "GET",
            url,
            what=f"{what}/files/<report>",
            headers={"Accept": "application/octet-stream"},
        )

    def jobs_since(self, created: datetime, *conditions: str) -> list[Job] | None:
        """Return the gear's jobs since a day, None if the site does not list them.

        Ordinary users can list only their own jobs, which include all jobs of their batches.
        """
        since = f"created>={created.astimezone(UTC).date()}"
        search = ",".join((_OF_THE_GEARS, *conditions, since))
        jobs = self._jobs(*_ALL_JOBS, search)
        return self._jobs(*_OWN_JOBS, search) if jobs is None else jobs

    def current(self, job: Job) -> Job:
        """Return the current record of a job. Old sites show it only in a list of its session."""
        try:
            return self._get(records.job, "/api/jobs", job.id)
        except SiteError as exc:
            if exc.is_final:
                for other in self.jobs_on(job.container.id) or ():
                    if other.id == job.id:
                        return other
            raise

    def _jobs(self, url: str, key: str, search: str = "") -> list[Job] | None:
        """Return the jobs in a list, None if the site refuses it."""
        query = {"filter": search} if search else {}
        try:
            return list(self._reader.records(records.job, url, query, key=key))
        except SiteError as exc:
            if not exc.is_final:
                raise
            return None

    def _look_up(self, path: Sequence[str], convert: Callable[[Any], T], absent: str) -> T:
        for query in ({}, EXHAUSTIVE):
            try:
                return self._reader.read(
                    convert, "POST", "/api/lookup", params=query, json={"path": path}
                )
            except SiteError as exc:
                if exc.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
                    raise
        raise UsageError(absent)

    def _get(
        self,
        convert: Callable[[Any], T],
        url: str,
        record_id: str,
        *,
        absent: str = "",
        **options: Any,
    ) -> T:
        """Return the record with an id; if it is missing, raise UsageError(absent)."""
        try:
            return self._reader.read(convert, "GET", f"{url}/{_quoted(record_id)}", **options)
        except SiteError as exc:
            if absent and exc.status in _ABSENT:
                raise UsageError(absent) from exc
            raise


def in_parts(sessions: Iterable[Session]) -> list[list[Session]]:
    """Return sessions in parts; the acquisitions of each part are in one list."""
    ordered = sorted(sessions, key=lambda session: session.project_id)
    starts = range(0, len(ordered), _SESSIONS_AT_ONCE)
    return [ordered[start : start + _SESSIONS_AT_ONCE] for start in starts]


def _batch(batch_id: str) -> str:
    return f"/api/batch/{_quoted(batch_id)}"


def _quoted(part: str) -> str:
    return quote(part, safe="")
