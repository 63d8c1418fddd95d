"""Runs of the whole gear on a session of a stand-in site."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.claims.outcome import MeasurementError
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder, GearResult
from tests.support.pacs import HOST

ASSOCIATIONS = 4


@contextmanager
def gear_for(
    files: Iterable[Path],
    port: int,
    called_ae: str,
    folder: Path,
    *,
    latency: float = 0,
    **options: object,
) -> Iterator[GearFolder]:
    """Create a gear's folder for a session with the files, each in an acquisition of its own.

    The site delays each response by `latency` seconds; `options` are the gear's.
    """
    config = {
        "destination": HOST,
        "port": port,
        "called_ae": called_ae,
        "associations": ASSOCIATIONS,
        **options,
    }
    with FlywheelSite(latency=latency) as site:
        project = site.add_project(site.add_group("radiology"), "Claims")
        session = site.add_session(site.add_subject(project, "sub-01"), "Visit 1")
        for file in files:
            acquisition = site.add_acquisition(session, file.name)
            site.add_file(acquisition, file.name, file, file_type="dicom")
        gear = GearFolder(folder, config, api_key=site.api_key, destination_id=session)
        gear.compile()
        yield gear


def check(result: GearResult) -> None:
    """Raise MeasurementError unless all images were sent."""
    if result.exit_code:
        raise MeasurementError(f"the gear ended with exit code {result.exit_code}:\n{result.log}")
