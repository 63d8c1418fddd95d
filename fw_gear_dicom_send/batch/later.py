"""Jobs of a batch that start later, as others end.

A site has no list of sessions without a job. A file beside the reports has it; the site shows which
of these sessions have a job by now. The file has no credentials and no labels.
"""

import importlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from itertools import chain
from pathlib import Path

from ..errors import SiteError, UsageError
from ..models import Container
from ..report.output import remove, write_whole
from ..report_names import waiting_name
from ..retry import RetryBudget
from ..values import frozen, replace
from .api import BatchAPI
from .models import WAITING, Batch, Job, NewJob
from .parallel import in_order

JOBS_AT_ONCE = 50
"""Default number of active jobs of a batch."""

log = logging.getLogger(__name__)


@frozen
class Waiting:
    """Content of the file: new jobs by session. None starts while `is_stopped`."""

    jobs: Mapping[str, NewJob]
    jobs_at_once: int
    is_stopped: bool = False


class Later:
    """Jobs of one batch, with those that start later.

    The mutable state is the content of the file, the jobs that were started later, the failed jobs
    to retry, and the sessions whose job the site refused.
    """

    def __init__(
        self, api: BatchAPI, batch_id: str, folder: Path, jobs_at_once: int | None, silence: float
    ) -> None:
        """Allow this number of active jobs, 0 for any, by default that of the batch.

        If the site fails to start a job for `silence` seconds, the command ends.
        """
        self.batch_id = batch_id
        self.path = folder / waiting_name(batch_id)
        self.failures = 0
        self._api = api
        self._jobs_at_once = jobs_at_once
        self._budget = RetryBudget(silence, success="a started job")
        self._waiting = _read(self.path)
        self._started: dict[str, Job] | None = None
        self.retries: set[str] = set()
        self._refused: set[Container] = set()

    @property
    def is_stopped(self) -> bool:
        """Whether waiting jobs do not start."""
        return bool(self._waiting and self._waiting.is_stopped)

    def create(self, jobs: Sequence[NewJob], jobs_at_once: int) -> None:
        """Write the file for waiting jobs."""
        self._write(Waiting({job.session_id: job for job in jobs}, jobs_at_once))

    def set_stopped(self, is_stopped: bool) -> None:
        """Stop or continue the start of jobs, also by another command in the same folder."""
        if self._waiting:
            with _locked(self.path.parent):
                self._write(replace(self._waiting, is_stopped=is_stopped))

    def retry(self, jobs: Iterable[Job]) -> None:
        """Retry these failed jobs when there is room for them."""
        self.retries |= {job.id for job in jobs}

    def poll(self) -> Batch:
        """Return the batch with all its jobs, also waiting ones."""
        batch = self._api.get(self.batch_id, self._started_later)
        # `stop` writes the file before it cancels jobs.
        self._waiting = _read(self.path)
        return batch.with_waiting(self._waiting.jobs if self._waiting else ())

    def start_next(self, batch: Batch) -> bool:
        """Start as many due jobs as there is room for; return whether any was due.

        A job that the site refuses is logged. Raises SiteError if the site fails for too long.
        """
        due = [job for job in batch.newest if self._is_due(job)]
        limit = self._jobs_at_once
        if limit is None:
            limit = self._waiting.jobs_at_once if self._waiting else JOBS_AT_ONCE
        room = max(0, limit - sum(job.is_active for job in batch.newest)) if limit else None
        for job in due[:room]:
            verb = "start" if job.state == WAITING else "retry"
            try:
                self._start(job)
            except SiteError as exc:
                label = self._api.label(job.container)
                if verb == "start" and not exc.is_final:
                    if self._budget.is_spent():
                        raise
                    log.warning("%s: cannot start the job yet: %s", label, exc)
                    break
                self.failures += 1
                self._refused.add(job.container)
                log.error("%s: cannot %s the job: %s", label, verb, exc)
            else:
                self._budget.restore()
        return bool(due)

    def _is_due(self, job: Job) -> bool:
        if job.state == WAITING:
            return not self.is_stopped and job.container not in self._refused
        return job.id in self.retries

    def _start(self, job: Job) -> None:
        """Retry a failed job, or start a waiting one unless it was stopped or the site has it.

        The response to an earlier request may have been lost, or another command started it.
        """
        if job.state != WAITING:
            self.retries.discard(job.id)
            self._api.retry(job.id)
            return
        session_id = job.container.id
        with _locked(self.path.parent):
            self._waiting = _read(self.path)
            if not self._is_due(job):
                return
            jobs = self._api.jobs_on(session_id) or ()
            found = [other for other in jobs if other.batch_id == self.batch_id]
            if not found and self._waiting:
                new_id = self._api.add(self.batch_id, self._waiting.jobs[session_id])
                found = [replace(job, id=new_id, state="pending", batch_id=self.batch_id)]
        self._started = {**(self._started or {}), **{other.id: other for other in found}}

    def _started_later(self, batch: Batch) -> Iterable[Job]:
        """Return the jobs that were started later: the first time by a search of the site."""
        if not batch.sessions:
            return ()
        if self._started is None:
            jobs: Iterable[Job] | None = self._api.jobs_since(batch.created)
            if jobs is None:
                sessions = tuple(self._waiting.jobs) if self._waiting else ()
                lists = in_order(self._api.jobs_on, sessions, "Looking for jobs")
                jobs = chain.from_iterable(found or () for found in lists)
            self._started = {job.id: job for job in jobs if job.batch_id == batch.id}
        active = [job for job in self._started.values() if job.is_active]
        self._started |= {job.id: job for job in in_order(self._api.current, active)}
        return self._started.values()

    def _write(self, waiting: Waiting) -> None:
        first = next(iter(waiting.jobs.values()))
        content = {
            "jobs_at_once": waiting.jobs_at_once,
            "is_stopped": waiting.is_stopped,
            "gear_id": first.gear_id,
            "config": first.config,
            "files": first.files,
            "tags": first.tags,
            "batch_size": first.batch_size,
            "sessions": {job.session_id: job.project_id for job in waiting.jobs.values()},
        }
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            write_whole(part, json.dumps(content, indent=1))
            part.replace(self.path)
        except OSError as exc:
            remove(part)
            raise UsageError(f"--report-folder: cannot write {self.path}: {exc.strerror}") from exc
        self._waiting = waiting


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one command at a time start or stop jobs in a folder, if the system has such locks."""
    with ExitStack() as stack:
        with suppress(ImportError, OSError):
            fcntl = importlib.import_module("fcntl")
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@lru_cache(maxsize=1)
def _parsed(text: str) -> Waiting:
    content = json.loads(text)
    common = {name: content[name] for name in ("gear_id", "config", "files", "tags")}
    size = int(content["batch_size"])
    jobs = {
        session: NewJob(**common, session_id=session, project_id=project, batch_size=size)
        for session, project in content["sessions"].items()
    }
    return Waiting(jobs, max(0, int(content["jobs_at_once"])), bool(content["is_stopped"]))


def _read(path: Path) -> Waiting | None:
    """Read the file of waiting jobs, if it exists; raise UsageError if it is invalid."""
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise UsageError(
            f"--report-folder: cannot read {path}; restore it, or delete it and send the other "
            "sessions with start --not-yet-sent"
        ) from None
