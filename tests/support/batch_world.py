"""Project on the stand-in site, and a user who runs `dicom-send-batch` on it."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fw_gear_dicom_send.batch import main
from tests.support.flywheel_engine import FlywheelEngine, Simulated
from tests.support.flywheel_lists import Record
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import manifest

TO = ("--destination", "pacs.example.org", "--called-ae", "ARCHIVE")
DRY_ROW = ("a1", "lab/Study/S/v/T1/files/t.zip", "t.zip", 5, 0, "Dry run")
ROW = ("a1", "lab/Study/S/v/T1/files/t.zip", "t.zip", 5, 5, "Complete")
GOOD = Simulated(report=[ROW])
FAILED = Simulated("failed")


class World:
    """Site with one project of sessions, and a user who runs the command in this process."""

    def __init__(self, site: FlywheelSite, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.gear = site.add_gear(manifest())
        self.project = site.add_project(site.add_group("lab"), "Study")
        self.timeouts = main.DEFAULT_TIMEOUTS
        self.key_file = folder / "user.json"
        self.key_file.write_text(json.dumps({"key": site.api_key}))
        self.key_file.chmod(0o600)

    def add(self, label: str, subject: str = "DOE^JANE", **more: Any) -> str:
        """Add a session with its own subject."""
        return self.site.add_session(self.site.add_subject(self.project, subject), label, **more)

    def arguments(self, *arguments: object) -> list[str]:
        """Return a command line with the API key and short intervals."""
        name, *rest = map(str, arguments)
        more = ["--api-key-file", str(self.key_file)]
        if name != "list":
            more += ["--report-folder", str(self.folder / "out")]
        if name not in ("stop", "gather", "list"):
            more += ["--interval", "0.02"]
        return [name, *rest, *more]

    def run(self, *arguments: object) -> int:
        """Run the command and return its exit code."""
        return main.main(self.arguments(*arguments), timeouts=self.timeouts)

    def start(self, *arguments: object) -> int:
        """Start a batch on the project."""
        return self.run("start", "--project", "lab/Study", *TO, "--yes", *arguments)

    def prepare(self, *labels: str) -> str:
        """Add sessions, start a batch on them and return its id; no job runs yet."""
        for label in labels:
            self.add(label)
        assert self.start("--no-follow") == 0
        return list(self.site.batches)[-1]

    def batch(self, jobs: Sequence[Record]) -> str:
        """Start a batch of jobs that the command did not create; return its id."""
        batch_id = str(self.site.queue.propose({"jobs": jobs})["_id"])
        self.site.queue.run_batch(batch_id)
        return batch_id

    def proposed(self) -> list[Record]:
        """Return the jobs that were proposed for the newest batch."""
        batch = list(self.site.batches.values())[-1]
        jobs: list[Record] = batch["proposal"]["preconstructed_jobs"]
        return jobs

    def labels(self) -> list[str]:
        """Return the labels of the sessions in the newest batch."""
        if not self.site.batches:
            return []
        ids = [job["destination"]["id"] for job in self.proposed()]
        return [self.site.containers[one]["label"] for one in ids]

    def rows(self, batch_id: str) -> list[dict[str, str]]:
        """Return the rows of the gathered table."""
        text = (self.folder / "out" / f"dicom-send_batch-{batch_id}.csv").read_text()
        return list(csv.DictReader(io.StringIO(text)))

    def page(self, batch_id: str) -> str:
        """Return the gathered page."""
        return (self.folder / "out" / f"dicom-send_batch-{batch_id}.html").read_text()

    def ended(self, outcome: Callable[[Record], Any]) -> None:
        """Run all jobs to their end."""
        with FlywheelEngine(self.site, self.folder / "jobs", outcome=outcome) as engine:
            engine.wait()

    def session_of(self, label: str) -> str:
        """Return the id of the session with a label."""
        containers = self.site.containers.values()
        (found,) = (one["_id"] for one in containers if one.get("label") == label)
        return str(found)

    def label_of(self, job: Record) -> str:
        """Return the label of a job's session."""
        return str(self.site.containers[job["destination"]["id"]]["label"])


def posts(site: FlywheelSite, end: str) -> list[str]:
    """Return the POST requests whose path has this ending."""
    return [path for path in site.requested("POST") if path.endswith(end)]
