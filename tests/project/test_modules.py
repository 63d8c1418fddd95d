"""The commands run as modules, from any copy of the package."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import command
from tests.support.pacs import PythonSCP
from tests.support.preloaded import REPOSITORY
from tests.support.sample_files import encoded, made
from tests.support.send_command import to

MODULES = {
    "fw_gear_dicom_send": "dicom-send",
    "fw_gear_dicom_send.cli.main": "dicom-send",
    "fw_gear_dicom_send.batch": "dicom-send-batch",
    "fw_gear_dicom_send.batch.main": "dicom-send-batch",
}


def python(*arguments: object, cwd: Path, path: Path = REPOSITORY) -> tuple[int, str]:
    """Run Python with the packages in `path`; return its exit code and standard output."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=command.environment() | {"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("module", "program"), MODULES.items())
def test_a_module_runs_its_command(tmp_path: Path, module: str, program: str) -> None:
    """It prints the help of the command, and an invalid command line fails."""
    exit_code, text = python("-m", module, "--help", cwd=tmp_path)
    assert (exit_code, text.split()[:2]) == (0, ["usage:", program])
    assert python("-m", module, "--no-such-option", cwd=tmp_path) == (2, "")


@pytest.mark.slow
@pytest.mark.parametrize("module", ["fw_gear_dicom_send", "fw_gear_dicom_send.cli.main"])
def test_a_module_sends(python_scp: PythonSCP, tmp_path: Path, module: str) -> None:
    """The image is on the server if the exit code is 0."""
    (tmp_path / "1.dcm").write_bytes(encoded(made(1)))
    assert python("-m", module, "1.dcm", *to(python_scp), cwd=tmp_path) == (0, "")
    assert len(python_scp.stored) == 1
