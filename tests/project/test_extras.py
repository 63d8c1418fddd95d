"""The command runs without the packages of the extras, which have what only other programs need."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support import command
from tests.support.pacs import PythonSCP
from tests.support.preloaded import REPOSITORY
from tests.support.sample_files import encoded, made
from tests.support.send_command import to

PROGRAM = """
import sys
from importlib import import_module
class Finder:
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in MISSING else found(name, path, target)
found = sys.meta_path[-1].find_spec
sys.meta_path[-1] = Finder()
sys.exit(import_module(sys.argv.pop(1)).main())
"""
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
NAME = re.compile(r"[\w-]+")
"""Start of a requirement."""


def required(requirements: Iterable[str]) -> set[str]:
    """Return the names of the packages in requirements, and of those that they need."""
    blocks = re.split(r"\n(?=\w)", (REPOSITORY / "requirements.txt").read_text())
    waiting = [NAME.findall(line)[0].lower() for line in requirements]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            via = re.compile(rf"# +(via +)?{re.escape(name)}$", re.M)
            waiting += [block.split("==")[0] for block in blocks if via.search(block)]
    return found


def extra_modules() -> set[str]:
    """Return the modules of locked packages that the command does not need."""
    own = required(PROJECT["dependencies"])
    locked = set(re.findall(r"^([\w.-]+)==", (REPOSITORY / "requirements.txt").read_text(), re.M))
    return {
        module
        for module, names in packages_distributions().items()
        if {name.lower().replace("_", "-") for name in names} <= locked - own
    }


def run(module: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python that finds no package of the extras."""
    missing = extra_modules()
    assert {"numpy", "fw_core_client", "requests", "flywheel_gear_toolkit"} <= missing
    assert not {"pydicom", "cryptography", "cffi", "markupsafe", "pygments"} & missing
    return subprocess.run(
        [sys.executable, "-c", f"MISSING = {missing}\n{PROGRAM}", module, *map(str, arguments)],
        cwd=cwd,
        env=command.environment() | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_command_sends_without_extras(python_scp: PythonSCP, tmp_path: Path) -> None:
    """It sends, queries and writes its reports."""
    (tmp_path / "1.dcm").write_bytes(encoded(made(1)))
    done = run("fw_gear_dicom_send.cli.main", "1.dcm", *to(python_scp), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(python_scp.stored) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [
        ("batch.__main__", ["list"], "batch"),
        ("cli.main", [".", "A@localhost:104", "--conversion", "lossless"], "compression"),
    ],
)
def test_what_needs_an_extra_names_it(
    tmp_path: Path, module: str, arguments: list[str], extra: str
) -> None:
    """This is an error of usage, before anything is sent."""
    done = run(f"fw_gear_dicom_send.{module}", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert f"pip install '.[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
