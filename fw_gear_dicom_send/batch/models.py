"""Immutable types of a batch run."""

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any

from ..models import Container
from ..values import field, frozen, replace

GEARS = ("dicom-send", "dicom-send-rule")
"""The gear of batches, and the gear of gear rules, which differs only in its manifest."""

GEAR = GEARS[0]
SERVER_OPTIONS = ("destination", "port", "called_ae")
ACTIVE = ("pending", "running")
WAITING = "waiting"
"""State of a job that the site does not have yet."""
STATES = ("complete", "failed", "cancelled", "running", "pending", WAITING)
"""All states of a job (the SDK's JobState), and our own."""


@frozen
class Gear:
    """Version of the gear on the site, with the options and the names of the inputs it has."""

    id: str
    name: str
    version: str
    options: Mapping[str, Mapping[str, Any]]
    inputs: frozenset[str]

    def value(self, option: str, config: Mapping[str, Any]) -> Any:
        """Return the value of an option in a job with this configuration."""
        return config.get(option, self.options.get(option, {}).get("default"))


@frozen
class Project:
    """Project with its path on the site and the names of its attached files."""

    path: str
    files: frozenset[str]


@frozen
class StoredFile:
    """File on a container; `job_id` is the job that created it, or an empty string."""

    parent: Container
    name: str
    created: datetime
    job_id: str = ""


@frozen
class Session:
    """Session.

    `timestamp` is the time of the scan, in its own time zone if known. `subject` is the label of
    the subject, or an empty string if unknown. `choices` are the parts of the records of its files
    that decide whether they are sent.
    """

    id: str
    label: str
    subject: str
    project_id: str
    timestamp: datetime | None
    tags: frozenset[str]
    deleted: bool
    files: tuple[StoredFile, ...] = ()
    choices: tuple[Mapping[str, Any], ...] = ()

    @property
    def title(self) -> str:
        """Labels and id."""
        return f"{self.path} ({self.id})"

    @property
    def path(self) -> str:
        """Labels of subject and session."""
        return f"{self.subject}/{self.label}" if self.subject else self.label


@frozen
class Place:
    """Session of a job, with the files among which its reports are.

    `url` is the session's page on the site. `report_label` is a part of the reports' names.
    `files` are those of the session, and of the acquisition if the job ran on one.
    """

    session: Session
    url: str
    report_label: str
    files: tuple[StoredFile, ...]


@frozen
class Job:
    """Job of a gear on a container, with the gear's options as `config`.

    `started` is the time of creation if the site has no start time. `ended` is None for an active
    job. `batch_id`, and the id of the retried job, `previous_id`, may be empty. A job that
    `has_file` sends only this input file.
    """

    id: str
    container: Container
    state: str
    gear_name: str
    attempt: int
    created: datetime
    started: datetime
    ended: datetime | None
    failure_reason: str
    config: Mapping[str, Any]
    batch_id: str = ""
    previous_id: str = ""
    has_file: bool = False

    @property
    def is_active(self) -> bool:
        """Whether the job is pending or running."""
        return self.state in ACTIVE

    @property
    def has_ended(self) -> bool:
        """Whether the job was started, and is not active."""
        return not self.is_active and self.state != WAITING

    def ran_at(self, moment: datetime, slack: timedelta = timedelta()) -> bool:
        """Return whether the job was running at a moment, or had ended at most `slack` before."""
        return self.started <= moment and (not self.ended or moment <= self.ended + slack)

    @property
    def is_dry_run(self) -> bool:
        """Whether the job sends nothing."""
        return bool(self.config.get("dry_run"))

    @property
    def reason(self) -> str:
        """Reason why the job is not complete, from the site."""
        if self.state == "failed":
            return f"the job failed: {self.failure_reason or 'see its log'}"
        if self.state == WAITING:
            return "the job was not started"
        return f"the job is {self.state}"


