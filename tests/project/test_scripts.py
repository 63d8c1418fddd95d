"""The scripts behind `make` print their actions and do not repeat finished work."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.preloaded import REPOSITORY

PATH = "/usr/bin:/bin"


def write_programs(folder: Path, bodies: Mapping[str, str]) -> None:
    """Write shell scripts with these names."""
    for name, body in bodies.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)


def printed_by(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command in the repository and return its output."""
    ended = subprocess.run(
        command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.slow
def test_an_environment_is_recreated_for_another_python(tmp_path: Path) -> None:
    """It is kept for the same Python; for another one, the installed packages are removed."""
    folder = tmp_path / "venv"
    make = ("sh", "scripts/venv.sh", sys.executable, folder)
    assert printed_by(*make).startswith(f"Creating a virtual environment in {folder} with Python")
    installed = folder / "installed"
    installed.touch()
    assert printed_by(*make) == ""
    assert installed.exists()
    (folder / ".python").write_text("3.11.0 in /another/place\n")
    assert printed_by(*make).startswith("Creating a virtual environment")
    assert not installed.exists()


@pytest.mark.parametrize(
    ("python", "message"),
    [("no-such-python", "no-such-python is not installed"), ("false", "Python 3.11 or later")],
)
def test_an_unsuitable_python_is_named(tmp_path: Path, python: str, message: str) -> None:
    """A missing or too old Python leaves no environment behind."""
    ended = subprocess.run(
        ["sh", "scripts/venv.sh", python, tmp_path / "venv"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert message in ended.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.slow
def test_a_shim_of_an_unselected_python_works(tmp_path: Path) -> None:
    """A shim of pyenv fails unless a version is selected. The newest with the command is used."""
    versions = 'test "$*" = "whence python-x" && printf "9.9.1\\n9.10.0\\n"'
    shim = f'test "$PYENV_VERSION" = 9.10.0 && exec "{sys.executable}" "$@"'
    write_programs(tmp_path, {"pyenv": versions, "python-x": shim})
    folder = tmp_path / "venv"
    printed_by("sh", "scripts/venv.sh", "python-x", folder, env={"PATH": f"{tmp_path}:{PATH}"})
    assert (folder / "bin" / "python").resolve() == Path(sys.executable).resolve()


@pytest.mark.parametrize(
    ("variables", "exit_code"),
    [({}, 0), ({"CI": "true"}, 1), ({"CI": "true", "MAY_SKIP": "1"}, 0)],
)
def test_a_skipped_check_says_so_last_and_fails_in_ci(
    tmp_path: Path, variables: dict[str, str], exit_code: int
) -> None:
    """Without networks for containers, or a second Python, the last line says SKIPPED and why."""
    tools = dict.fromkeys(("podman", "buildah", "runc", "mmdebstrap"), "exit 0")
    write_programs(tmp_path, {**tools, "id": "echo 0", "unshare": "exit 1"})
    for name in ("sh", "dirname", "mktemp", "rm", "sed"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    for script in ("image_test", "check_pythons"):
        ended = subprocess.run(
            ["/bin/sh", f"scripts/{script}.sh", sys.executable],
            cwd=REPOSITORY,
            env={"PATH": str(tmp_path), "PYENV_ROOT": str(tmp_path), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == exit_code
        assert " SKIPPED: " in ended.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", ["manifest.json", "manifest-rule.json"])
def test_the_image_matches_its_manifest(tmp_path: Path, name: str) -> None:
    """MANIFEST selects the gear; its image has the name and version in that file."""
    write_programs(tmp_path, {"engine": 'echo "$@"'})
    env = {"PATH": f"{tmp_path}:{PATH}", "ENGINES": "engine", "MANIFEST": name}
    asked, message = printed_by("sh", "scripts/image.sh", env=env).splitlines()
    image = json.loads((REPOSITORY / name).read_text())["custom"]["gear-builder"]["image"]
    assert asked == f"build --build-arg MANIFEST={name} --tag {image} ."
    assert message == f"engine has built {image}"


def test_the_base_image_can_be_pinned(tmp_path: Path) -> None:
    """BASE_IMAGE and BASE_DIGEST reach the build."""
    write_programs(tmp_path, {"engine": 'echo "$@"'})
    env = {
        "PATH": f"{tmp_path}:{PATH}",
        "ENGINES": "engine",
        "BASE_IMAGE": "base:1",
        "BASE_DIGEST": "sha256:0",
    }
    asked, _ = printed_by("sh", "scripts/image.sh", env=env).splitlines()
    assert asked.startswith(
        "build --build-arg BASE_IMAGE=base:1 --build-arg BASE_DIGEST=sha256:0 --build-arg MANIFEST="
    )


@pytest.mark.slow
def test_the_demo_needs_no_package_of_the_tests() -> None:
    """The packages of the gear are enough."""
    program = "import sys; import demo.__main__; print(*sys.modules)"
    imported = printed_by(sys.executable, "-c", program).split()
    assert {"hypothesis", "pytest", "selenium", "trustme"}.isdisjoint(imported)


@pytest.mark.slow
def test_the_demo_keeps_its_reports(tmp_path: Path) -> None:
    """It prints their folder, no row twice, and no heading without content."""
    output = tmp_path / "kept"
    output.mkdir()
    (output / "dicom-send_report-of-the-last-demo.csv").touch()
    (output / "notes.txt").touch()
    printed = printed_by(sys.executable, "-m", "demo", "--output", output)
    names = sorted(path.name for path in output.glob("dicom-send_report*"))
    assert len(names) == 4
    assert (output / "notes.txt").exists()
    assert all(name in printed for name in names)
    assert f"copies in {output}" in printed
    assert printed.count("/MR head/files/head.dicom.zip") == 1
    sections = printed.split("\n== ")[1:]
    assert all(section.partition("\n")[2].strip() for section in sections)
