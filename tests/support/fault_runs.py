"""Runs of the whole gear against a faulty server, over one association and over four."""

import csv
import io
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.fault_scp import Answer, FaultSCP, Image, Peer, Script, serve
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearResult
from tests.support.gear_runs import downloads
from tests.support.hurried_gear import SHORT_TIMEOUT, HurriedGear
from tests.support.sample_files import ArchiveMember, encoded, made, tar_of, zip_of
from tests.support.waiting import NEVER

FILES = {"a.zip": range(1, 6), "b.tgz": range(6, 12), "c.dcm": range(12, 13)}
IMAGES, LAST = 12, 12
ALL_SENT = {name: (str(len(n)), str(len(n)), "Complete") for name, n in FILES.items()}
NOT_REACHED = dict.fromkeys(FILES, ("0", "0", "Failed"))
ASSOCIATIONS = (1, 4)
SERVERS_AT_A_TIME = 3
NOT_SENT = re.compile(r": (\d+) images? not sent: (.*?)(?: \((?:first: )?member \d+\))?$", re.M)
NOT_FETCHED = re.compile(rf"({'|'.join(map(re.escape, FILES))}): (?!\d+ )(.*)")
ASKED_FOR = re.compile(r"connections asked for: (\d+)")

Scripts = Callable[[int], Sequence[Script]]
"""Scripts of a server's connections for a run with this number of associations.

The first script is for the connection of the gear's server check.
"""


@dataclass(frozen=True)
class FaultRun:
    """Run of the gear: images and responses of the server, and the gear's output.

    `start_seconds` is the time until the first connection of the gear. `rows` has images, sent
    count and status of each file in the report. `not_sent` has the reasons in the log with their
    number of images. `connections` counts all connection attempts of the gear. `fetched` are the
    downloaded files, and `not_fetched` has the reason for each other file.
    """

    associations: int
    result: GearResult
    images: tuple[Image, ...]
    answers: tuple[Answer, ...]
    rows: dict[str, tuple[str, ...]]
    not_sent: dict[str, int]
    connections: int
    fetched: frozenset[str]
    not_fetched: dict[str, str]
    start_seconds: float

    @property
    def images_fetched(self) -> int:
        """Number of images in the fetched files."""
        return sum(len(FILES[name]) for name in self.fetched)

    @property
    def acknowledged(self) -> list[int]:
        """Numbers of the images that were answered with Success or a warning, in order."""
        good = (answer for answer in self.answers if answer.status in (0x0000, 0xB000))
        return sorted(number_of(answer.sop_instance_uid) for answer in good)


FaultRuns = dict[str, list[FaultRun]]
"""Runs against several servers, by fault."""


def number_of(sop_instance_uid: str) -> int:
    """Return the number of an image."""
    return int(sop_instance_uid.rpartition(".")[2])


def once(fault: Script) -> Scripts:
    """Apply the fault once for each association, and serve the replacements."""
    return lambda associations: (serve, *[fault] * associations, serve)


def always(fault: Script) -> Scripts:
    """Apply the fault to every association."""
    return lambda _: (serve, fault)


def run_gears(
    folders: pytest.TempPathFactory,
    servers: Mapping[str, Scripts],
    silent: Collection[str] = (),
    **options: Any,
) -> FaultRuns:
    """Run the gear as `run_gear` does for each server, several at a time.

    The gear uses a short timeout for the servers in `silent`.
    """
    folder = folders.mktemp("servers")

    def run(name: str) -> list[FaultRun]:
        (folder / name).mkdir()
        timeout = SHORT_TIMEOUT if name in silent else NEVER
        return run_gear(folder / name, servers[name], timeout=timeout, **options)

    with ThreadPoolExecutor(SERVERS_AT_A_TIME) as executor:
        return dict(zip(servers, executor.map(run, servers), strict=True))


def run_gear(
    folder: Path,
    scripts: Scripts,
    *,
    numbers: Sequence[int] = ASSOCIATIONS,
    size_of_last: int = 16,
    timeout: float = NEVER,
    **options: object,
) -> list[FaultRun]:
    """Send twelve images in three files, once for each number of associations, concurrently.

    `size_of_last` is the number of rows and columns of the last image. `timeout` is how long, in
    seconds, the gear waits for a silent server.
    """

    def run(associations: int) -> FaultRun:
        parent = folder / f"{associations}"
        parent.mkdir()
        connected_after: list[float] = []

        def check(peer: Peer) -> None:
            connected_after.append(time.monotonic() - begun)
            first(peer)

        first, *others = scripts(associations)
        with FaultSCP(check, *others) as server, FlywheelSite() as site:
            gear = _gear(parent, site, server, size_of_last, timeout)
            gear.config["config"] |= {"associations": associations, **options}
            begun = time.monotonic()
            result = gear.run()
        (upload,) = site.reports
        _, *rows = csv.reader(io.StringIO(upload.content.decode()))
        not_sent: dict[str, int] = {}
        for number, reason in NOT_SENT.findall(result.log):
            not_sent[reason] = not_sent.get(reason, 0) + int(number)
        fetched = frozenset(path.rpartition("/files/")[2] for path in downloads(site))
        (asked_for,) = ASKED_FOR.findall(result.stderr)
        return FaultRun(
            associations=associations,
            result=result,
            images=tuple(server.images),
            answers=tuple(server.answers),
            rows={row[2]: tuple(row[3:]) for row in rows},
            not_sent=not_sent,
            connections=int(asked_for),
            fetched=fetched,
            not_fetched={
                name: reason
                for name, reason in NOT_FETCHED.findall(result.log)
                if name not in fetched
            },
            start_seconds=connected_after[0],
        )

    with ThreadPoolExecutor() as executor:
        return list(executor.map(run, numbers))


def _gear(
    folder: Path, site: FlywheelSite, server: FaultSCP, size_of_last: int, timeout: float
) -> HurriedGear:
    members = [
        ArchiveMember(f"{n}.dcm", encoded(made(n, pixels=size_of_last if n == LAST else 16)))
        for n in range(1, IMAGES + 1)
    ]
    first, second, (last,) = (members[n.start - 1 : n.stop - 1] for n in FILES.values())
    project = site.add_project(site.add_group("lab"), "Study")
    session = site.add_session(site.add_subject(project, "sub-01"), "visit 1")
    acquisition = site.add_acquisition(session, "CT")
    site.add_file(acquisition, "a.zip", zip_of(folder / "a.zip", first), file_type="dicom")
    site.add_file(acquisition, "b.tgz", tar_of(folder / "b.tgz", second, "gz"), file_type="dicom")
    site.add_file(acquisition, "c.dcm", last.content)
    peer = {"destination": "127.0.0.1", "port": server.port, "called_ae": "PACS"}
    return HurriedGear(
        folder / "v0", peer, api_key=site.api_key, destination_id=session, timeout=timeout
    )
