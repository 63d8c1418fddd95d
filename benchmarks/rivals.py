"""Other programs that send, each as a whole process.

`scripts/rivals.sh` installs those that the system has no packages for.
"""

import math
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

PEER_SCRIPT = Path(__file__).with_name("peer.py")
DCMJS_SCRIPT = Path(__file__).with_name("dcmjs_send.cjs")
NODELAY = {"TCP_NODELAY": "1"}


@dataclass(frozen=True)
class _Dcmtk:
    """Program of DCMTK, with its defaults or with TCP_NODELAY=1 in its environment."""

    program: ClassVar[str]
    has_nodelay: bool
    uses_tls: bool = False
    has_start_up: bool = True

    @property
    def name(self) -> str:
        """Name in the results."""
        return f"{self.program}-nodelay" if self.has_nodelay else self.program

    @property
    def title(self) -> str:
        """Display name."""
        return f"{self.program}, TCP_NODELAY=1" if self.has_nodelay else self.program

    @property
    def environment(self) -> dict[str, str]:
        """Variables in addition to the environment of this process."""
        return NODELAY if self.has_nodelay else {}


@dataclass(frozen=True)
class Dcmsend(_Dcmtk):
    """DCMTK's dcmsend, from the folder of files."""

    program = "dcmsend"
    slow_from: float = 1000

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it with its default options and the report of sent files."""
        report = folder / "report.txt"
        address = ["-aec", server.ae_title, server.host, str(server.port)]
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
    """DCMTK's storescu on the folder of files; it stops with an error at the first failure."""

    program = "storescu"
    slow_from: float = 100

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it with its default options."""
        address = ["-aec", server.ae_title, server.host, str(server.port)]
        command = ["storescu", "--scan-directories", "--recurse", *address, str(data.folder)]
        return _without_report(command, data, folder, self.environment)


@dataclass(frozen=True)
class PynetdicomStorescu:
    """The storescu of pynetdicom 3, in the Python environment where it is installed."""

    python: Path
    name: str = "pynetdicom"
    title: str = "pynetdicom 3 storescu"
    uses_tls: bool = False
    slow_from: float = 100
    has_start_up: bool = True

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it with its default options, and count the responses in its log."""
        program = [str(self.python), "-m", "pynetdicom", "storescu", "--verbose", "--recurse"]
        address = ["-aec", server.ae_title, server.host, str(server.port), str(data.folder)]
        process = measure(
            [*program, *address], folder=folder, environment=os.environ, timeout=RUN_SECONDS
        )
        answers = re.findall(r"Received Store Response \(Status: 0x0000", process.output)
        return Sending(process, sent=len(answers))


@dataclass(frozen=True)
class DicomwebClient:
    """Command of dicomweb-client, in the Python environment where it is installed."""

    program: Path
    name: str = "dicomweb-client"
    title: str = "dicomweb-client"
    uses_tls: bool = False
    slow_from: float = math.inf
    has_start_up: bool = True

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it with its default options: all files in one request."""
        files = map(str, sorted(data.folder.rglob("*.dcm")))
        command = [str(self.program), "--url", server.url, "store", "instances", *files]
        return _without_report(command, data, folder, {})


@dataclass(frozen=True)
class Dcmjs:
    """dcmjs-dimse under Node.js, through a script that adds each file to one client."""

    modules: Path
    name: str = "dcmjs"
    title: str = "dcmjs-dimse"
    uses_tls: bool = False
    slow_from: float = 100
    has_start_up: bool = True

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it with its default options; it fails if an image was not stored."""
        address = [server.host, str(server.port), server.ae_title, str(data.folder)]
        command = ["node", str(DCMJS_SCRIPT), *address]
        return _without_report(command, data, folder, {"NODE_PATH": str(self.modules)})


@dataclass(frozen=True)
class Peer:
    """Published gear, in the Python environment where it is installed."""

    python: Path
    name: str = "peer"
    title: str = "fw-gear-dicom-send 4.2.0"
    uses_tls: bool = False
    slow_from: float = 1
    has_start_up: bool = False

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it on a session of a site until the report is attached."""
        with session_with(data) as session:
            address = [server.host, str(server.port), server.ae_title]
            script = [str(self.python), "-P", str(PEER_SCRIPT)]
            process = measure(
                [*script, session.site.api_key, session.id, *address, str(folder)],
                folder=folder,
                environment=os.environ | {"TMPDIR": str(folder)},
                timeout=RUN_SECONDS,
            )
            return Sending(process, sent=session.reported("sent"))


def installed(folder: Path) -> Iterator[Sender]:
    """Yield the rivals that `scripts/rivals.sh` has installed in a folder."""
    python = folder / "pynetdicom/bin/python"
    if python.exists():
        yield PynetdicomStorescu(python.absolute())
    modules = folder / "dcmjs/node_modules"
    if modules.exists():
        yield Dcmjs(modules.absolute())


def installed_for_web(folder: Path) -> Iterator[Sender]:
    """Yield the rivals for DICOMweb that `scripts/rivals.sh` has installed in a folder."""
    program = folder / "pynetdicom/bin/dicomweb_client"
    if program.exists():
        yield DicomwebClient(program.absolute())


def _without_report(
    command: Sequence[str], data: DataSet, folder: Path, environment: dict[str, str]
) -> Sending:
    """Run a program whose exit code is its only sign that all images were sent."""
    process = measure(
        command, folder=folder, environment=os.environ | environment, timeout=RUN_SECONDS
    )
    return Sending(process, sent=0 if process.exit_code else data.images)
