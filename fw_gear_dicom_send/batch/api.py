"""What a batch asks of a Flywheel site: the requests of the public flywheel-sdk.

    gear, container             `lookup` (POST /api/lookup); for an id `get_project`, `get_subject`
    project, session            `get_project`, `get_session`
    sessions_of                 the finders `project.sessions` and `subject.sessions`
    jobs_of                     the finder `jobs`
    jobs_on                     `get_session_jobs`
    create                      `create_batch_job_from_jobs` (POST /api/batch/jobs)
    run, get, cancel            `start_batch`, `get_batch`, `cancel_batch`
    cancel_job                  `change_job_state` (PUT /api/jobs/<id>)
    retry                       `retry_job` (POST /api/jobs/<id>/retry)
    read                        `download_file_from_session_as_data`

All raise SiteError. What starts or ends something is asked once, whatever comes of it.
"""

from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import quote

from ..errors import ConfigError, SiteError, UsageError
from ..flywheel.api import API, EXHAUSTIVE, unpromised
from ..flywheel.site import connect
from . import records
from .models import Batch, Gear, Job, Plan, Project, Session

GEAR = "dicom-send"
READ_RETRIES = 3
"""How often a client asks again for what changes nothing."""

T = TypeVar("T")


class BatchAPI:
    """Asks by `reader`, which may repeat what it asks, and changes by `writer`, which does not."""

    def __init__(self, reader: API, writer: API) -> None:
        """Use two clients of the same site."""
        self._reader = reader
        self._writer = writer
        self._labels: dict[str, str] = {}

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
        absent = f"the site has no gear {' '.join(wanted)}"
        return self._look_up(["gears", *wanted], records.gear, absent)

    def container(self, kind: str, place: str) -> str:
        """Return the id of a project or subject, of which `place` is the path or the id.

        Raises UsageError if nothing is at the path, or something else.
        """
        if "/" not in place:
            return self._get(f"/api/{kind}s/{_quoted(place)}", records.record_id)
        absent = f"--{kind}: there is nothing at that path"
        found, container_id = self._look_up(place.split("/"), records.place, absent)
        if found != kind:
            raise UsageError(f"--{kind}: what is at that path is a {found}")
        return container_id

    def project(self, project_id: str) -> Project:
        """Return a project with its files."""
        return self._get(f"/api/projects/{_quoted(project_id)}", records.project)

    def session(self, session_id: str) -> Session:
        """Return a session with its files."""
        return self._get(f"/api/sessions/{_quoted(session_id)}", records.session)

    def label(self, session_id: str) -> str:
        """Return a session's label and id, for people; the id where the site does not tell."""
        if session_id not in self._labels:
            try:
                self._labels[session_id] = self.session(session_id).title
            except SiteError:
                return session_id
        return self._labels[session_id]

    def sessions_of(self, kind: str, container_id: str, search: str) -> Iterator[Session]:
        """Yield the sessions of a project or subject that the site finds by `search`."""
        url = f"/api/{kind}s/{_quoted(container_id)}/sessions"
        for page in self._reader.containers(url, {"filter": search} if search else {}):
            yield from (_read(records.session, record, "GET", url) for record in page)

    def jobs_of(self, project_id: str) -> Iterator[Job]:
        """Yield the jobs of the gear in a project."""
        url = "/api/jobs"
        query = {"filter": f"parents.project={project_id},gear_info.name={GEAR}"}
        for page in self._reader.pages(url, query):
            yield from (_read(records.job, record, "GET", url) for record in page)

    def jobs_on(self, session_id: str) -> Iterator[Job]:
        """Yield the jobs of the gear on a session."""
        url = f"/api/sessions/{_quoted(session_id)}/jobs"
        for page in self._reader.pages(url, key="jobs"):
            for record in page:
                job = _read(records.job, record, "GET", url)
                if job.gear_name == GEAR:
                    yield job

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
        """Return a batch with its jobs; raise UsageError for one of another gear."""
        url = _batch(batch_id)
        answer = self._reader.json("GET", url, params={"jobs": True})
        batch = _read(records.batch, answer, "GET", url)
        if others := {job.gear_name for job in batch.jobs} - {GEAR}:
            raise UsageError(f"the batch {batch_id} is one of the gear {min(others)}")
        return batch

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
        return _read(records.record_id, self._writer.json("POST", url), "POST", url)

    def read(self, session_id: str, name: str) -> bytes:
        """Return what a file on a session holds."""
        url = f"/api/sessions/{_quoted(session_id)}/files/{_quoted(name)}"
        what = f"/api/sessions/{_quoted(session_id)}/files/<report>"
        return self._reader.ask(
            "GET", url, what=what, headers={"Accept": "application/octet-stream"}
        )

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


def _batch(batch_id: str) -> str:
    return f"/api/batch/{_quoted(batch_id)}"


def _quoted(part: str) -> str:
    return quote(part, safe="")
