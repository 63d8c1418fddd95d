"""What a batch asks of a Flywheel site: the requests of the public flywheel-sdk.

    gear, container             `lookup` (POST /api/lookup); for an id `get_project`, `get_subject`
    project, session, where     `get_project`, `get_session`, `get_acquisition`
    files_below                 a finder of `get_project_acquisitions`
    sessions_of                 the finders `project.sessions` and `subject.sessions`
    jobs_of                     the finder `jobs`
    own_jobs_of                 `get_current_user_jobs`
    jobs_on                     `get_session_jobs`
    create                      `create_batch_job_from_jobs` (POST /api/batch/jobs)
    batches                     `get_all_batches`
    run, get, cancel            `start_batch`, `get_batch`, `cancel_batch`; the finder `jobs`, or
                                `get_current_user_jobs`, for the jobs that repeat others
    cancel_job                  `change_job_state` (PUT /api/jobs/<id>)
    retry                       `retry_job` (POST /api/jobs/<id>/retry)
    describe                    `get_job_logs` (GET /api/jobs/<id>/logs)
    read                        `download_file_from_session_as_data`, or `_from_acquisition_`

All raise SiteError. What starts or ends something is asked once, whatever comes of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import quote

from ..errors import ConfigError, SiteError, UsageError
from ..flywheel.api import API, EXHAUSTIVE, unpromised
from ..flywheel.client import connect
from ..models import Container
from . import records
from .models import GEAR, GEARS, Batch, Gear, Job, Place, Plan, Project, Session, StoredFile

_OF_THE_GEARS = f"gear_info.name=|[{','.join(GEARS)}]"
_ABSENT = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
"""How a site answers for an id that it does not know, or that is none."""

_SESSIONS_AT_ONCE = 100
"""Sessions whose acquisitions are asked for by one filter, which is part of a URL."""

READ_RETRIES = 3
"""How often a client asks again for what changes nothing."""

T = TypeVar("T")


class BatchAPI:
    """Asks by `reader`, which may repeat what it asks, and changes by `writer`, which does not."""

    def __init__(self, reader: API, writer: API) -> None:
        """Use two clients of the same site."""
        self._reader = reader
        self._writer = writer
        self._labels: dict[Container, str] = {}
        self._last_lines: dict[str, str] = {}
        self._retries: set[str] = set()

    @classmethod
    def connected(cls, api_key: str) -> Self:
        """Return what asks the site that a key names; raise UsageError if it names none."""
        try:
            return cls(*(API(connect(api_key, retries=number)) for number in (READ_RETRIES, 0)))
        except ConfigError:
            raise UsageError("--api-key-file: the key is not <host>:<key>") from None

    def gear(self, version: str | None = None) -> Gear:
        """Return a version of the gear, or the newest; raise UsageError if there is none."""
        wanted = [GEAR, version] if version else [GEAR]
        absent = f"the site has no gear {' '.join(wanted)!r}"
        return self._look_up(["gears", *wanted], records.gear, absent)

    def container(self, kind: str, place: str) -> str:
        """Return the id of a project or subject, of which `place` is the path or the id.

        Raises UsageError if nothing is at the path, or something else.
        """
        absent = f"--{kind}: the site has no {kind} {place!r}"
        if "/" not in place:
            url = f"/api/{kind}s/{_quoted(place)}"
            return self._named(lambda: self._get(url, records.record_id), absent)
        found, container_id = self._look_up(place.split("/"), records.place, absent)
        if found != kind:
            raise UsageError(f"--{kind}: {place!r} is a {found}")
        return container_id

    def project(self, project_id: str) -> Project:
        """Return a project with its files."""
        return self._get(f"/api/projects/{_quoted(project_id)}", records.project)

    def session(self, session_id: str) -> Session:
        """Return a session with its files."""
        return self._get(f"/api/sessions/{_quoted(session_id)}", records.session)

    def named_session(self, option: str, session_id: str) -> Session:
        """Return a session that an option names; raise UsageError if the site has none such."""
        absent = f"{option}: the site has no session {session_id!r}"
        return self._named(lambda: self.session(session_id), absent)

    def where(self, container: Container) -> Place:
        """Return the session of a job's container, and the files on both."""
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
        """The site's URL."""
        return self._reader.site

    def link(self, session: Session) -> str:
        """Return the URL of a session in a browser."""
        return f"{self.site}/#/projects/{session.project_id}/sessions/{session.id}"

    def label(self, container: Container) -> str:
        """Return a session's labels and id, for people; the id where the site does not tell."""
        if container not in self._labels:
            try:
                self._labels[container] = self.where(container).session.title
            except SiteError:
                return container.id
        return self._labels[container]

    def sessions_of(self, kind: str, container_id: str, search: str) -> Iterator[Session]:
        """Yield the sessions of a project or subject that the site finds by `search`."""
        url = f"/api/{kind}s/{_quoted(container_id)}/sessions"
        for page in self._reader.containers(url, {"filter": search} if search else {}):
            yield from (_read(records.session, record, "GET", url) for record in page)

    def files_below(self, project_id: str, session_ids: Sequence[str]) -> Iterator[Any]:
        """Yield the records of the files in the acquisitions of a project's sessions."""
        url = f"/api/projects/{_quoted(project_id)}/acquisitions"
        for start in range(0, len(session_ids), _SESSIONS_AT_ONCE):
            wanted = session_ids[start : start + _SESSIONS_AT_ONCE]
            query = {"filter": f"parents.session=|[{','.join(wanted)}]"}
            for page in self._reader.containers(url, query):
                for record in page:
                    if _read(records.session_id, record, "GET", url) in wanted:
                        yield from record.get("files") or ()

    def jobs_of(self, project_id: str) -> Iterator[Job]:
        """Yield the jobs of the gear in a project, which the site may show to admins only."""
        yield from self._jobs("/api/jobs", _in_project(project_id))

    def own_jobs_of(self, project_id: str) -> Iterator[Job]:
        """Yield the jobs of the gear in a project that the user started."""
        yield from self._jobs("/api/users/self/jobs", _in_project(project_id), key="jobs")

    def jobs_on(self, session_id: str) -> Iterator[Job]:
        """Yield the jobs of the gear on a session."""
        jobs = self._jobs(f"/api/sessions/{_quoted(session_id)}/jobs", {}, key="jobs")
        yield from (job for job in jobs if job.gear_name in GEARS)

    def create(self, plan: Plan) -> str:
        """Create a batch, of which nothing runs yet, and return its id."""
        url = "/api/batch/jobs"
        body = {"jobs": [_job(plan, session) for session in plan.sessions]}
        answer = self._writer.json("POST", url, json=body)
        return _read(records.record_id, answer, "POST", url)

    def run(self, batch_id: str) -> None:
        """Run a batch: the site makes its jobs, and the engine takes them."""
        self._writer.json("POST", f"{_batch(batch_id)}/run", (list, dict))

    def get(self, batch_id: str) -> Batch:
        """Return a batch with its jobs; raise UsageError for none, or one of another gear.

        A site may list only the jobs that the batch began with: those that repeat them belong to
        it as well.
        """
        url = _batch(batch_id)
        answer = self._named(
            lambda: self._reader.json("GET", url, params={"jobs": True}),
            f"the site has no batch {batch_id!r}",
        )
        batch = _read(records.batch, answer, "GET", url)
        if others := {job.gear_name for job in batch.jobs}.difference(GEARS):
            raise UsageError(f"the batch {batch_id} is one of the gear {min(others)}")
        ended = [job for job in batch.jobs if job.state in ("failed", "cancelled")]
        if not ended:
            return batch
        batch = batch.joined(self._retries_since(min(job.created for job in ended)))
        unlisted = self._retries.difference(job.id for job in batch.jobs)
        return batch.joined(
            self._get(f"/api/jobs/{_quoted(job_id)}", records.job) for job_id in unlisted
        )

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the gear that the user may see, the newest first."""
        url = "/api/batch"
        listed = [
            _read(lambda one: (records.created(one), records.record_id(one)), record, "GET", url)
            for record in self._reader.json("GET", url, list)
        ]
        for _, batch_id in sorted(listed, reverse=True):
            try:
                yield self.get(batch_id)
            except UsageError:
                continue  # It is one of another gear.

    def cancel(self, batch_id: str) -> int:
        """Cancel the pending jobs of a batch, and return how many these were."""
        url = f"{_batch(batch_id)}/cancel"
        answer = self._writer.json("POST", url)
        return _read(lambda record: int(record["number_cancelled"]), answer, "POST", url)

    def cancel_job(self, job_id: str) -> None:
        """Cancel a job, whether it runs or not."""
        self._writer.ask("PUT", f"/api/jobs/{_quoted(job_id)}", json={"state": "cancelled"})

    def retry(self, job_id: str) -> str:
        """Run a failed job again, and return the new job's id."""
        url = f"/api/jobs/{_quoted(job_id)}/retry"
        new_id = _read(records.record_id, self._writer.json("POST", url), "POST", url)
        self._retries.add(new_id)
        return new_id

    def describe(self, job: Job) -> str:
        """Return what became of a failed job, for people, with the end of its log."""
        if job.id not in self._last_lines:
            try:
                line = self._get(f"/api/jobs/{_quoted(job.id)}/logs", records.last_line)
            except SiteError:
                line = ""
            self._last_lines[job.id] = line
        line = self._last_lines[job.id]
        return f"{self.label(job.container)}: {job.reason}{': ' * bool(line)}{line}"

    def read(self, file: StoredFile) -> bytes:
        """Return what a file holds."""
        parent = f"/api/{file.parent.type}s/{_quoted(file.parent.id)}"
        url, what = f"{parent}/files/{_quoted(file.name)}", f"{parent}/files/<report>"
        return self._reader.ask(
            "GET", url, what=what, headers={"Accept": "application/octet-stream"}
        )

    def _retries_since(self, created: datetime) -> Iterator[Job]:
        """Yield the gear's jobs since a day that repeat others, as far as the site lists them.

        Ordinary users may not list the jobs of the site, but those of their own, as are all of
        their batches.
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
        """Get what the user named by its id; raise UsageError if the site knows no such id."""
        try:
            return get()
        except SiteError as exc:
            if exc.status in _ABSENT:
                raise UsageError(absent) from exc
            raise

    def _get(self, url: str, read: Callable[[Any], T]) -> T:
        return _read(read, self._reader.json("GET", url), "GET", url)


def _job(plan: Plan, session: Session) -> dict[str, Any]:
    """Return a job to be made, with what the SDK's InputJob says of itself."""
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
    """Read a record; one that lacks something is the site's error."""
    try:
        return read(record)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise unpromised(method, url) from None


def _in_project(project_id: str) -> dict[str, str]:
    return {"filter": f"parents.project={project_id},{_OF_THE_GEARS}"}


def _batch(batch_id: str) -> str:
    return f"/api/batch/{_quoted(batch_id)}"


def _quoted(part: str) -> str:
    return quote(part, safe="")
