"""The gear and the command send a user identity to the server and to no one else."""

import json
from pathlib import Path

import pytest
from pynetdicom import evt

from tests.support import wording
from tests.support.certificates import issue
from tests.support.gear_runs import Session, gear_on
from tests.support.pacs import PythonSCP, StoreSCP
from tests.support.sample_files import encoded, made
from tests.support.send_command import send, tls_inputs, tls_options, to

pytestmark = pytest.mark.slow

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IDENTITY = {"username": "alice-of-the-gear", "password": "hunter2-of-the-gear"}


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """File with an identity."""
    path = tmp_path / "identity.json"
    path.write_text(json.dumps(IDENTITY))
    return path


def scp(seen: list[bytes]) -> PythonSCP:
    """Return a server that accepts only this identity and records each passcode."""

    def check(event: evt.Event) -> tuple[bool, None]:
        seen.append(event.secondary_field)  # type: ignore[attr-defined]
        return event.secondary_field == IDENTITY["password"].encode(), None  # type: ignore[attr-defined]

    server = PythonSCP(handlers=[(evt.EVT_USER_ID, check)])
    server.ae.add_supported_context(FIND)
    return server


def assert_not_shown(*texts: str) -> None:
    """Check that neither user name nor passcode is in any readable output."""
    for text in texts:
        for value in IDENTITY.values():
            assert value not in text


def test_the_gear_sends_with_an_identity(tmp_path: Path, session: Session, identity: Path) -> None:
    """The server accepts it; log, debug log, reports and metadata do not show it."""
    session.site.add_file(session.acquisition("CT"), "ct.dcm", encoded(made(1)))
    seen: list[bytes] = []
    with scp(seen) as server:
        gear = gear_on(tmp_path, session.site, server.port, session.session)
        gear.config["config"] |= {"identity_without_tls": True, "debug": True, "verify": "find"}
        gear.give("identity.json", identity, parent_id="p", input_name="identity")
        result = gear.run()
        assert len(server.stored) == 1
        assert len(seen) == len(server.associations)
    assert "Traceback" not in result.log
    reports = [report.content.decode() for report in session.site.reports]
    left = [path.read_text(errors="replace") for path in result.output]
    assert reports
    assert_not_shown(result.log, json.dumps(result.metadata), *reports, *left)


def test_the_gear_rejects_an_unencrypted_identity(
    tmp_path: Path, session: Session, identity: Path
) -> None:
    """The error has advice, and no connection is made."""
    gear = gear_on(tmp_path, session.site, 104, session.session)
    gear.give("identity.json", identity, parent_id="p", input_name="identity")
    result = gear.run()
    assert result.exit_code == 1
    assert f"identity: 'identity.json' {wording.ALLOWED}: {wording.WITH_TLS}" in result.stderr
    assert_not_shown(result.log)


@pytest.mark.parametrize("command", ["send", "echo"])
def test_the_command_sends_with_an_identity(tmp_path: Path, identity: Path, command: str) -> None:
    """`dicom-send` and `dicom-send echo` accept --identity FILE and do not print it."""
    path = tmp_path / "ct.dcm"
    path.write_bytes(encoded(made(1)))
    first = "echo" if command == "echo" else path
    options = ["--identity", identity, "--identity-without-tls", "--json"]
    seen: list[bytes] = []
    with scp(seen) as server:
        result = send(first, *to(server), *options, cwd=tmp_path)
        assert len(server.stored) == (command == "send")
    assert result.exit_code == 0, result.stderr
    assert seen
    assert_not_shown(result.stdout, result.stderr)


@pytest.mark.parametrize("command", ["send", "echo"])
def test_over_tls_an_identity_needs_no_other_option(
    tmp_path: Path, identity: Path, command: str
) -> None:
    """DCMTK's storescp receives it after the handshake."""
    (tmp_path / "ct.dcm").write_bytes(encoded(made(1)))
    server, client = issue(tmp_path / "server"), issue(tmp_path / "client")
    with StoreSCP("-d", *tls_options(server, client)) as scp:
        first = "echo" if command == "echo" else tmp_path / "ct.dcm"
        options = [*tls_inputs(client, server), "--identity", identity]
        result = send(first, *to(scp), *options, cwd=tmp_path)
        printed = scp.output()
    assert result.exit_code == 0, result.stderr
    assert f"Username: [{IDENTITY['username']}]" in printed
    assert f"Password: [{IDENTITY['password']}]" in printed
    assert_not_shown(result.stdout, result.stderr)


@pytest.mark.parametrize(
    ("content", "options", "line"),
    [
        ("{}", ["--identity-without-tls"], "allowed: a JSON file"),
        (json.dumps(IDENTITY), [], "allowed: with --tls-enabled, or"),
    ],
)
@pytest.mark.parametrize("first", ["echo", "."])
def test_the_command_reports_an_invalid_identity(
    identity: Path, first: str, content: str, options: list[str], line: str
) -> None:
    """An invalid file or an unencrypted identity ends the command with one line."""
    identity.write_text(content)
    server = ["--destination", "127.0.0.1", "--called-ae", "X"]
    result = send(first, *server, "--identity", identity, *options, cwd=identity.parent)
    assert result.exit_code == 2
    assert f"--identity: 'identity.json' was given; {line}" in result.stderr
    assert_not_shown(result.stderr, result.stdout)
