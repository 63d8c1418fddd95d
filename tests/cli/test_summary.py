"""Results for programs: exit code and a summary with a schema."""

import json
import signal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support import command, wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.certificates import HOST
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pacs import PythonSCP, StoreSCP
from tests.support.preloaded import REPOSITORY
from tests.support.sample_files import encoded, made
from tests.support.scripted import UNKNOWN_CALLING_AE, leave_after_an_image, rejecting
from tests.support.send_command import send, to
from tests.support.servers.process import free_port
from tests.support.waiting import wait_for

SCHEMA = json.loads((REPOSITORY / "docs/summary.schema.json").read_text())


def checked(text: str) -> dict[str, Any]:
    """Return a summary after validating it against the schema."""
    summary: dict[str, Any] = json.loads(text)
    jsonschema.Draft7Validator(SCHEMA).validate(summary)
    return summary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder with three images and a file that is not an image."""
    path = tmp_path / "images"
    path.mkdir()
    for number in range(3):
        (path / f"{number}.dcm").write_bytes(encoded(made(number)))
    return path


def test_all_images_are_sent(folder: Path, storescp: StoreSCP, tmp_path: Path) -> None:
    """The exit code is 0, and the output of --json is also beside the reports."""
    result = send(folder, "--json", *to(storescp), cwd=tmp_path)
    summary = checked(result.stdout)
    assert (result.exit_code, summary["exit_code"], summary["cause"]) == (0, 0, None)
    assert (summary["images"], summary["sent"], summary["failed"]) == (3, 3, {})
    assert summary["server"] == {
        "protocol": "DIMSE",
        "host": HOST,
        "port": storescp.port,
        "called_ae": "SCP",
        "calling_ae": "DICOM_SEND",
        "tls": False,
    }
    assert summary["bytes_sent"] > 0
    assert summary["seconds"] > 0
    used = summary["associations_used"]
    assert 1 <= used["number"] <= used["peak"] <= 3
    assert used["reason"] in ("near", "short")
    (path,) = (Path(one) for one in summary["reports"] if one.endswith("_summary.json"))
    written = checked((tmp_path / path).read_text())
    for unlike in ("finished", "reports"):
        del summary[unlike], written[unlike]
    assert written == summary


def test_some_images_are_not_sent(folder: Path, tmp_path: Path) -> None:
    """The exit code is 1, and the failures are counted by code."""
    with PythonSCP(status=[0x0000, 0xA900, 0xA9FF]) as server:
        result = send(folder, "--json", "--associations", 1, *to(server), cwd=tmp_path)
    summary = checked(result.stdout)
    assert (result.exit_code, summary["exit_code"]) == (1, 1)
    assert (summary["sent"], sum(summary["failed"].values())) == (1, 2)
    assert summary["associations_used"] == {"number": 1, "peak": 1, "reason": "fixed"}


@pytest.mark.parametrize(
    "arguments",
    [("{folder}",), ("--destination", HOST), ("{folder}", "--port", "x"), ("nowhere", "--x")],
)
def test_wrong_usage(folder: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """The exit code is 2, and there is a summary nevertheless."""
    given = [one.format(folder=folder) for one in arguments]
    result = send("--json", *given, cwd=tmp_path)
    summary = checked(result.stdout)
    assert (result.exit_code, summary["exit_code"]) == (2, 2)
    assert summary["error"] in result.stderr


def test_an_unreachable_server(folder: Path, tmp_path: Path) -> None:
    """The exit code is 3."""
    peer = ("--destination", HOST, "--port", free_port(), "--called-ae", "X")
    result = send(folder, "--json", "--send-retry-time", 0, *peer, cwd=tmp_path)
    summary = checked(result.stdout)
    assert (result.exit_code, summary["exit_code"]) == (3, 3)
    assert "Connection refused" in summary["cause"]


def test_a_server_lost_during_the_run(folder: Path, tmp_path: Path) -> None:
    """The exit code is 3 and the cause is reported, although the run came to its end."""
    with FaultSCP(leave_after_an_image, rejecting(UNKNOWN_CALLING_AE)) as server:
        result = send(folder, "--json", "--associations", 1, *to(server), cwd=tmp_path)
    summary = checked(result.stdout)
    assert (result.exit_code, summary["exit_code"], summary["error"]) == (3, 3, None)
    assert "calling AE title" in summary["cause"]
    assert summary["lost_associations"] == 1
    page = next(tmp_path.glob("*.html")).read_text()
    assert f"1 association {wording.LOST_WHILE_SENDING}" in page
    assert "The server does not know dicom-send." in page


@pytest.mark.parametrize(
    "options", [["--verify", "find"], ["--verify", "commit"], ["--skip-existing"]]
)
def test_a_server_without_a_needed_service(
    folder: Path, storescp: StoreSCP, tmp_path: Path, options: list[str]
) -> None:
    """The exit code is 3, and nothing is sent."""
    result = send(folder, "--json", *options, *to(storescp), cwd=tmp_path)
    summary = checked(result.stdout)
    assert (result.exit_code, summary["exit_code"], summary["sent"]) == (3, 3, 0)
    assert wording.NOT_SUPPORTED in summary["error"]


def test_images_that_are_not_verified(folder: Path, tmp_path: Path) -> None:
    """The exit code is 4 if verification is the only failure."""
    with ArchiveSCP(find_status=0xC000) as server:
        result = send(folder, "--json", "--verify", "find", *to(server), cwd=tmp_path)
    summary = checked(result.stdout)
    assert (result.exit_code, summary["exit_code"]) == (4, 4)
    assert (summary["sent"], summary["verified"]) == (3, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal(folder: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    """A signal takes precedence over all other failures."""

    def stall(peer: Peer) -> None:
        peer.accept()
        peer.read_image()
        peer.stall()

    with FaultSCP(stall) as server:
        process = command.start("dicom-send", folder, "--json", *to(server), cwd=tmp_path)
        assert wait_for(lambda: bool(server.images))
        process.send_signal(number)
        printed, _ = process.communicate(timeout=100)
    assert (process.returncode, checked(printed)["exit_code"]) == (code, code)


def test_a_dry_run(folder: Path, storescp: StoreSCP, tmp_path: Path) -> None:
    """Nothing is sent, and the exit code is 0."""
    result = send(folder, "--json", "--dry-run", *to(storescp), cwd=tmp_path)
    summary = checked(result.stdout)
    assert (result.exit_code, summary["sent"], summary["would_be_sent"]) == (0, 0, 3)


def test_missing_identifiers(tmp_path: Path, storescp: StoreSCP) -> None:
    """Images without them are counted: some archives refuse them."""
    (tmp_path / "a.dcm").write_bytes(encoded(made(1, PatientID="", StudyInstanceUID="")))
    result = send("a.dcm", "--json", "--dry-run", *to(storescp), cwd=tmp_path)
    assert checked(result.stdout)["missing_identifiers"] == {
        "patient_id": 1,
        "study_instance_uid": 1,
        "series_instance_uid": 0,
    }


def events(result: command.CommandResult) -> list[dict[str, Any]]:
    """Return the lines of a JSON log."""
    return [json.loads(line) for line in result.stderr.splitlines()]


def test_the_json_log_has_one_event_per_line(folder: Path, tmp_path: Path) -> None:
    """It has each image, each file, each other log line, and the summary at the end."""
    with PythonSCP(status=[0x0000, 0xA900]) as server:
        result = send(folder, "--log-json", "--associations", 1, *to(server), cwd=tmp_path)
    logged = events(result)
    assert {one["event"] for one in logged} == {"log", "image", "file", "summary"}
    assert [one["status"] for one in logged if one["event"] == "image"] == [0x0000, 0xA900, 0x0000]
    (file,) = (one for one in logged if one["event"] == "file")
    assert (file["images"], file["sent"], file["status"]) == (3, 2, "Incomplete")
    last = logged[-1]
    assert (last.pop("event"), last.pop("time")[-6:]) == ("summary", "+00:00")
    assert checked(json.dumps(last))["exit_code"] == result.exit_code == 1


def test_wrong_usage_is_json_in_the_log_as_well(tmp_path: Path) -> None:
    """The log contains only JSON."""
    result = send("nowhere", "--log-json", cwd=tmp_path)
    summary, error = events(result)
    assert (summary["event"], summary["exit_code"], result.exit_code) == ("summary", 2, 2)
    assert (error["level"], error["message"]) == ("error", summary["error"])
