"""A report that cannot be written completely does not exist, and the exit code is 1."""

import resource
from pathlib import Path

import pytest

from tests.support import command
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear_runs import HEADER
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made
from tests.support.send_command import to
from tests.support.session_runs import SessionRuns

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_starts")]

MAX_FILE = 2000
MAX_SUMMARY = 4000
"""Maximum file size in bytes: larger than an image, smaller than a report."""
FILES = 30


def test_the_gear_logs_the_rows_of_an_unwritable_report(
    runs: SessionRuns, site: FlywheelSite
) -> None:
    """All images are sent; nothing is attached or left, and each file has its row in the log."""
    for number in range(FILES):
        runs.add(f"{number:02}.dcm", encoded(made(number)))
    with PythonSCP() as server:
        gear = runs.gear(server)
        running = gear.start()
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (MAX_FILE, MAX_FILE))
        result = running.finish()
        assert len(server.stored) == FILES
    assert result.exit_code == 1
    assert (result.output, site.uploads) == ((), [])
    assert "Cannot write the report to the output folder: File too large" in result.log
    lines = result.log.splitlines()
    start = lines.index(",".join(HEADER))
    assert [line.split(",")[2:] for line in lines[start + 1 : start + 1 + FILES]] == [
        [f"{number:02}.dcm", "1", "1", "Complete"] for number in range(FILES)
    ]


@pytest.mark.parametrize("number", [1, 100])
def test_the_command_leaves_no_incomplete_report(
    made_folder: Path, python_scp: PythonSCP, tmp_path: Path, number: int
) -> None:
    """No report is left, even if only some of them fail."""
    for image in range(number):
        (made_folder / f"{image}.dcm").write_bytes(encoded(made(image)))
    process = command.start("dicom-send", made_folder, *to(python_scp), cwd=tmp_path)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (MAX_SUMMARY, MAX_SUMMARY))
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 1, errors
    assert len(python_scp.stored) == number
    left = [path for path in tmp_path.iterdir() if path != made_folder]
    # Small reports fit: the per-file report has one row, the per-image report one for each image.
    suffixes = sorted(path.suffix for path in left)
    assert suffixes == ([".csv", ".csv", ".json"] if number == 1 else [".csv", ".json"])
    assert all(path.read_text().endswith("\n") for path in left)
    lines = errors.splitlines()
    assert sum("Cannot write " in line for line in lines) == 4 - len(left)
    assert sum("a report could not be written; " in line for line in lines) == 1


@pytest.fixture
def made_folder(tmp_path: Path) -> Path:
    """Empty folder for images."""
    folder = tmp_path / "images"
    folder.mkdir()
    return folder
