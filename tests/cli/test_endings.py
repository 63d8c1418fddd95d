"""Last lines of `dicom-send`: the cause first, the result in one line, and no gear terms."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support import command
from tests.support.certificates import HOST
from tests.support.fault_scp import FaultSCP
from tests.support.pacs import CStore, PythonSCP
from tests.support.sample_files import encoded, made, uid_of
from tests.support.scripted import UNKNOWN_CALLING_AE, leave_after_an_image, rejecting
from tests.support.send_command import rows_of, send, to
from tests.support.servers.process import free_port

FEW = ("--associations", 1)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three folders with two images each."""
    for number in (1, 2, 10):
        folder = tmp_path / "study" / f"series {number}"
        folder.mkdir(parents=True)
        for place in (2 * number, 2 * number + 1):
            (folder / f"{place}.dcm").write_bytes(encoded(made(place)))
    return tmp_path / "study"


def last(text: str) -> str:
    """Return the last line of a log without its time."""
    return text.splitlines()[-1].split(maxsplit=3)[-1]


def test_the_last_line_is_the_result(study: Path, tmp_path: Path) -> None:
    """It shows the number of images, the server, the duration and the page."""
    with PythonSCP() as server:
        result = send(study, *to(server), cwd=tmp_path)
    (page,) = tmp_path.glob("*.html")
    message = rf"6 images sent to SCP@{HOST}:{server.port} in [\d.]+ s; see {page.name}"
    assert re.fullmatch(message, last(result.stderr))


def test_the_last_line_counts_failed_images(study: Path, tmp_path: Path) -> None:
    """The last line is an error with the number of failed images."""

    def answer(record: CStore) -> int:
        return 0xA900 if record.sop_instance_uid == uid_of(2) else 0x0000

    with PythonSCP(status=answer) as server:
        result = send(study, "-q", *to(server), cwd=tmp_path)
    assert last(result.stderr).startswith(f"1 of 6 images not sent to SCP@{HOST}:{server.port} in ")
    assert result.exit_code == 1


def test_quiet_runs_say_why(study: Path, tmp_path: Path) -> None:
    """Each reason has a line before the last one, and nothing else has."""
    with PythonSCP(status=0xA900) as server:
        result = send(study, "-q", *to(server), cwd=tmp_path)
    *reasons, closing = result.stderr.splitlines()
    assert len(reasons) == 1 + 3
    assert all("status 0xA900" in line for line in reasons)
    assert last(closing).startswith("The server refused all 6 images: status 0xA900")


