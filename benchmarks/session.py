"""Session on a stand-in site with a data set, and its attached reports."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.datasets import DataSet
from tests.support.flywheel_site import OLD_KEY, FlywheelSite


@dataclass(frozen=True)
class Session:
    """Session `id` of a site."""

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
def session_with(data: DataSet) -> Iterator[Session]:
    """Start a site with a session that has a data set as one file."""
    # The published gear supports neither current keys nor all features.
    with FlywheelSite(key=OLD_KEY, features=()) as site:
        project = site.add_project(site.add_group("radiology"), "Benchmark")
        session = site.add_session(site.add_subject(project, "sub-01"), "Visit 1")
        acquisition = site.add_acquisition(session, "Images")
        site.add_file(acquisition, data.flywheel_file.name, data.flywheel_file, file_type="dicom")
        yield Session(site, session)
