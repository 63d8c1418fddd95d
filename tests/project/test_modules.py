"""The commands run as modules, from any copy of the package."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import rule_manifest
from tests.support import command
from tests.support.gear import IN_THE_IMAGE, REPOSITORY
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made
from tests.support.send_command import to

MODULES = {
    "fw_gear_dicom_send": "dicom-send",
    "fw_gear_dicom_send.cli.send": "dicom-send",
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


@pytest.mark.parametrize(("module", "program"), MODULES.items())
def test_a_module_runs_its_command(tmp_path: Path, module: str, program: str) -> None:
    """It prints the help of the command, and an invalid command line fails."""
    exit_code, text = python("-m", module, "--help", cwd=tmp_path)
    assert (exit_code, text.split()[:2]) == (0, ["usage:", program])
    assert python("-m", module, "--no-such-option", cwd=tmp_path) == (2, "")


@pytest.mark.parametrize("module", ["fw_gear_dicom_send", "fw_gear_dicom_send.cli.send"])
def test_a_module_sends(python_scp: PythonSCP, tmp_path: Path, module: str) -> None:
    """The image is on the server if the exit code is 0."""
    (tmp_path / "1.dcm").write_bytes(encoded(made(1)))
    assert python("-m", module, "1.dcm", *to(python_scp), cwd=tmp_path) == (0, "")
    assert len(python_scp.stored) == 1


@pytest.mark.parametrize("name", ["manifest.json", "manifest-rule.json"])
def test_a_copy_needs_no_symbolic_link(tmp_path: Path, name: str) -> None:
    """A copy has the manifest beside the package, as in the image, and that one is read."""
    folder = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__")
    for path in (REPOSITORY / part for part in IN_THE_IMAGE):
        if path.is_dir():
            shutil.copytree(path, folder / path.name, symlinks=True, ignore=ignored)
    shutil.copy(REPOSITORY / name, folder / "manifest.json")
    assert not [path for path in folder.rglob("*") if path.is_symlink()]
    names = {"manifest.json": "dicom-send", rule_manifest.TARGET.name: rule_manifest.NAME}
    code = "from fw_gear_dicom_send.config import manifest; print(manifest()['name'])"
    assert python("-c", code, cwd=folder, path=folder) == (0, f"{names[name]}\n")
