"""Memory, CPU time and reports of the command for a great many images."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.claims.outcome import MeasurementError, Outcome
from benchmarks.claims.small_images import small_image
from benchmarks.processes import measure as run
from tests.support.command import arguments_of
from tests.support.pacs import HOST, Orthanc, StoreSCP
from tests.support.preloaded import REPOSITORY

MANY, MOST = 20_000, 100_000
MAX_MEGABYTES, MAX_CPU_MS, MAX_REPORT_MEGABYTES = 50, 0.6, 1
QUERY_MEGABYTES, QUERY_CPU_MS = 50, 0.4
"""More for queries, which import pynetdicom."""
MAX_SECONDS = 900


def measure(scale: float, work: Path) -> Iterator[Outcome]:
    """Send images of 1 KB: in a zip, as paths, in a folder, and with queries for each of them."""
    many, most = int(MANY * scale), int(MOST * scale)
    folder = work / "images"
    folder.mkdir()
    for number in range(many):
        (folder / f"{number:05}.dcm").write_bytes(small_image(number))
    archive = work / "images.zip"
    with zipfile.ZipFile(archive, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for number in range(most):
            target.writestr(f"{number:06}.dcm", small_image(number))
    paths = sorted(path.name for path in folder.iterdir())
    with StoreSCP("--ignore", "--fork") as server:
        yield from _measure(f"{most} images in a zip", most, server, work, archive)
        yield from _measure(f"{many} paths", many, server, work, *paths)
        yield from _measure(f"{many} images in a folder", many, server, work, folder)
    with Orthanc() as orthanc:
        what = f"{many} images in a folder, verified by C-FIND"
        yield from _measure(what, many, orthanc, work, folder, "--verify", "find")


def _measure(
    what: str, images: int, server: StoreSCP | Orthanc, work: Path, *arguments: object
) -> Iterator[Outcome]:
    queries = "--verify" in arguments
    reports = work / what
    address = f"{server.ae_title}@{HOST}:{server.port}"
    command = arguments_of(
        "dicom-send", *arguments, "--server", address, "--report-folder", reports
    )
    process = run(
        command,
        folder=work / "images",
        environment=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        timeout=MAX_SECONDS,
    )
    if process.exit_code:
        raise MeasurementError(process.output[-2000:])
    milliseconds = 1000 * process.cpu_seconds / images
    size = max(path.stat().st_size for path in reports.iterdir() if path.suffix != ".csv")
    for claim, value, unit, limit in (
        (
            "memory of the command",
            process.peak_bytes / 1e6,
            "MB",
            MAX_MEGABYTES + QUERY_MEGABYTES * queries,
        ),
        ("CPU an image, with the start", milliseconds, "ms", MAX_CPU_MS + QUERY_CPU_MS * queries),
        ("the larger one of page and summary", size / 1e6, "MB", MAX_REPORT_MEGABYTES),
    ):
        yield Outcome(
            claim=f"{what}: {claim}",
            bound=f"at most {limit:g} {unit}",
            measured=f"{value:.2f} {unit}",
            holds=value <= limit,
            details=(f"the run took {process.seconds:.1f} s",),
        )
