"""`dicom-send --commit-port` receives storage commitment reports on other associations."""

import json
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import wording
from tests.support.certificates import HOST, issue
from tests.support.pacs import Orthanc, free_port
from tests.support.send_command import send, tls_inputs
from tests.support.tls_servers import orthanc_with_tls


def orthanc_options(orthanc: Orthanc, port: int) -> list[object]:
    """Return the options that request commitment from Orthanc and listen for it."""
    server = ["--destination", HOST, "--port", orthanc.port, "--called-ae", "ORTHANC"]
    return [*server, "--calling-ae", "SENDER", "--verify", "commit", "--commit-port", port]


def test_orthanc_commits(series: Path, tmp_path: Path) -> None:
    """Orthanc reports on a new association to the port configured for the sender."""
    port = free_port()
    with Orthanc(DicomModalities={"sender": ["SENDER", HOST, port]}) as orthanc:
        result = send(series, "--json", *orthanc_options(orthanc, port), cwd=tmp_path)
    assert "4 of 4 images verified by storage commitment" in result.stderr
    assert (json.loads(result.stdout)["verified"], result.exit_code) == (4, 0)


def test_orthanc_commits_over_tls(series: Path, tmp_path: Path) -> None:
    """The certificate of the command serves for both directions, as does the server's."""
    port = free_port()
    server, client = issue(tmp_path / "server"), issue(tmp_path / "client")
    sender = {"AET": "SENDER", "Host": HOST, "Port": port, "UseDicomTls": True}
    with orthanc_with_tls(
        server, client, verifies=True, DicomModalities={"sender": sender}
    ) as orthanc:
        options = [*orthanc_options(orthanc, port), *tls_inputs(client, server)]
        result = send(series, "--json", *options, cwd=tmp_path)
    assert (json.loads(result.stdout)["verified"], result.exit_code) == (4, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--verify", "find", "--commit-port", "11113"], "--commit-port needs --verify commit"),
        (["--verify", "commit", "--commit-port", "0"], "--commit-port: 0 was given"),
        (["--verify", "commit", "--commit-port", "65536"], "--commit-port: 65536 was given"),
        (
            ["--verify", "commit", "--commit-port", "11113", "--tls-enabled"],
            "--commit-port with --tls-enabled needs --key and --cert",
        ),
    ],
)
def test_invalid_combinations_are_reported_in_one_line(
    series: Path, tmp_path: Path, options: Sequence[str], message: str
) -> None:
    """Nothing is sent."""
    result = send(series, "--destination", HOST, "--called-ae", "X", *options, cwd=tmp_path)
    (line,) = result.stderr.splitlines()
    assert message in line
    assert result.exit_code == 2


def test_a_port_that_is_in_use_ends_the_run_immediately(
    series: Path, orthanc: Orthanc, tmp_path: Path
) -> None:
    """The error names the option, and nothing is sent."""
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1]
        result = send(series, *orthanc_options(orthanc, port), cwd=tmp_path)
    message = f"--commit-port: {port} {wording.ALLOWED}: a port that this computer can listen on "
    assert message in result.stderr
    assert (orthanc.ids(), result.exit_code) == ({}, 2)
