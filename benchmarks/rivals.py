"""Other programs that send, each as a whole process.

`scripts/rivals.sh` installs those that no package of the system has.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.datasets import DataSet
from benchmarks.processes import measure
from benchmarks.senders import RUN_SECONDS, Sender, Sending
from benchmarks.session import session_with
from benchmarks.targets import Destination
from tests.support.pacs import HOST

PEER_SCRIPT = Path(__file__).with_name("peer.py")
DCMJS_SCRIPT = Path(__file__).with_name("dcmjs_send.cjs")
NODELAY = {"TCP_NODELAY": "1"}


@dataclass(frozen=True)
class _Dcmtk:
    """A program of DCMTK, with its defaults or with TCP_NODELAY=1 in its environment."""

    program: ClassVar[str]
    has_nodelay: bool
    uses_tls: bool = False
    has_start_up: bool = True

    @property
    def name(self) -> str:
        """Its name in the results."""
        return f"{self.program}-nodelay" if self.has_nodelay else self.program

    @property
    def title(self) -> str:
        """Its name for a reader."""
        return f"{self.program}, TCP_NODELAY=1" if self.has_nodelay else self.program

    @property
    def environment(self) -> dict[str, str]:
        """What it has beyond the environment of this process."""
        return NODELAY if self.has_nodelay else {}


@dataclass(frozen=True)
class Dcmsend(_Dcmtk):
    """DCMTK's dcmsend, from the folder of files."""

    program = "dcmsend"
    slow_from: float = 1000

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it with its default options, but for the report of what it has sent."""
        report = folder / "report.txt"
        address = ["-aec", server.ae_title, HOST, str(server.port)]
        options = ["--scan-directories", "--recurse", "--create-report-file", str(report)]
        process = measure(
            ["dcmsend", *options, *address, str(data.folder)],
            folder=folder,
            environment=os.environ | self.environment,
            timeout=RUN_SECONDS,
        )
        text = report.read_text() if report.exists() else ""
        found = re.search(r"with status SUCCESS\s*:\s*(\d+)", text)
        return Sending(process, sent=int(found[1]) if found else 0)


@dataclass(frozen=True)
class Storescu(_Dcmtk):
    """DCMTK's storescu, from the folder of files; it ends with an error at the first failure."""

    program = "storescu"
    slow_from: float = 100

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it with its default options."""
        address = ["-aec", server.ae_title, HOST, str(server.port)]
        command = ["storescu", "--scan-directories", "--recurse", *address, str(data.folder)]
        return _without_report(command, data, folder, self.environment)


@dataclass(frozen=True)
class PynetdicomStorescu:
    """The storescu of pynetdicom 3, in the Python where it is installed."""

    python: Path
    name: str = "pynetdicom"
    title: str = "pynetdicom 3 storescu"
    uses_tls: bool = False
    slow_from: float = 100
    has_start_up: bool = True

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it with its default options, and count the answers in its log."""
        program = [str(self.python), "-m", "pynetdicom", "storescu", "--verbose", "--recurse"]
        address = ["-aec", server.ae_title, HOST, str(server.port), str(data.folder)]
        process = measure(
            [*program, *address], folder=folder, environment=os.environ, timeout=RUN_SECONDS
        )
        answers = re.findall(r"Received Store Response \(Status: 0x0000", process.output)
        return Sending(process, sent=len(answers))


@dataclass(frozen=True)
class Dcmjs:
    """dcmjs-dimse under Node.js, by a script that adds each file to one client."""

    modules: Path
    name: str = "dcmjs"
    title: str = "dcmjs-dimse"
    uses_tls: bool = False
    slow_from: float = 100
    has_start_up: bool = True

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it with its default options; it ends with an error if an image was not stored."""
        address = [HOST, str(server.port), server.ae_title, str(data.folder)]
        command = ["node", str(DCMJS_SCRIPT), *address]
        return _without_report(command, data, folder, {"NODE_PATH": str(self.modules)})


@dataclass(frozen=True)
class Peer:
    """The published gear, in the Python where it is installed."""

    python: Path
    name: str = "peer"
    title: str = "fw-gear-dicom-send 4.2.0"
    uses_tls: bool = False
    slow_from: float = 1
    has_start_up: bool = False

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it from a session on a site to the attached report."""
        with session_with(data) as session:
            address = [HOST, str(server.port), server.ae_title]
            script = [str(self.python), "-P", str(PEER_SCRIPT)]
            process = measure(
                [*script, session.site.api_key, session.id, *address, str(folder)],
                folder=folder,
                environment=os.environ | {"TMPDIR": str(folder)},
                timeout=RUN_SECONDS,
            )
            return Sending(process, sent=session.reported("sent"))


def installed(folder: Path) -> Iterator[Sender]:
    """Yield the rivals that are installed in a folder of `scripts/rivals.sh`."""
    python = folder / "pynetdicom/bin/python"
    if python.exists():
        yield PynetdicomStorescu(python.absolute())
    modules = folder / "dcmjs/node_modules"
    if modules.exists():
        yield Dcmjs(modules.absolute())


def _without_report(
    command: Sequence[str], data: DataSet, folder: Path, environment: dict[str, str]
) -> Sending:
    """Run a program that tells by its exit code alone whether all images were sent."""
    process = measure(
        command, folder=folder, environment=os.environ | environment, timeout=RUN_SECONDS
    )
    return Sending(process, sent=0 if process.exit_code else data.images)