def test_a_run_without_any_image_is_wrong_usage(tmp_path: Path, python_scp: PythonSCP) -> None:
    """Its status is not that of images that were not sent."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.txt").write_text("text")
    result = send("docs", "--log-json", *to(python_scp), cwd=tmp_path)
    assert result.exit_code == 2
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert [one["status"] for one in events if one["event"] == "file"] == [None]
    assert (events[-1]["exit_code"], events[-1]["images"]) == (2, 0)


def test_one_of_several_paths_may_have_no_image(
    study: Path, tmp_path: Path, python_scp: PythonSCP
) -> None:
    """The log names it, and the run is complete."""
    (tmp_path / "docs").mkdir()
    result = send("docs", study, *to(python_scp), cwd=tmp_path)
    assert result.exit_code == 0
    assert "1 path without a DICOM image was skipped: docs" in result.stderr
    assert {row["Status"] for row in rows_of(tmp_path)} == {"Complete"}


def test_an_archive_that_cannot_be_read_is_a_missing_path(
    study: Path, tmp_path: Path, python_scp: PythonSCP
) -> None:
    """The number of its images is unknown."""
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 no zip")
    result = send("a.zip", study, *to(python_scp), cwd=tmp_path)
    assert "; 1 of 4 paths not read; see " in last(result.stderr)
    assert result.exit_code == 1


def test_the_last_line_of_a_dry_run_uses_would(study: Path, tmp_path: Path) -> None:
    """Nothing was sent, so the line does not claim it."""
    with PythonSCP() as server:
        result = send(study, "-n", "--no-reports", *to(server), cwd=tmp_path)
    assert last(result.stderr).startswith(f"6 images would be sent to SCP@{HOST}:{server.port} in ")


@pytest.mark.parametrize("options", [[], ["-q"]], ids=["usual", "quiet"])
def test_a_failure_before_the_first_image_is_one_line(
    study: Path, tmp_path: Path, options: list[str]
) -> None:
    """It has the cause and advice; there are no reports and no table of zeros."""
    server = f"X@{HOST}:{free_port()}"
    result = send(study, server, *options, "--send-retry-time", 0, cwd=tmp_path)
    (line,) = result.stderr.splitlines()
    assert f"Connection refused: check {server}, that the server runs, and that" in line
    assert [path.name for path in tmp_path.iterdir()] == ["study"]
    assert result.exit_code == 3


def test_the_cause_comes_before_its_effects(study: Path, tmp_path: Path) -> None:
    """The cause that ended the run is a separate error before the list of paths."""
    with FaultSCP(leave_after_an_image, rejecting(UNKNOWN_CALLING_AE)) as server:
        result = send(study, *FEW, *to(server), cwd=tmp_path)
    lines = [line for line in result.stderr.splitlines() if "calling AE title" in line]
    first, *others, closing = lines
    assert "ERROR" in first
    assert last(closing).startswith("127.0.0.1 port ")
    assert len(others) == 3
    assert [" 2 images not sent: " in line for line in others] == [True, False, False]
    assert result.exit_code == 3


def test_series_are_in_natural_order(study: Path, python_scp: PythonSCP, tmp_path: Path) -> None:
    """Series 2 comes before series 10, and image 4 before image 20."""
    result = send(study, *FEW, *to(python_scp), cwd=tmp_path)
    assert result.exit_code == 0
    names = [Path(row["Path"]).name for row in rows_of(tmp_path)]
    assert names == ["series 1", "series 2", "series 10"]
    sent = [record.sop_instance_uid for record in python_scp.stored]
    assert sent == [uid_of(number) for number in (2, 3, 4, 5, 20, 21)]


def test_no_text_uses_gear_terms(study: Path, tmp_path: Path) -> None:
    """Neither log nor reports mention acquisitions or Flywheel paths."""
    (study / "broken.zip").write_bytes(b"PK\x03\x04 no zip")
    with PythonSCP(status=0xA900) as server:
        result = send(study, "--debug", *to(server), cwd=tmp_path)
    texts = [path.read_text() for path in tmp_path.iterdir() if path.suffix in (".csv", ".html")]
    assert len(texts) == 3
    words = re.compile(r"(the|a) gear|FW Path|Acquisition ID|Upload|Run the gear")
    assert [words.findall(text) for text in (result.stderr, *texts)] == [[]] * 4


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_standard_output_is_an_error(tmp_path: Path) -> None:
    """It has one line and an exit code, and is not for the developers."""
    arguments = command.arguments_of("dicom-send", "echo", "--json")
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            arguments,
            cwd=tmp_path,
            env=command.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    (line,) = ended.stderr.splitlines()
    assert (ended.returncode, "standard output" in line) == (1, True)


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("closed", "option", "exit_code", "answer"),
    [(">&-", "--help", 1, "standard output: it is closed"), ("2>&-", "--version", 0, "dicom-send")],
)
def test_a_closed_stream_is_no_defect(
    tmp_path: Path, closed: str, option: str, exit_code: int, answer: str
) -> None:
    """The other stream has one line. A closed standard error costs the log only."""
    ended = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *command.arguments_of("dicom-send", option)],
        cwd=tmp_path,
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = (ended.stdout + ended.stderr).splitlines()
    assert (ended.returncode, answer in line) == (exit_code, True)
