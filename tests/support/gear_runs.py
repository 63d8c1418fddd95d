"""Runs of the whole gear on a session of the stand-in site, and their reports."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder
from tests.support.sample_files import (
    ArchiveMember,
    encoded,
    of_own_study,
)

HEADER = ["Acquisition ID", "FW Path", "Filename", "Images in Series", "Images Sent", "Status"]
CT = "1.2.840.10008.5.1.4.1.1.2"
TEXT = ArchiveMember("readme.txt", b"nothing to send")


@dataclass(frozen=True)
class Session:
    """Session on the stand-in site, with its parents."""

    site: FlywheelSite
    project: str
    subject: str
    session: str

    def acquisition(self, label: str) -> str:
        """Add an acquisition to the session."""
        return self.site.add_acquisition(self.session, label)


def gear_on(
    folder: Path,
    site: FlywheelSite,
    port: int,
    container_id: str,
    container_type: str = "session",
    **options: object,
) -> GearFolder:
    """Create the gear's folder for a run on a container."""
    peer = {"destination": "127.0.0.1", "port": port, "called_ae": "PACS"}
    return GearFolder(
        folder / "v0",
        peer | options,
        api_key=site.api_key,
        destination_id=container_id,
        destination_type=container_type,
    )


def rows(content: bytes) -> list[list[str]]:
    """Return a report's rows without the header, after checking the header."""
    header, *found = csv.reader(io.StringIO(content.decode()))
    assert header == HEADER
    return found


def counts(content: bytes) -> dict[str, tuple[str, ...]]:
    """Return image count, sent count and status of each file in a report."""
    return {row[2]: tuple(row[3:]) for row in rows(content)}


def images(*numbers: int, pixels: int = 16) -> list[ArchiveMember]:
    """Return small images as members of an archive, each of its own patient and study."""
    return [ArchiveMember(f"{n}.dcm", encoded(of_own_study(n, pixels=pixels))) for n in numbers]


def assert_work_is_empty(gear: GearFolder) -> None:
    """Check that the work folder is empty."""
    assert list((gear.folder / "work").iterdir()) == []


def downloads(site: FlywheelSite) -> list[str]:
    """Return the downloaded files."""
    paths = site.requested("GET")
    return [path for path in paths if "/files/" in path and not path.endswith("/info")]
