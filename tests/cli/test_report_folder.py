"""`dicom-send` writes each run's reports to a folder of its own, and resumes after the last one."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.support import command
from tests.support.command import CommandResult
from tests.support.pacs import PythonSCP, free_port
from tests.support.sample_files import encoded, made, uid_of
from tests.support.send_command import to

RUN = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d)?")
RUNS = "dicom-send-reports"


def send(folder: Path, *arguments: object) -> CommandResult:
    """Send the folder `images` of a folder, with the default folder for reports."""
    variables = {"DICOM_SEND_REPORT_FOLDER": ""}
    return command.run("dicom-send", "images", *arguments, cwd=folder, variables=variables)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder with a folder of two images."""
    (tmp_path / "images").mkdir()
    for number in (1, 2):
        (tmp_path / "images" / f"{number}.dcm").write_bytes(encoded(made(number)))
    return tmp_path


def runs_in(folder: Path) -> list[Path]:
    """Return the folders of the runs; the current folder has nothing else."""
    assert sorted(path.name for path in folder.iterdir()) == [RUNS, "images"]
    return sorted((folder / RUNS).iterdir())


def test_each_run_has_its_folder(folder: Path, python_scp: PythonSCP) -> None:
    """Runs that start in the same second share no folder, and the last line names the page."""
    ended = [send(folder, *to(python_scp)) for _ in range(4)]

    runs = runs_in(folder)
    assert len(runs) == 4
    assert all(RUN.fullmatch(run.name) and len(list(run.iterdir())) == 4 for run in runs)
    assert all(f"see {RUNS}{os.sep}" in one.stderr.splitlines()[-1] for one in ended)


def test_runs_in_one_report_folder_overwrite_nothing(folder: Path, python_scp: PythonSCP) -> None:
    """Runs of folders with the same name may start in the same second."""
    for _ in range(4):
        assert send(folder, *to(python_scp), "--report-folder", "all").exit_code == 0
    assert len(list((folder / "all").iterdir())) == 4 * 4


@pytest.mark.parametrize("option", ["--no-reports", "--report-files=none", "--report-files="])
def test_without_reports_there_is_no_folder(
    folder: Path, python_scp: PythonSCP, option: str
) -> None:
    """`--no-reports` is the same as `--report-files none`."""
    assert send(folder, *to(python_scp), option).exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["images"]


def test_a_failed_start_leaves_no_folder(folder: Path, python_scp: PythonSCP) -> None:
    """Reports of earlier runs stay."""
    nowhere = ("--destination", "127.0.0.1", "--port", free_port(), "--called-ae", "X")
    assert send(folder, *nowhere).exit_code == 3
    assert [path.name for path in folder.iterdir()] == ["images"]
    send(folder, *to(python_scp))
    send(folder, *nowhere)
    assert len(runs_in(folder)) == 1


def test_a_folder_that_cannot_be_created_is_an_error(folder: Path, python_scp: PythonSCP) -> None:
    """Nothing is sent, and the error names the option for another folder."""
    (folder / RUNS).touch()
    ended = send(folder, *to(python_scp))
    assert (ended.exit_code, len(python_scp.stored)) == (2, 0)
    assert "--report-folder" in ended.stderr
    assert send(folder, *to(python_scp), "--no-reports").exit_code == 0


@pytest.mark.parametrize("options", [(), ("--report-folder", "chosen")], ids=["own", "chosen"])
def test_the_last_report_about_the_server(
    folder: Path, python_scp: PythonSCP, options: tuple[str, ...]
) -> None:
    """It is the newest one about the same server, whatever was sent elsewhere afterwards."""
    for number, name in ((1, "z_2026-01-01_00:00:00"), (2, "a_2026-01-01_00-00-01")):
        send(folder, *to(python_scp), *options, "--include", f"{number}.dcm")
        for path in folder.glob("chosen/*-images_*_instances.csv"):  # in the same second, perhaps
            path.rename(path.with_name(f"dicom-send_report-{name}_instances.csv"))
    with PythonSCP() as other:
        send(folder, *to(other), *options)

    ended = send(folder, *to(python_scp), *options, "--resume", "last", "--json")

    known = json.loads(ended.stdout)
    assert (known["sent"], known["already_there"], ended.exit_code) == (1, 1, 0)
    assert [one.sop_instance_uid for one in python_scp.stored] == [uid_of(1), uid_of(2), uid_of(1)]


def test_no_last_report_is_an_error(folder: Path, python_scp: PythonSCP) -> None:
    """Reports about other servers, of dry runs and of other programs do not count."""
    send(folder, *to(python_scp), "--dry-run")
    (run,) = runs_in(folder)
    (run / "dicom-send_report-x_2026-01-01_00-00-00_instances.csv").write_text("a,b\n1,2\n")
    with PythonSCP() as other:
        send(folder, *to(other))

    ended = send(folder, *to(python_scp), "--resume", "last")

    assert (ended.exit_code, len(python_scp.stored)) == (2, 0)
    assert f"no per-image report about SCP@127.0.0.1:{python_scp.port} in {RUNS}" in ended.stderr
