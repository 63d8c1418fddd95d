"""Requests to a Flywheel site, with the equivalent functions of the public flywheel-sdk.

    gear, container             `lookup` (POST /api/lookup); for an id `get_project`, `get_subject`
    project, session, place_of  `get_project`, `get_session`, `get_acquisition`
    files_below                 a finder of `get_project_acquisitions`
    sessions_of                 the finders `project.sessions` and `subject.sessions`
    jobs_of                     the finder `jobs`
    own_jobs_of                 `get_current_user_jobs`
    jobs_on                     `get_session_jobs`
    create                      `create_batch_job_from_jobs` (POST /api/batch/jobs)
    batches                     `get_all_batches`
    run, get, cancel            `start_batch`, `get_batch`, `cancel_batch`; the finder `jobs`, or
                                `get_current_user_jobs`, for retried jobs
    cancel_job                  `change_job_state` (PUT /api/jobs/<id>)
    retry                       `retry_job` (POST /api/jobs/<id>/retry)
    describe                    `get_job_logs` (GET /api/jobs/<id>/logs)
    read                        `download_file_from_session_as_data`, or `_from_acquisition_`

All raise SiteError. Requests that start or end something are never retried.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import quote

from ..errors import ConfigError, SiteError, UsageError
from ..flywheel.api import API, EXHAUSTIVE, unexpected_response
from ..flywheel.client import connect
from ..models import Container
from . import records
from .models import GEAR, GEARS, Batch, Gear, Job, Place, Plan, Project, Session, StoredFile

_OF_THE_GEARS = f"gear_info.name=|[{','.join(GEARS)}]"
_ABSENT = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
"""Statuses of a site's response to an unknown or invalid id."""

_SESSIONS_AT_ONCE = 100
"""Number of sessions in one filter for acquisitions. The filter is part of a URL."""

READ_RETRIES = 3
"""Number of retries of a request that changes nothing."""

T = TypeVar("T")


