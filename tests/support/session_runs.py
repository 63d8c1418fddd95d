"""Session on the stand-in site that the gear sends repeatedly."""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder, GearResult
from tests.support.hurried_gear import HurriedGear
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of


@dataclass(frozen=True)
class Ended:
    """Finished run, and its attached files."""

    result: GearResult
    rows: dict[str, tuple[str, ...]]
    instances: list[dict[str, str]]
    names: list[str]
    all_rows: list[tuple[str, ...]]
    page: str

    @property
    def outcomes(self) -> Counter[str]:
        """Number of images for each outcome."""
        return Counter(row["Outcome"] for row in self.instances)


class SessionRuns:
    """Session on the stand-in site that the gear sends repeatedly; files are in `folder`."""

    def __init__(self, folder: Path, site: FlywheelSite) -> None:
        self.folder = folder
        self._site = site
        project = site.add_project(site.add_group("lab"), "Study")
        self._id = site.add_session(site.add_subject(project, "sub-01"), "visit 1")
        self._runs = 0
        self.next_acquisition()

    def next_acquisition(self) -> None:
        """Add further files to a new acquisition with the same label."""
        self.acquisition = self._site.add_acquisition(self._id, "CT")

    def add(self, name: str, content: bytes | Path) -> None:
        """Add a file."""
        self._site.add_file(self.acquisition, name, content, file_type="dicom")

    def add_images(self, name: str, numbers: Sequence[int]) -> None:
        """Add a zip of images."""
        members = [ArchiveMember(f"IM{n}.dcm", encoded(made(n))) for n in numbers]
        self.add(name, zip_of(self.folder / f"{numbers[0]}{name}", members))

    def gear(self, server: Any, **options: object) -> GearFolder:
        """Return a gear that runs on the session."""
        self._runs += 1
        config = {
            "destination": "127.0.0.1",
            "port": server.port,
            "called_ae": getattr(server, "ae_title", "PACS"),
        }
        return HurriedGear(
            self.folder / f"run{self._runs}",
            config | options,
            api_key=self._site.api_key,
            destination_id=self._id,
        )

    def send(self, server: Any, **options: object) -> Ended:
        """Run the gear on the session."""
        self._site.uploads.clear()
        result = self.gear(server, **options).run()
        uploads = {upload.name: upload.content.decode() for upload in self._site.uploads}
        assert result.output == ()
        files = [text for name, text in uploads.items() if re.search(r"\d\.csv$", name)]
        rows = list(csv.reader(io.StringIO(*files)))[1:]
        return Ended(
            result,
            {row[2]: tuple(row[3:]) for row in rows},
            [
                row
                for name, text in uploads.items()
                if name.endswith("_instances.csv")
                for row in csv.DictReader(io.StringIO(text))
            ],
            list(uploads),
            [tuple(row[3:]) for row in rows],
            next((text for name, text in uploads.items() if name.endswith(".html")), ""),
        )
