"""The frozen types that travel between the steps of a batch run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..models import Container

GEARS = ("dicom-send", "dicom-send-rule")
"""The gear that a batch runs, and the one that gear rules run: the same by another manifest."""

GEAR = GEARS[0]
ACTIVE = ("pending", "running")
STATES = ("complete", "failed", "cancelled", "running", "pending")
"""All states of a job (the SDK's JobState)."""


@dataclass(frozen=True)
class Gear:
    """A version of the gear as the site has it.

    `options` are those of its manifest, `inputs` the names of its inputs.
    """

    id: str
    name: str
    version: str
    options: Mapping[str, Mapping[str, Any]]
    inputs: frozenset[str]


@dataclass(frozen=True)
class Project:
    """A project, with its group's id and the names of the files that are attached to it."""

    id: str
    group: str
    label: str
    files: frozenset[str]

    @property
    def path(self) -> str:
        """Where it is, for people."""
        return f"{self.group}/{self.label}"


@dataclass(frozen=True)
class StoredFile:
    """A file on a container; `job_id` is that of the job whose output it is, where it is one's."""

    parent: Container
    name: str
    created: datetime
    job_id: str = ""


@dataclass(frozen=True)
class Session:
    """A session; `timestamp` is when it was scanned, in the time zone of the scan if that is known.

    `subject` is the label of its subject, empty where the site does not tell.
    `files` are known only where the session was asked for alone.
    """

    id: str
    label: str
    subject: str
    project_id: str
    timestamp: datetime | None
    tags: frozenset[str]
    deleted: bool
    files: tuple[StoredFile, ...] = ()

    @property
    def title(self) -> str:
        """Labels and id, for people."""
        return f"{self.path} ({self.id})"

    @property
    def path(self) -> str:
        """The labels of subject and session."""
        return f"{self.subject}/{self.label}" if self.subject else self.label


@dataclass(frozen=True)
class Acquisition:
    """An acquisition with its files."""

    id: str
    label: str
    session_id: str
    files: tuple[StoredFile, ...]


@dataclass(frozen=True)
class Place:
    """Where a job ran, and where its reports lie.

    `url` leads to the session on the site, and `report_label` is the label in the names of the
    reports. The `files` are those of the session, and of the acquisition where it ran on one.
    """

    session: Session
    url: str
    report_label: str
    files: tuple[StoredFile, ...]


@dataclass(frozen=True)
class Job:
    """A job of a gear.

    `container` is what it runs on; `config` holds the gear's options. `started` is
    when it began to run, or was created where the site does not tell; `ended` is None while it
    has not. `batch_id` and `previous_id`, of the job that it repeats, are empty where there is
    none.
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

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.state in ACTIVE

    def ran_at(self, moment: datetime) -> bool:
        """Return whether it ran at a moment."""
        return self.started <= moment and (not self.ended or moment <= self.ended)

    @property
    def is_dry_run(self) -> bool:
        """Whether it sends nothing."""
        return bool(self.config.get("dry_run"))

    @property
    def reason(self) -> str:
        """Why it did not complete, as far as the site says."""
        if self.state == "failed":
            return f"the job failed: {self.failure_reason or 'its log says why'}"
        return f"the job is {self.state}"


@dataclass(frozen=True)
class Batch:
    """A batch of jobs; its `state` is pending until it is run. Its `owner` has created it."""

    id: str
    state: str
    created: datetime
    owner: str
    jobs: tuple[Job, ...]

    def joined(self, others: Iterable[Job]) -> "Batch":
        """Return the batch with those of other jobs that repeat its own."""
        jobs = {job.id: job for job in self.jobs}
        for job in sorted(others, key=lambda one: one.attempt):
            if job.batch_id == self.id or job.previous_id in jobs:
                jobs.setdefault(job.id, job)
        return replace(self, jobs=tuple(jobs.values()))

    @property
    def newest(self) -> tuple[Job, ...]:
        """The newest job of each container: a retry counts instead of what it repeats."""
        found: dict[Container, Job] = {}
        for job in self.jobs:
            other = found.get(job.container)
            if not other or (other.attempt, other.created) <= (job.attempt, job.created):
                found[job.container] = job
        return tuple(found.values())


@dataclass(frozen=True)
class Plan:
    """What a batch would run; `files` names the files on the project that are inputs.

    Beside the `sessions`, some were left out as `already_sent`, or `undated` where days were asked
    for.
    """

    gear: Gear
    config: Mapping[str, Any]
    files: Mapping[str, str]
    tags: tuple[str, ...]
    sessions: tuple[Session, ...]
    projects: Mapping[str, Project]
    already_sent: int
    undated: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of a session: its newest job, and what the report of that says.

    `url` leads to the session on the site; `reason` tells why not all is sent, and is empty where
    all is. `advice` is what to do then. `causes` are the codes of reasons, with how many images
    each is about, where the run has left them. `seconds` is how long the job ran, None while it
    runs.
    """

    session_id: str
    label: str
    job_id: str
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
    causes: tuple[tuple[str, int], ...] = ()