class BatchAPI:
    """Requests of a batch. `reader` retries failed requests, `writer` does not."""

    def __init__(self, reader: API, writer: API) -> None:
        """Use two clients of the same site."""
        self._reader = reader
        self._writer = writer
        self._labels: dict[Container, str] = {}
        self._last_lines: dict[str, str] = {}
        self._retries: set[str] = set()

    @classmethod
    def connected(cls, api_key: str) -> Self:
        """Return the requests to the site of an API key; raise UsageError for an invalid key."""
        try:
            return cls(*(API(connect(api_key, retries=number)) for number in (READ_RETRIES, 0)))
        except ConfigError:
            raise UsageError("--api-key-file: invalid API key (expected <host>:<key>)") from None

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
            url = f"/api/{kind}s/{_quoted(place)}"
            return self._named(lambda: self._get(url, records.record_id), absent)
        found, container_id = self._look_up(place.split("/"), records.kind_and_id, absent)
        if found != kind:
            raise UsageError(f"--{kind}: {place!r} is not a {kind}; its type is {found}")
        return container_id

    def project(self, project_id: str) -> Project:
        """Return a project with its files."""
        return self._get(f"/api/projects/{_quoted(project_id)}", records.project)

    def session(self, session_id: str) -> Session:
        """Return a session with its files."""
        return self._get(f"/api/sessions/{_quoted(session_id)}", records.session)

    def named_session(self, option: str, session_id: str) -> Session:
        """Return the session that an option names; raise UsageError if it is missing."""
        absent = f"{option}: the site has no session {session_id!r}"
        return self._named(lambda: self.session(session_id), absent)

    def place_of(self, container: Container) -> Place:
        """Return the session of a job's container, with the files of both."""
        if container.type != "acquisition":
            session = self.session(container.id)
            return Place(session, self.link(session), session.label, session.files)
        url = f"/api/acquisitions/{_quoted(container.id)}"
        acquisition = self._get(url, records.acquisition)
        session = self.session(acquisition.session_id)
        label = f"{session.label}_{acquisition.label}"
        return Place(session, self.link(session), label, session.files + acquisition.files)

    @property
    def site(self) -> str:
        """URL of the site."""
        return self._reader.site

    def link(self, session: Session) -> str:
        """Return the URL of a session's page."""
        return f"{self.site}/#/projects/{session.project_id}/sessions/{session.id}"

    def label(self, container: Container) -> str:
        """Return a session's labels and id for a message, or only the id if the site fails."""
        if container not in self._labels:
            try:
                self._labels[container] = self.place_of(container).session.title
            except SiteError:
                return container.id
        return self._labels[container]

    def sessions_of(self, kind: str, container_id: str, search: str) -> Iterator[Session]:
        """Yield the sessions of a project or subject that match the filter `search`."""
        url = f"/api/{kind}s/{_quoted(container_id)}/sessions"
        for page in self._reader.containers(url, {"filter": search} if search else {}):
            yield from (_read(records.session, record, "GET", url) for record in page)

    def files_below(self, project_id: str, session_ids: Sequence[str]) -> Iterator[Any]:
        """Yield the records of all acquisition files in some sessions of a project."""
        url = f"/api/projects/{_quoted(project_id)}/acquisitions"
        for start in range(0, len(session_ids), _SESSIONS_AT_ONCE):
            wanted = session_ids[start : start + _SESSIONS_AT_ONCE]
            query = {"filter": f"parents.session=|[{','.join(wanted)}]"}
            for page in self._reader.containers(url, query):
                for record in page:
                    if _read(records.session_id, record, "GET", url) in wanted:
                        yield from record.get("files") or ()

    def jobs_of(self, project_id: str) -> Iterator[Job]:
        """Yield the gear's jobs in a project, which some sites show only to admins."""
        yield from self._jobs("/api/jobs", _in_project(project_id))

    def own_jobs_of(self, project_id: str) -> Iterator[Job]:
        """Yield the gear's jobs in a project that the user started."""
        yield from self._jobs("/api/users/self/jobs", _in_project(project_id), key="jobs")

    def jobs_on(self, session_id: str) -> Iterator[Job]:
        """Yield the gear's jobs on a session."""
        jobs = self._jobs(f"/api/sessions/{_quoted(session_id)}/jobs", {}, key="jobs")
        yield from (job for job in jobs if job.gear_name in GEARS)

    def create(self, plan: Plan) -> str:
        """Create a batch without running it, and return its id."""
        url = "/api/batch/jobs"
        body = {"jobs": [_job(plan, session) for session in plan.sessions]}
        answer = self._writer.json("POST", url, json=body)
        return _read(records.record_id, answer, "POST", url)

    def run(self, batch_id: str) -> None:
        """Run a batch: the site creates its jobs, and the engine runs them."""
        self._writer.json("POST", f"{_batch(batch_id)}/run", (list, dict))

    def get(self, batch_id: str) -> Batch:
        """Return a batch with all its jobs; raise UsageError if it is missing or of another gear.

        Some sites list only the original jobs of a batch. The jobs that retry them are added.
        """
        url = _batch(batch_id)
        answer = self._named(
            lambda: self._reader.json("GET", url, params={"jobs": True}),
            f"the site has no batch {batch_id!r}",
        )
        batch = _read(records.batch, answer, "GET", url)
        if others := {job.gear_name for job in batch.jobs}.difference(GEARS):
            raise UsageError(f"batch {batch_id} runs another gear: {min(others)}")
        ended = [job for job in batch.jobs if job.state in ("failed", "cancelled")]
        if not ended:
            return batch
        batch = batch.with_retries(self._retries_since(min(job.created for job in ended)))
        unlisted = self._retries.difference(job.id for job in batch.jobs)
        return batch.with_retries(
            self._get(f"/api/jobs/{_quoted(job_id)}", records.job) for job_id in unlisted
        )

    def batches(self) -> Iterator[Batch]:
        """Yield the gear's batches that the user can see, the newest first."""
        url = "/api/batch"
        listed = [
            _read(lambda item: (records.created(item), records.record_id(item)), record, "GET", url)
            for record in self._reader.json("GET", url, list)
        ]
        for _, batch_id in sorted(listed, reverse=True):
            try:
                yield self.get(batch_id)
            except UsageError:
                continue  # It runs another gear.

    def cancel(self, batch_id: str) -> int:
        """Cancel the pending jobs of a batch, and return their number."""
        url = f"{_batch(batch_id)}/cancel"
        answer = self._writer.json("POST", url)
        return _read(lambda record: int(record["number_cancelled"]), answer, "POST", url)

    def cancel_job(self, job_id: str) -> None:
        """Cancel a pending or running job."""
        self._writer.ask("PUT", f"/api/jobs/{_quoted(job_id)}", json={"state": "cancelled"})

    def retry(self, job_id: str) -> str:
        """Retry a failed job, and return the id of the new job."""
        url = f"/api/jobs/{_quoted(job_id)}/retry"
        new_id = _read(records.record_id, self._writer.json("POST", url), "POST", url)
        self._retries.add(new_id)
        return new_id

    def describe(self, job: Job) -> str:
        """Return a message about a failed job, with its session and the end of its log."""
        if job.id not in self._last_lines:
            try:
                line = self._get(f"/api/jobs/{_quoted(job.id)}/logs", records.last_line)
            except SiteError:
                line = ""
            self._last_lines[job.id] = line
        line = self._last_lines[job.id]
        return f"{self.label(job.container)}: {job.reason}{': ' * bool(line)}{line}"

    def read(self, file: StoredFile) -> bytes:
        """Return the content of a file."""
        parent = f"/api/{file.parent.type}s/{_quoted(file.parent.id)}"
        url, what = f"{parent}/files/{_quoted(file.name)}", f"{parent}/files/<report>"
        return self._reader.ask(
            "GET", url, what=what, headers={"Accept": "application/octet-stream"}
        )

    def _retries_since(self, created: datetime) -> Iterator[Job]:
        """Yield the gear's retried jobs since a day, if the site lists them.

        Ordinary users can list only their own jobs, which include all jobs of their batches.
        """
        query = {"filter": f"{_OF_THE_GEARS},attempt>1,created>={created.astimezone(UTC).date()}"}
        for url, key in (("/api/jobs", ""), ("/api/users/self/jobs", "jobs")):
            try:
                yield from self._jobs(url, query, key=key)
            except SiteError as exc:
                if not exc.is_final:
                    raise
            else:
                return

    def _jobs(self, url: str, query: Mapping[str, str], *, key: str = "") -> Iterator[Job]:
        for page in self._reader.pages(url, query, key=key):
            yield from (_read(records.job, record, "GET", url) for record in page)

    def _look_up(self, path: Sequence[str], read: Callable[[Any], T], absent: str) -> T:
        url = "/api/lookup"
        for query in ({}, EXHAUSTIVE):
            try:
                answer = self._reader.json("POST", url, params=query, json={"path": path})
            except SiteError as exc:
                if exc.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
                    raise
            else:
                return _read(read, answer, "POST", url)
        raise UsageError(absent)

    def _named(self, get: Callable[[], T], absent: str) -> T:
        """Return the record of an id from the user; raise UsageError for an unknown id."""
        try:
            return get()
        except SiteError as exc:
            if exc.status in _ABSENT:
                raise UsageError(absent) from exc
            raise

    def _get(self, url: str, read: Callable[[Any], T]) -> T:
        return _read(read, self._reader.json("GET", url), "GET", url)


def _job(plan: Plan, session: Session) -> dict[str, Any]:
    """Return a job to create, in the form of the SDK's InputJob."""
    inputs = {
        name: {"type": "project", "id": session.project_id, "name": file}
        for name, file in plan.files.items()
    }
    return {
        "attempt": 1,
        "label": "",
        "gear_id": plan.gear.id,
        "destination": {"type": "session", "id": session.id},
        "inputs": inputs,
        "tags": list(plan.tags),
        "config": dict(plan.config),
    }


def _read(read: Callable[[Any], T], record: Any, method: str, url: str) -> T:
    """Read a record; raise SiteError if it is incomplete."""
    try:
        return read(record)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise unexpected_response(method, url) from None


def _in_project(project_id: str) -> dict[str, str]:
    return {"filter": f"parents.project={project_id},{_OF_THE_GEARS}"}


def _batch(batch_id: str) -> str:
    return f"/api/batch/{_quoted(batch_id)}"


def _quoted(part: str) -> str:
    return quote(part, safe="")
