"""Engine that runs the jobs of the stand-in site, like Flywheel's engine.

with FlywheelEngine(site, tmp_path, max_running=4, outcome=lambda _: Simulated()) as engine:
    ... run a batch ...
    engine.wait()
"""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from tests.support import flywheel_metadata
from tests.support.flywheel_http import Upload
from tests.support.flywheel_lists import Record
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import MAX_RUN_SECONDS, GearFolder, GearResult

POLL = 0.005
REPORT_HEADER = (
    "Acquisition ID",
    "FW Path",
    "Filename",
    "Images in Series",
    "Images Sent",
    "Status",
)


@dataclass(frozen=True)
class RunGear:
    """Run the gear itself; after `timeout` seconds, kill it and fail the job."""

    timeout: float = MAX_RUN_SECONDS


@dataclass(frozen=True)
class Simulated:
    """Simulate the job: it ends in `state` after a delay, with a report of these rows or none.

    `reason` is the failure reason in its record.
    """

    state: str = "complete"
    seconds: float = 0
    report: Sequence[Sequence[object]] | None = None
    log: str = ""
    reason: str | None = None


@dataclass(frozen=True)
class Endless:
    """Let the job run until it is cancelled."""


Outcome = RunGear | Simulated | Endless


class FlywheelEngine:
    """Runs the pending jobs of a site, oldest first, inside a `with` block.

    Args:
        site: Site with the jobs.
        folder: Folder for the gears; each runs in a subfolder that is deleted afterwards.
        max_running: Maximum number of running jobs.
        outcome: Function that selects the outcome of a job by its record when it starts; by
            default every job runs the gear.
    """

    def __init__(
        self,
        site: FlywheelSite,
        folder: Path,
        *,
        max_running: int = 1,
        outcome: Callable[[Record], Outcome] = lambda _job: RunGear(),
    ) -> None:
        self.results: dict[str, GearResult] = {}
        self._site = site
        self._folder = folder
        self._outcome = outcome
        self._closing = threading.Event()
        self._errors: list[Exception] = []
        self._workers = [threading.Thread(target=self._work) for _ in range(max_running)]

    def __enter__(self) -> Self:
        """Start to take jobs."""
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Take no more jobs, kill running gears, and raise errors of the engine's threads.

        The running jobs keep their state.
        """
        self._closing.set()
        for worker in self._workers:
            worker.join()
        if kind is None and self._errors:
            raise self._errors[0]

    def wait(self, timeout: float = MAX_RUN_SECONDS) -> None:
        """Wait until no job is pending or running; raise TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self._idle() and not self._errors:
            if time.monotonic() > deadline:
                raise TimeoutError("jobs are still pending or running")
            time.sleep(POLL)

    def _idle(self) -> bool:
        with self._site.lock:
            states = {job["state"] for job in self._site.jobs.values()}
        return states.isdisjoint(("pending", "running"))

    def _work(self) -> None:
        while not self._closing.is_set():
            job = self._site.queue.take()
            if job is None:
                self._closing.wait(POLL)
                continue
            try:
                self._run(job)
            except Exception as error:
                self._errors.append(error)
                self._site.queue.end(job["_id"], "failed")

    def _run(self, job: Record) -> None:
        match self._outcome(job):
            case RunGear(timeout):
                self._run_gear(job, timeout)
            case Simulated(state, seconds, report, log, reason):
                self._site.queue.log(job["_id"], log)
                if self._continues(job, seconds):
                    if report is not None:
                        self._attach_report(job, report)
                    self._site.queue.end(job["_id"], state, reason=reason)
            case Endless():
                self._continues(job, float("inf"))

    def _continues(self, job: Record, seconds: float) -> bool:
        """Wait, and return whether the job was neither cancelled nor abandoned meanwhile."""
        end = time.monotonic() + seconds
        while self._wanted(job):
            if (left := end - time.monotonic()) <= 0:
                return True
            self._closing.wait(min(left, POLL))
        return False

    def _wanted(self, job: Record) -> bool:
        with self._site.lock:
            return not self._closing.is_set() and (
                self._site.jobs[job["_id"]]["state"] == "running"
            )

    def _attach_report(self, job: Record, rows: Sequence[Sequence[object]]) -> Upload:
        """Attach a report at the gear's destination, under its real name.

        A gear with a read-only key, as used by gear rules, leaves this to the engine.
        """
        text = io.StringIO()
        csv.writer(text).writerows([REPORT_HEADER, *rows])
        kind, container_id = job["destination"]["type"], job["destination"]["id"]
        container = self._site.containers[container_id]
        label = container.get("label", container_id)
        if kind == "acquisition":
            container_id = container["parents"]["session"]
            label = f"{self._site.containers[container_id]['label']}_{label}"
        moment = datetime.now(UTC).strftime("%Y-%m-%d_%H:%M:%S")
        name = f"dicom-send_report-{label}_{moment}.csv"
        origin = self._site.origin_of(self._site.credentials(self._site.job_key(job["_id"])))
        if job["gear_info"]["name"] == "dicom-send-rule":
            container_id, origin = job["destination"]["id"], {"type": "job", "id": job["_id"]}
        return self._site.attach(container_id, name, text.getvalue().encode(), origin)

    def _run_gear(self, job: Record, timeout: float) -> None:
        folder = self._folder / job["_id"]
        try:
            result = self._gear_result(job, self._laid_out(job, folder), timeout)
            self._site.queue.log(job["_id"], result.stdout)
            self._site.queue.log(job["_id"], result.stderr, channel=2)
            self.results[job["_id"]] = result
            if not self._wanted(job):
                self._site.queue.end(job["_id"], "failed")
                return
            is_success = result.exit_code == 0
            origin = {"type": "job", "id": job["_id"]}
            for path in result.output:
                self._site.attach(job["destination"]["id"], path.name, path.read_bytes(), origin)
            self._apply(job["destination"], result.metadata, is_success=is_success)
            names = [path.name for path in result.output]
            state = "complete" if is_success else "failed"
            self._site.queue.end(job["_id"], state, saved=names)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _apply(self, place: Record, metadata: Mapping[str, Any], *, is_success: bool) -> None:
        """Apply metadata; the changed files may trigger rules."""
        with self._site.lock:
            files = self._site.containers[place["id"]]["files"]
            before = [dict(file) for file in files]
            flywheel_metadata.apply(self._site, place, metadata, is_success=is_success)
            for old, new in zip(before, files, strict=True):
                self._site.rules.file_changed(place["id"], new, old)

    def _laid_out(self, job: Record, folder: Path) -> GearFolder:
        gear = GearFolder(
            folder,
            job["config"]["config"],
            api_key=self._site.job_key(job["_id"]),
            destination_id=job["destination"]["id"],
            destination_type=job["destination"]["type"],
        )
        manifest = self._site.gears[job["gear_id"]]["gear"]
        (folder / "manifest.json").write_text(json.dumps(manifest))
        gear.config["job"] = {"id": job["_id"]}
        for input_name, reference in job["inputs"].items():
            file = self._file(reference)
            gear.give(
                file["name"],
                self._site.contents[file["file_id"]],
                parent_id=reference["id"],
                parent_type=reference["type"],
                input_name=input_name,
                file_type=file["type"],
                record=file,
            )
        return gear

    def _file(self, reference: Record) -> dict[str, Any]:
        files = self._site.containers[reference["id"]]["files"]
        return next(file for file in files if file["name"] == reference["name"])

    def _gear_result(self, job: Record, gear: GearFolder, timeout: float) -> GearResult:
        """Run a gear to its end; send it SIGTERM when its job is cancelled."""
        running = gear.start()
        with self._watched(job, running.pid, running.cancel):
            try:
                return running.finish(timeout)
            except subprocess.TimeoutExpired:
                return GearResult(-signal.SIGKILL, "", "The gear took too long.", timeout, ())

    @contextlib.contextmanager
    def _watched(self, job: Record, pid: int, cancel: Callable[[], None]) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            is_signalled = False
            while not over.wait(POLL):
                if self._closing.is_set():
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                    return
                if not is_signalled and not self._wanted(job):
                    cancel()
                    is_signalled = True

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
