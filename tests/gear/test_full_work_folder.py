"""A temporarily full work folder costs time, but no image."""

import os
import random
import subprocess
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from tests.support import command
from tests.support.gear_runs import CT
from tests.support.pacs import PythonSCP, StoreSCP
from tests.support.programs import skip_outside_ci
from tests.support.sample_files import ArchiveMember, encoded, made, tar_of, zip_of
from tests.support.send_command import rows_of, to

MEGABYTES = 6
"""Size of the work folder; an image has 2.9 MB."""
IMAGES = 16


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Path for a work folder; skip the test if mounting is not permitted."""
    folder = tmp_path / "work"
    folder.mkdir()
    mounted = subprocess.run(_mounting(folder, "true"), capture_output=True, check=False)
    if mounted.returncode:
        skip_outside_ci("this machine does not permit mounting a file system")
    return folder


def _mounting(folder: Path, *arguments: str) -> list[str]:
    """Return a command line that runs another one with a small file system at `folder`."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    mount = f'mount -t tmpfs -o size={MEGABYTES}m tmpfs "{folder}" && exec "$@"'
    return ["unshare", "--mount", *as_root, "sh", "-c", mount, "-", *arguments]


def send(
    work: Path, source: Path, server: PythonSCP | StoreSCP, cwd: Path, *options: object
) -> list[tuple[str, ...]]:
    """Send a file or a folder, and return its row in the report."""
    arguments = [source, "--work-folder", work, *to(server), *options]
    done = subprocess.run(
        _mounting(work, *command.arguments_of("dicom-send", *arguments)),
        cwd=cwd,
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return [(row["Images"], row["Images Sent"], row["Status"]) for row in rows_of(cwd)]


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_members_without_space_arrive(
    work: Path, tmp_path: Path, storescp: StoreSCP, pack: type
) -> None:
    """A complete archive arrives, although only part of it fits at a time."""
    images = [ArchiveMember(f"{n}", encoded(made(n, pixels=1200))) for n in range(IMAGES)]
    archive = pack(tmp_path / "archive", images)
    assert send(work, archive, storescp, tmp_path) == [(f"{IMAGES}", f"{IMAGES}", "Complete")]


@pytest.mark.slow
def test_deflated_images_and_conversions_without_space_arrive(work: Path, tmp_path: Path) -> None:
    """Inflated and decoded data is also in the work folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(IMAGES):
        image = made(number, pixels=1200)
        if number % 2:
            image.compress(RLELossless)
        else:
            image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        (folder / f"{number}").write_bytes(encoded(image))
    with PythonSCP({CT: [ExplicitVRLittleEndian]}) as server:
        assert send(work, folder, server, tmp_path) == [(f"{IMAGES}", f"{IMAGES}", "Complete")]


@pytest.mark.slow
@pytest.mark.parametrize("associations", [1, 4])
def test_large_conversions_arrive(work: Path, tmp_path: Path, associations: int) -> None:
    """An image and its converted copy fit alone, but not with another image."""
    images = []
    for number in range(IMAGES):
        half = random.Random(number).randbytes(1200**2)
        image = made(number, pixels=1200, PixelData=half + bytes(len(half)))
        image.compress(RLELossless)
        images.append(ArchiveMember(f"{number}", encoded(image)))
    archive = zip_of(tmp_path / "archive", images)
    with PythonSCP({CT: [ExplicitVRLittleEndian]}) as server:
        sent = send(work, archive, server, tmp_path, "--associations", associations)
    assert sent == [(f"{IMAGES}", f"{IMAGES}", "Complete")]


@pytest.mark.slow
def test_an_image_that_never_fits_fails_alone(
    work: Path, tmp_path: Path, python_scp: PythonSCP
) -> None:
    """It does not affect the images before and after it."""
    large = ArchiveMember("large", encoded(made(99, pixels=3000)))
    images = [ArchiveMember(f"{n}", encoded(made(n, pixels=1200))) for n in range(IMAGES)]
    archive = zip_of(tmp_path / "archive", [*images[:8], large, *images[8:]])
    total, sent = f"{IMAGES + 1}", f"{IMAGES}"
    assert send(work, archive, python_scp, tmp_path) == [(total, sent, "Incomplete")]
