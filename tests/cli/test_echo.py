"""`dicom-send echo` shows whether a server responds and what it accepts."""

import json
import re
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.uid import JPEGBaseline8Bit, MRImageStorage
from pynetdicom import evt

from tests.support import command, wording
from tests.support.certificates import HOST, issue
from tests.support.fault_scp import FaultSCP
from tests.support.odd_certificates import PRINTABLE, TIME, name, odd_certificate, tlv
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP, free_port
from tests.support.send_command import send, tls_inputs, tls_options, to
from tests.support.tls_servers import secured, server_context


def test_echo_shows_what_orthanc_accepts(orthanc: Orthanc, tmp_path: Path) -> None:
    """Orthanc answers C-ECHO and queries, and accepts all storage SOP classes, also in JPEG."""
    result = send("echo", *to(orthanc), cwd=tmp_path)
    printed = send("echo", *to(orthanc), "--json", cwd=tmp_path)

    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"SCP at {HOST} port {orthanc.port} accepts an association"
    assert "Implementation: OFFIS_DCMTK_" in result.stdout
    assert "C-ECHO: success in " in result.stdout
    assert "TLS: not used" in lines
    assert f"{wording.STUDY_ROOT}: accepted" in lines
    assert "C-FIND (Patient Root): accepted" in lines
    assert "Storage commitment: accepted" in lines
    find = "verify find, skip_existing: possible, if the server answers queries of DICOM_SEND"
    assert find in result.stdout.replace("\n    ", " ")
    assert max(map(len, lines)) <= 80
    answer = json.loads(printed.stdout)
    assert answer["can"] == {"verify_find": True, "skip_existing": True, "verify_commit": True}
    assert JPEGBaseline8Bit in answer["accepted"][MRImageStorage]


def test_echo_shows_what_a_server_rejects(tmp_path: Path) -> None:
    """With -v, accepted pairs have an x; rejected pairs and services are listed, too."""
    accept = {"1.2.840.10008.1.1": ["1.2.840.10008.1.2"], MRImageStorage: [JPEGBaseline8Bit]}
    with StoreSCP(accept=accept) as server:
        result = send("echo", "-v", *to(server), cwd=tmp_path)
        brief = send("echo", *to(server), cwd=tmp_path)
        quiet = send("echo", "-q", *to(server), cwd=tmp_path)
        printed = send("echo", "--json", *to(server), cwd=tmp_path)

    assert result.exit_code == 0, result.stderr
    assert re.search(
        r"\n      A\n   1  x\n   2  \.\n\n   1  MR Image Storage\n   2  the \d+ other "
        r"SOP classes\n   A  JPEG Baseline \(Process 1\)\n",
        result.stdout,
    )
    assert brief.stdout.splitlines()[-4] == "  MR: JPEG"
    assert brief.stdout.endswith("PDF, ECG: not accepted\n")
    assert re.fullmatch(r"C-ECHO: success in [\d.]+ ms\n", quiet.stdout)
    no_find = f"{wording.STUDY_ROOT}: not accepted: {wording.NO_ABSTRACT_SYNTAX} (3)"
    assert no_find in result.stdout
    assert f"verify find, skip_existing: not possible without {wording.STUDY_ROOT}" in result.stdout
    assert "verify commit: not possible without Storage commitment" in result.stdout
    answer = json.loads(printed.stdout)
    assert answer["echo_status"] == 0
    assert answer["accepted"][MRImageStorage] == [JPEGBaseline8Bit]
    assert sum(map(len, answer["accepted"].values())) == 1
    assert answer["services"]["storage_commitment"] == {
        "sop_class_uid": "1.2.840.10008.1.20.1",
        "is_accepted": False,
        "is_alone": False,
        "refusal": f"{wording.NO_ABSTRACT_SYNTAX} (3)",
    }


def test_echo_fails_without_a_server(tmp_path: Path) -> None:
    """The output or the JSON contains advice, and the exit code is 1."""
    options = ["--destination", HOST, "--port", free_port(), "--called-ae", "X"]

    plain = send("echo", *options, cwd=tmp_path)
    printed = send("echo", *options, "--json", cwd=tmp_path)

    assert "Connection refused: check --destination and --port, that" in plain.stderr
    assert "Connection refused" in json.loads(printed.stdout)["error"]
    assert (plain.exit_code, printed.exit_code) == (3, 3)


