"""What sends: the gear, DCMTK's dcmsend and the published gear, each as a whole process."""

import csv
import io
import json
import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.datasets import DataSet
from benchmarks.processes import ProcessRun, measure
from benchmarks.results import TLS_SUFFIX
from benchmarks.targets import Destination
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder
from tests.support.pacs import HOST

RUN_SECONDS = 3600
PEER_SCRIPT = Path(__file__).with_name("peer.py")


@dataclass(frozen=True)
class Sending:
    """A run of a sender, and how many images it says to have sent."""

    process: ProcessRun
    sent: int


class Sender(Protocol):
    """Sends a data set to a server; `folder` is an empty one for what it needs."""

    @property
    def name(self) -> str:
        """Its name in the results."""

    @property
    def title(self) -> str:
        """Its name for a reader."""

    @property
    def slow_from(self) -> float:
        """From how many images on it takes minutes, and runs less often."""

    @property
    def uses_tls(self) -> bool:
        """Whether it sends to a server that takes TLS only."""

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it to its end."""


@dataclass(frozen=True)
class Gear:
    """This gear, from a session on a site to the attached report."""

    associations: int
    uses_tls: bool = False
    slow_from: float = math.inf

    @property
    def name(self) -> str:
        """Its name in the results."""
        return f"gear-{self.associations}{TLS_SUFFIX if self.uses_tls else ''}"

    @property
    def title(self) -> str:
        """Its name for a reader."""
        by_tls = ", TLS" if self.uses_tls else ""
        return f"gear, {self.associations} association{'s' * (self.associations > 1)}{by_tls}"

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run the manifest's command as the engine does."""
        config = {
            "destination": HOST,
            "port": server.port,
            "called_ae": server.ae_title,
            "associations": self.associations,
            "tls_enabled": self.uses_tls,
        }
        with _session_with(data) as session:
            api_key = session.site.api_key
            gear = GearFolder(folder / "v0", config, api_key=api_key, destination_id=session.id)
            if server.tls:
                for name in ("key", "cert", "ca"):
                    input_name = "add_cert_file" if name == "ca" else name
                    path = getattr(server.tls, name)
                    gear.give(path.name, path, parent_id=session.id, input_name=input_name)
            (gear.folder / "config.json").write_text(json.dumps(gear.config))
            manifest = json.loads((gear.folder / "manifest.json").read_text())
            programs = f"{Path(sys.executable).parent}:{manifest['environment']['PATH']}"
            process = measure(
                ["/bin/sh", "-c", manifest["command"]],
                folder=gear.folder,
                environment=manifest["environment"] | {"PATH": programs},
                timeout=RUN_SECONDS,
            )
            return Sending(process, sent=session.reported("Images Sent"))


@dataclass(frozen=True)
class Dcmsend:
    """DCMTK's dcmsend, from the folder of files."""

    has_nodelay: bool
    uses_tls: bool = False
    slow_from: float = 1000

    @property
    def name(self) -> str:
        """Its name in the results."""
        return "dcmsend-nodelay" if self.has_nodelay else "dcmsend"

    @property
    def title(self) -> str:
        """Its name for a reader."""
        return "dcmsend, TCP_NODELAY=1" if self.has_nodelay else "dcmsend"

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it with its default options, but for the report of what it has sent."""
        report = folder / "report.txt"
        address = ["-aec", server.ae_title, HOST, str(server.port)]
        options = ["--scan-directories", "--recurse", "--create-report-file", str(report)]
        process = measure(
            ["dcmsend", *options, *address, str(data.folder)],
            folder=folder,
            environment=os.environ | ({"TCP_NODELAY": "1"} if self.has_nodelay else {}),
            timeout=RUN_SECONDS,
        )
        text = report.read_text() if report.exists() else ""
        found = re.search(r"with status SUCCESS\s*:\s*(\d+)", text)
        return Sending(process, sent=int(found[1]) if found else 0)


@dataclass(frozen=True)
class Peer:
    """The published gear, in the Python where it is installed."""

    python: Path
    name: str = "peer"
    title: str = "fw-gear-dicom-send 4.2.0"
    uses_tls: bool = False
    slow_from: float = 1

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it from a session on a site to the attached report."""
        with _session_with(data) as session:
            address = [HOST, str(server.port), server.ae_title]
            script = [str(self.python), "-P", str(PEER_SCRIPT)]
            process = measure(
                [*script, session.site.api_key, session.id, *address, str(folder)],
                folder=folder,
                environment=os.environ | {"TMPDIR": str(folder)},
                timeout=RUN_SECONDS,
            )
            return Sending(process, sent=session.reported("sent"))


@dataclass(frozen=True)
class _Session:
    site: FlywheelSite
    id: str

    def reported(self, column: str) -> int:
        """Return the sum of a column of the attached report; 0 if an image is not complete."""
        reports = [upload.content.decode() for upload in self.site.reports]
        rows = [row for text in reports for row in csv.DictReader(io.StringIO(text))]
        if any(row.get("Status", "Complete") != "Complete" for row in rows):
            return 0
        return sum(int(row[column]) for row in rows)


@contextmanager
def _session_with(data: DataSet) -> Iterator[_Session]:
    with FlywheelSite() as site:
        project = site.add_project(site.add_group("radiology"), "Benchmark")
        session = site.add_session(site.add_subject(project, "sub-01"), "Visit 1")
        acquisition = site.add_acquisition(session, "Images")
        site.add_file(acquisition, data.flywheel_file.name, data.flywheel_file)
        yield _Session(site, session)