@frozen
class Batch:
    """Batch of jobs, created by its `owner`. Its `state` is pending until it is run.

    `sessions` is the number of its sessions if some jobs start later, otherwise 0.
    """

    id: str
    state: str
    created: datetime
    owner: str
    jobs: tuple[Job, ...]
    sessions: int = 0

    def with_more(self, others: Iterable[Job]) -> "Batch":
        """Return the batch with those of `others` that are its own, or retry its jobs."""
        jobs = {job.id: job for job in self.jobs}
        for job in sorted(others, key=lambda job: job.attempt):
            if job.batch_id == self.id or job.previous_id in jobs:
                jobs.setdefault(job.id, job)
        return replace(self, jobs=tuple(jobs.values()))

    def with_waiting(self, session_ids: Iterable[str]) -> "Batch":
        """Return the batch with a waiting job for each of these sessions that has no job."""
        containers = {job.container for job in self.jobs}
        waiting = tuple(
            replace(first, id="", container=container, state=WAITING, attempt=0, ended=None)
            for first in self.jobs[:1]
            for container in (Container("session", session_id) for session_id in session_ids)
            if container not in containers
        )
        return replace(self, jobs=self.jobs + waiting)

    @property
    def missing(self) -> int:
        """Number of sessions without a job, even a waiting one."""
        return max(0, self.sessions - len(self.newest))

    @property
    def newest(self) -> tuple[Job, ...]:
        """The newest job of each container: a retry replaces the job before it."""
        found: dict[Container, Job] = {}
        for job in self.jobs:
            other = found.get(job.container)
            if not other or (other.attempt, other.created) <= (job.attempt, job.created):
                found[job.container] = job
        return tuple(found.values())


@frozen
class NewJob:
    """Job to start on a session, with files of its project by input.

    `batch_size` is the number of sessions in its batch if some jobs start later, otherwise 0.
    """

    gear_id: str
    config: Mapping[str, Any]
    files: Mapping[str, str]
    tags: Sequence[str]
    session_id: str
    project_id: str
    batch_size: int = 0


@frozen
class Sent:
    """Ids of the sessions that were sent to the server before.

    No file of the `whole` ones is newer. Others have `newer` files, or were `filtered`: the earlier
    job left out files that the new one may select.
    """

    whole: Set[str] = frozenset()
    newer: Set[str] = frozenset()
    filtered: Set[str] = frozenset()


@frozen
class Plan:
    """Plan of a batch.

    `files` has the names of the project's files for the inputs. `undated` is the number of sessions
    that are skipped because a filter needs their date. `origin` is the file that names the server.
    """

    gear: Gear
    config: Mapping[str, Any]
    files: Mapping[str, str]
    tags: tuple[str, ...]
    sessions: tuple[Session, ...]
    projects: Mapping[str, Project]
    sent: Sent = Sent()
    undated: int = 0
    origin: str = ""

    def jobs(self, first: int) -> list[NewJob]:
        """Return the jobs. Only the `first` ones start immediately."""
        total = len(self.sessions)
        size = total if first < total else 0
        return [
            NewJob(self.gear.id, self.config, self.files, self.tags, one.id, one.project_id, size)
            for one in self.sessions
        ]


@frozen
class JobResult:
    """Result of a session's newest job, from the job and its reports.

    `project` is the path of the project. `is_explained` means that a summary of the run was found.
    `url` is the session's page on the site. `reason` is empty if all images were sent. `codes` are
    codes of reasons with their numbers of images, also of other versions of the gear, and `texts`
    the first text of each. `seconds` is the duration of the job, or None while it is active.
    """

    label: str
    state: str
    images: int = 0
    sent: int = 0
    files: int = 0
    complete_files: int = 0
    url: str = ""
    reason: str = ""
    subject: str = ""
    seconds: float | None = None
    advice: str = ""
    codes: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    project: str = ""
    is_explained: bool = False

    @property
    def path(self) -> str:
        """Labels of subject and session."""
        return "/".join(filter(None, (self.subject, self.label)))
