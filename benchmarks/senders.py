"""Senders: the gear, its command and a replay, each as a whole process."""

import csv
import json
import math
import os
import sys
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Protocol

from benchmarks.datasets import DataSet
from benchmarks.processes import ProcessRun, measure
from benchmarks.results import TLS_SUFFIX
from benchmarks.session import session_with
from benchmarks.targets import Destination
from tests.support.command import arguments_of
from tests.support.gear import GearFolder
from tests.support.preloaded import REPOSITORY

RUN_SECONDS = 3600


@dataclass(frozen=True)
class Sending:
    """Run of a sender, and its own number of sent images.

    `connected_seconds` is the sending time by its own clock, None if the target provides it.
    """

    process: ProcessRun
    sent: int
    connected_seconds: float | None = None


class Sender(Protocol):
    """Sender of a data set to a server; `folder` is an empty work folder."""

    @property
    def name(self) -> str:
        """Name in the results; a number at its end is the number of associations."""

    @property
    def title(self) -> str:
        """Display name."""

    @property
    def slow_from(self) -> float:
        """Number of images from which it takes minutes and runs less often."""

    @property
    def uses_tls(self) -> bool:
        """Whether it sends to a server with TLS only."""

    @property
    def has_start_up(self) -> bool:
        """Whether its start-up is measured, so that CPU seconds after it are known."""

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it to its end."""


@dataclass(frozen=True)
class Gear:
    """This gear, on a session of a site until the report is attached."""

    associations: int
    uses_tls: bool = False
    slow_from: float = math.inf
    has_start_up: bool = True

    @property
    def name(self) -> str:
        """Name in the results."""
        return f"gear-{self.associations}{TLS_SUFFIX if self.uses_tls else ''}"

    @property
    def title(self) -> str:
        """Display name."""
        return f"gear, {counted(self.associations)}{', TLS' if self.uses_tls else ''}"

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run the manifest's command as the engine does."""
        config = server.options | {
            "associations": self.associations,
            "tls_enabled": self.uses_tls,
        }
        with session_with(data) as session:
            api_key = session.site.api_key
            gear = GearFolder(folder / "v0", config, api_key=api_key, destination_id=session.id)
            if server.tls:
                for name in ("key", "cert", "ca"):
                    input_name = "add_cert_file" if name == "ca" else name
                    path = getattr(server.tls, name)
                    gear.give(path.name, path, parent_id=session.id, input_name=input_name)
            gear.compile()
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
class Command:
    """Command `dicom-send`, from a folder or an archive to the report.

    `associations` and `images_per_request` are 0 for the default.
    """

    associations: int = 0
    images_per_request: int = 0
    uses_tls: bool = False
    slow_from: float = math.inf
    has_start_up: bool = True

    @property
    def name(self) -> str:
        """Name in the results."""
        per = f"-by{self.images_per_request}" if self.images_per_request else ""
        return f"command{per}-{self.associations or 'default'}"

    @property
    def title(self) -> str:
        """Display name."""
        fixed = f", {counted(self.associations)}" if self.associations else ""
        per = f", {self.images_per_request} a request" if self.images_per_request else ""
        return f"dicom-send{fixed}{per}"

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run the installed command."""
        options = server.options | {"report_folder": folder}
        if self.associations:
            options["associations"] = self.associations
        if self.images_per_request:
            options["images_per_request"] = self.images_per_request
        flags = [(f"--{name.replace('_', '-')}", value) for name, value in options.items()]
        process = measure(
            arguments_of("dicom-send", data.source, "--stamp", *chain.from_iterable(flags)),
            folder=folder,
            environment=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            timeout=RUN_SECONDS,
        )
        rows = [
            row
            for report in folder.glob("dicom-send_report-*[0-9].csv")
            for row in csv.DictReader(report.read_text().splitlines())
        ]
        return Sending(process, sent=sum(int(row["Images Sent"]) for row in rows))


@dataclass(frozen=True)
class Replay:
    """Replay of ready-made messages: the limit of the server, without other work of a sender."""

    associations: int
    uses_tls: bool = False
    slow_from: float = math.inf
    has_start_up: bool = False

    @property
    def name(self) -> str:
        """Name in the results."""
        return f"replay-{self.associations}"

    @property
    def title(self) -> str:
        """Display name."""
        return f"replay, {counted(self.associations)}"

    def send(self, data: DataSet, server: Destination, folder: Path) -> Sending:
        """Run it; its seconds are the sending time only, by its own clock."""
        address = (server.url,) if server.url else (server.host, str(server.port), server.ae_title)
        options = (*address, str(self.associations), str(data.folder))
        process = measure(
            [sys.executable, "-m", "benchmarks.replay", *options],
            folder=folder,
            environment=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            timeout=RUN_SECONDS,
        )
        if process.exit_code:
            return Sending(process, sent=0)
        told = json.loads(process.output)
        seconds = told["seconds"]
        process = replace(process, seconds=seconds, cpu_seconds=told["cpu_seconds"])
        return Sending(process, told["stored"], seconds)


def counted(associations: int) -> str:
    """Return a number of associations in words."""
    return f"{associations} association{'s' * (associations > 1)}"
