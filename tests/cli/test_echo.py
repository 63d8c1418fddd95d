"""`dicom-send echo` says whether a server answers, and what it accepts."""

import json
import shlex
import subprocess
from pathlib import Path

from pydicom.uid import JPEGBaseline8Bit, MRImageStorage

from tests.support import command
from tests.support.certificates import HOST, issue
from tests.support.pacs import Orthanc, StoreSCP, free_port
from tests.support.send_command import send, tls_inputs, tls_options, to


def test_echo_tells_what_orthanc_accepts(orthanc: Orthanc, tmp_path: Path) -> None:
    """It answers the C-ECHO, and takes all storage SOP classes, in JPEG too."""
    result = send("echo", *to(orthanc), cwd=tmp_path)

    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"SCP at {HOST} port {orthanc.port} accepts an association"
    assert "Implementation: OFFIS_DCMTK_" in result.stdout
    assert "C-ECHO: success, in " in result.stdout
    assert any(line.startswith("Accepted: all ") for line in lines)
    assert "    JPEG Baseline (Process 1)" in lines


def test_echo_tells_what_a_server_does_not_accept(tmp_path: Path) -> None:
    """The SOP classes and transfer syntaxes that are taken come first, then those that are not."""
    accept = {"1.2.840.10008.1.1": ["1.2.840.10008.1.2"], MRImageStorage: [JPEGBaseline8Bit]}
    with StoreSCP(accept=accept) as server:
        result = send("echo", *to(server), cwd=tmp_path)
        told = send("echo", "--json", *to(server), cwd=tmp_path)

    assert result.exit_code == 0, result.stderr
    assert (
        "Accepted: 1 storage SOP class\n    MR Image Storage\n  each in 1 transfer syntax:\n"
        "    JPEG Baseline (Process 1)\n\nNot accepted: "
    ) in result.stdout
    answer = json.loads(told.stdout)
    assert answer["echo_status"] == 0
    assert answer["accepted"][MRImageStorage] == [JPEGBaseline8Bit]
    assert sum(map(len, answer["accepted"].values())) == 1


def test_echo_fails_where_there_is_no_server(tmp_path: Path) -> None:
    """The line, or the JSON, says what to check, and the exit code is 1."""
    options = ["--destination", HOST, "--port", free_port(), "--called-ae", "X"]

    plain = send("echo", *options, cwd=tmp_path)
    told = send("echo", *options, "--json", cwd=tmp_path)

    assert "Connection refused: check destination and port" in plain.stderr
    assert "Connection refused" in json.loads(told.stdout)["error"]
    assert (plain.exit_code, told.exit_code) == (3, 3)


def test_echo_fails_where_it_is_not_accepted(tmp_path: Path) -> None:
    """A server that takes no C-ECHO is told as such."""
    with StoreSCP(accept={MRImageStorage: [JPEGBaseline8Bit]}) as server:
        result = send("echo", *to(server), cwd=tmp_path)

    assert "C-ECHO: not accepted" in result.stdout
    assert result.exit_code == 1


def test_whoever_reads_may_leave(orthanc: Orthanc, tmp_path: Path) -> None:
    """A result that nobody reads to its end, as behind `| head`, is no error."""
    arguments = command.arguments_of("dicom-send", "echo", *to(orthanc))

    ended = subprocess.run(
        ["bash", "-c", f"{shlex.join(arguments)} | true; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.stderr, ended.returncode) == ("", 0)


def test_echo_tells_of_tls(tmp_path: Path) -> None:
    """It shows the version, the cipher suite and the server's certificate."""
    server, client = issue(tmp_path / "server"), issue(tmp_path / "client")
    with StoreSCP(*tls_options(server, client)) as scp:
        result = send("echo", *to(scp), *tls_inputs(client, server), cwd=tmp_path)

    assert result.exit_code == 0, result.stderr
    assert "TLS: TLSv1." in result.stdout
    assert "Certificate: " in result.stdout
