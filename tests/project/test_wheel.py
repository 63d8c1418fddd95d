"""A wheel of the package has all files that its commands need."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support import command
from tests.support.gear import REPOSITORY


def test_a_wheel_contains_the_commands(tmp_path: Path) -> None:
    """An installation by pip has all necessary files, without a repository beside it."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    (source / "docs").mkdir()
    shutil.copy(REPOSITORY / "docs" / "dicom-send.1", source / "docs")
    ignored = shutil.ignore_patterns("__pycache__")
    package = source / "fw_gear_dicom_send"
    shutil.copytree(REPOSITORY / package.name, package, symlinks=True, ignore=ignored)

    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, source]
    subprocess.run(pip, check=True)

    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        (scripts,) = (name for name in names if name.endswith("entry_points.txt"))
        listed = wheel.read(scripts).decode()
        wheel.extractall(installed := tmp_path / "installed")
    help_all = [sys.executable, "-m", "fw_gear_dicom_send", "--help-all"]
    environment = command.environment() | {"PYTHONPATH": str(installed)}
    subprocess.run(help_all, cwd=tmp_path, env=environment, check=True)
    files = {str(path.relative_to(source)) for path in package.rglob("*") if path.is_file()}
    assert files <= set(names)
    assert any(name.endswith("/share/man/man1/dicom-send.1") for name in names)
    assert "dicom-send = " in listed
    assert "dicom-send-batch = " in listed
