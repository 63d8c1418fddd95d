"""Memory of a run, for data of different sizes."""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from resource import getpagesize

from benchmarks.claims.gear_runs import check, gear_for
from benchmarks.claims.outcome import Outcome
from benchmarks.claims.small_images import small_image
from benchmarks.datasets import make_mr, make_multiframe
from tests.support.footprint import Peak, peak_resident
from tests.support.pacs import StoreSCP

IMAGES = 2000
FRAMES = 600
TINY_IMAGES = 20_000
MAX_BYTES = 150e6
PAUSE = 0.01
MAX_RUN_SECONDS = 300


def measure(scale: float, work: Path) -> Iterator[Outcome]:
    """Run the gear on each of several files, one session each."""
    images = make_mr(work, int(IMAGES * scale))
    large = make_multiframe(work, int(FRAMES * scale)).flywheel_file
    size = f"{large.stat().st_size / 1e6:.0f} MB"
    many = int(TINY_IMAGES * scale)
    yield _measure(f"a zip of {images.images} MR images", images.flywheel_file, work)
    yield _measure(f"one multi-frame image of {size}", large, work)
    yield _measure("the same in a zip", _zipped(large, work), work)
    yield _measure("the same in a tar.gz", _tarred(large, work), work)
    yield _measure(f"a zip of {many} images of 1 KB", _tiny(many, work), work)


def _measure(what: str, file: Path, work: Path) -> Outcome:
    folder = work / f"v0-{file.name}"
    with (
        StoreSCP("--ignore", "--fork") as server,
        gear_for([file], server.port, server.ae_title, folder) as gear,
    ):
        running = gear.start()
        with Peak(partial(peak_resident, running.pid), PAUSE) as peak:
            result = running.finish(MAX_RUN_SECONDS)
        check(result)
    before = _resident(folder)
    more = peak.value - before
    return Outcome(
        claim=f"Memory to send {what}, beyond that of the imported modules",
        bound=f"at most {MAX_BYTES / 1e6:.0f} MB",
        measured=f"{more / 1e6:.0f} MB (at most {peak.value / 1e6:.0f} MB, "
        f"{before / 1e6:.0f} MB of them after the imports)",
        holds=peak.value > before and more <= MAX_BYTES,
        details=(f"the run took {result.seconds:.1f} s",),
    )


def _resident(folder: Path) -> int:
    """Return the memory, in bytes, of an interpreter that has imported the gear's modules."""
    statm = subprocess.run(
        [sys.executable, "-c", "import run; print(open('/proc/self/statm').read())"],
        cwd=folder,
        capture_output=True,
        check=True,
    ).stdout
    return int(statm.split()[1]) * getpagesize()


def _zipped(file: Path, work: Path) -> Path:
    path = work / "large.zip"
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        target.write(file, file.name)
    return path


def _tarred(file: Path, work: Path) -> Path:
    path = work / "large.tar.gz"
    with tarfile.open(path, "x:gz", compresslevel=1) as target:
        target.add(file, file.name)
    return path


def _tiny(images: int, work: Path) -> Path:
    path = work / "tiny.zip"
    with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for number in range(images):
            target.writestr(f"{number}.dcm", small_image(number))
    return path