def test_echo_prints_usage_errors_as_json(tmp_path: Path) -> None:
    """--json prints the error of an invalid command line, too."""
    printed = send("echo", f"X@{HOST}:104", "--associations=1", "--json", cwd=tmp_path)
    assert json.loads(printed.stdout)["exit_code"] == printed.exit_code == 2
    options = ["--destination", HOST, "--port", 0, "--called-ae", "X"]
    printed = send("echo", *options, "--json", cwd=tmp_path)
    assert "--port: 0 was given" in json.loads(printed.stdout)["error"]


def test_echo_fails_if_it_is_not_accepted(tmp_path: Path) -> None:
    """A server that does not accept C-ECHO is reported as such."""
    with StoreSCP(accept={MRImageStorage: [JPEGBaseline8Bit]}) as server:
        result = send("echo", *to(server), cwd=tmp_path)

    assert "C-ECHO: not accepted" in result.stdout
    assert result.exit_code == 1


def test_a_closed_pipe_is_not_an_error(orthanc: Orthanc, tmp_path: Path) -> None:
    """Closing the output early, as `| head` does, is not an error."""
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


def test_echo_shows_tls(tmp_path: Path) -> None:
    """The text and the JSON show the version, the cipher suite and the server's certificate."""
    server, client = issue(tmp_path / "server"), issue(tmp_path / "client")
    with StoreSCP(*tls_options(server, client)) as scp:
        result = send("echo", *to(scp), *tls_inputs(client, server), cwd=tmp_path)
        printed = send("echo", *to(scp), *tls_inputs(client, server), "--json", cwd=tmp_path)
        lax = ["--tls-enabled", "--no-tls-require-peer-cert", "--key", client.key]
        unverified = send("echo", *to(scp), *lax, "--cert", client.cert, cwd=tmp_path)

    assert result.exit_code == 0, result.stderr
    assert "TLS: TLSv1." in result.stdout
    assert "Certificate: OU=Testing cert" in result.stdout
    assert "; verified" in " ".join(result.stdout.split())
    assert "; not verified (any is accepted)" in " ".join(unverified.stdout.split())
    tls = json.loads(printed.stdout)["tls"]
    assert tls["version"].startswith("TLSv1.")
    assert tls["is_verified"] is True
    assert datetime.fromisoformat(tls["expires"]) > datetime.now(UTC)


@pytest.mark.slow
def test_echo_shows_an_odd_certificate(tmp_path: Path) -> None:
    """What cannot be read is null in JSON; the rest is shown."""
    odd = odd_certificate(
        tmp_path / "odd", subject=name(PRINTABLE, b"pacs_1"), end=tlv(TIME, b"someday")
    )
    lax = ["--tls-enabled", "--no-tls-require-peer-cert"]
    with FaultSCP(secured(server_context(odd))) as scp:
        result = send("echo", *to(scp), *lax, cwd=tmp_path)
        printed = send("echo", *to(scp), *lax, "--json", cwd=tmp_path)

    assert (result.exit_code, printed.exit_code) == (0, 0), result.stderr
    shown = f"Certificate: CN=pacs_1, issued by CN=pacs_1, valid until {wording.UNREADABLE_DATE}; "
    assert shown in " ".join(result.stdout.split())
    tls = json.loads(printed.stdout)["tls"]
    assert (tls["subject"], tls["issuer"], tls["expires"]) == ("CN=pacs_1", "CN=pacs_1", None)


@pytest.mark.slow
def test_echo_shows_whether_the_identity_is_confirmed(tmp_path: Path) -> None:
    """An unconfirmed identity may be ignored; without an identity, nothing is shown."""
    path = tmp_path / "who.json"
    path.write_text(json.dumps({"jwt": "a.b.c"}))
    identity = ["--identity", path, "--identity-without-tls"]
    with PythonSCP(handlers=[(evt.EVT_USER_ID, lambda _: (True, b"yes"))]) as server:
        confirmed = send("echo", *to(server), *identity, cwd=tmp_path)
        without = send("echo", *to(server), cwd=tmp_path)
    with StoreSCP() as scp:
        ignored = send("echo", *to(scp), *identity, "--json", cwd=tmp_path)

    assert "User identity: confirmed\n" in confirmed.stdout
    assert "User identity" not in without.stdout
    assert json.loads(ignored.stdout)["confirms_identity"] is False
