"""Memory and disk space of a gear run do not depend on the size of its data."""

import random
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest

from benchmarks.datasets import make_multiframe
from fw_gear_dicom_send.run.downloads import MIN_MAX_BYTES
from tests.support import wording
from tests.support.command import arguments_of, environment
from tests.support.flywheel_site import FlywheelSite
from tests.support.footprint import Peak, bytes_on_disk, peak_resident, peak_resident_of_all
from tests.support.gear import GearFolder, GearResult
from tests.support.pacs import HOST, CStore, PythonSCP, StoreSCP
from tests.support.sample_files import encoded, made, sparse
from tests.support.send_command import to
from tests.support.waiting import wait_for

PAUSE = 0.005
SLACK = 1 << 20
MAX_MEMORY = 150_000_000

PIXELS = 1024
IMAGE_SIZE = 2 * PIXELS**2
IMAGES_IN_ZIP = 3
ZIPS = 14
ASSOCIATIONS = 2

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.usefixtures("real_starts"),
]


def deflated_zip(path: Path, numbers: Iterable[int]) -> Path:
    """Write a zip of images that each unpack to a file on disk."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in numbers:
            pixels = random.Random(number).randbytes(2 * PIXELS**2)
            archive.writestr(
                f"{number}.dcm", encoded(made(number, pixels=PIXELS, PixelData=pixels))
            )
    return path


def gear_for(site: FlywheelSite, files: list[Path], port: int, folder: Path) -> GearFolder:
    """Put the files on the site; return the gear's folder for a run on their session."""
    project = site.add_project(site.add_group("lab"), "Study")
    session = site.add_session(site.add_subject(project, "sub-01"), "Visit 1")
    acquisition = site.add_acquisition(session, "Scan")
    for file in files:
        site.add_file(acquisition, file.name, file, file_type="dicom")
    config = {
        "destination": HOST,
        "port": port,
        "called_ae": "PACS",
        "associations": ASSOCIATIONS,
    }
    return GearFolder(folder, config, api_key=site.api_key, destination_id=session)


def check(result: GearResult) -> None:
    assert result.exit_code == 0, result.log


@pytest.mark.slow
def test_disk_has_at_most_three_archives_and_a_few_images(
    site: FlywheelSite, tmp_path: Path
) -> None:
    """However many files a session has, at most three of them and 2n images are on disk."""
    files = [
        deflated_zip(tmp_path / f"{number}.zip", range(start, start + IMAGES_IN_ZIP))
        for number, start in enumerate(range(0, ZIPS * IMAGES_IN_ZIP, IMAGES_IN_ZIP))
    ]
    size = max(file.stat().st_size for file in files)
    holds: list[bool] = []
    assert 3 * size > MIN_MAX_BYTES
    watching = threading.Event()

    def answer(_: CStore) -> int:
        """Delay the first responses until the gear's disk use reaches its maximum."""
        watching.wait()
        if len(holds) < ASSOCIATIONS:
            holds.append(wait_for(lambda: disk.value > 2 * size))
        time.sleep(0.05)
        return 0

    with PythonSCP(status=answer) as scp:
        gear = gear_for(site, files, scp.port, tmp_path / "v0")
        running = gear.start()
        with Peak(partial(bytes_on_disk, gear.folder / "work", running.pid), PAUSE) as disk:
            watching.set()
            result = running.finish()
    check(result)
    bound = 3 * size + 2 * ASSOCIATIONS * IMAGE_SIZE + SLACK
    assert bound < ZIPS * size
    assert 2 * size + ASSOCIATIONS * IMAGE_SIZE < disk.value <= bound
    assert not list((gear.folder / "work").iterdir())


@pytest.mark.slow
def test_memory_does_not_grow_with_an_image(site: FlywheelSite, tmp_path: Path) -> None:
    """An image of 315 MB in a zip needs less than 150 MB beyond the imported modules."""
    (tmp_path / "made").mkdir()
    large = make_multiframe(tmp_path / "made", 600).flywheel_file
    archive = tmp_path / "large.zip"
    with zipfile.ZipFile(archive, "w") as target:
        target.write(large, "large.dcm")
    assert archive.stat().st_size > 2 * MAX_MEMORY
    with StoreSCP("--ignore", "--fork") as scp:
        gear = gear_for(site, [archive], scp.port, tmp_path / "v0")
        running = gear.start()
        with Peak(partial(peak_resident, running.pid), PAUSE) as memory:
            result = running.finish()
    check(result)
    before = imported(gear.folder)
    assert before < memory.value < before + MAX_MEMORY


def test_memory_does_not_grow_with_files_that_are_not_dicom(
    storescp: StoreSCP, tmp_path: Path
) -> None:
    """Four files of 1 GB cost less than 150 MB in all processes together, and one image is sent."""
    files = [sparse(tmp_path / f"{number}.raw", 1_000_000_000) for number in range(4)]
    image = tmp_path / "image.dcm"
    image.write_bytes(encoded(made(1)))
    with (
        subprocess.Popen(
            arguments_of("dicom-send", *files, image, *to(storescp)),
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        ) as command,
        Peak(partial(peak_resident_of_all, command.pid), PAUSE) as memory,
    ):
        _, log = command.communicate()
    assert log.count(wording.NEITHER) == len(files)
    assert "image.dcm: 1 of 1 image sent" in log
    assert memory.value < MAX_MEMORY


def imported(folder: Path) -> int:
    """Return the peak memory, in bytes, of an interpreter that only imports the gear."""
    code = "import run; print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, check=True, text=True
    )
    return int(done.stdout) * 1024
