"""Server of `dicom-send`: as one argument, by name, by variables and by options."""

import os
from pathlib import Path

import pytest

from tests.support import command, wording
from tests.support.certificates import HOST
from tests.support.command import CommandResult
from tests.support.pacs import PythonSCP
from tests.support.servers.process import free_port

pytestmark = pytest.mark.slow

TABLES = """
[archive]
host = "{host}"
port = {port}
called_ae = "ARCHIVE"
calling_ae = "NAMED"
[lost]
host = "{host}"
port = {lost}
called_ae = "LOST"
[wrong]
hots = "x"
"""


def run(*arguments: object, cwd: Path, **variables: str) -> CommandResult:
    """Run the command with the servers of `named` and with `DICOM_SEND_...` variables."""
    known = {"XDG_CONFIG_HOME": str(cwd / "config")}
    known |= {f"DICOM_SEND_{name}": value for name, value in variables.items()}
    return command.run("dicom-send", *arguments, cwd=cwd, variables=known)


@pytest.fixture
def named(tmp_path: Path, python_scp: PythonSCP) -> PythonSCP:
    """Server named `archive` in servers.toml; the table `wrong` has an unknown key."""
    folder = tmp_path / "config" / "dicom-send"
    folder.mkdir(parents=True)
    text = TABLES.format(host=HOST, port=python_scp.port, lost=free_port())
    (folder / "servers.toml").write_text(text)
    return python_scp


def calling(server: PythonSCP) -> str:
    """Return the AE title of the last caller."""
    return server.associations[-1].calling_ae


def test_the_last_argument_is_the_server(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """AE@host:port is sufficient, together with DCMTK's short options."""
    result = run(series, "-aet", "ME", "-j", 1, f"X@{HOST}:{python_scp.port}", cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert len(python_scp.stored) == 4
    assert calling(python_scp) == "ME"


def test_the_command_calls_itself_dicom_send(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """The calling AE title of the command differs from that of the gear, `flywheel`."""
    server = f"X@{HOST}:{python_scp.port}"
    titles = []
    for words in ((series, server), ("echo", server)):
        assert run(*words, cwd=tmp_path).exit_code == 0
        titles.append(calling(python_scp))
    assert titles == ["DICOM_SEND", "DICOM_SEND"]


def test_an_ipv6_address_has_brackets(series: Path, tmp_path: Path) -> None:
    """The brackets are not part of the address."""
    result = run(series, f"X@[::1]:{free_port()}", "--send-retry-time", 0, cwd=tmp_path)
    assert f"{wording.CANNOT_CONNECT} ::1 port " in result.stderr
    assert result.exit_code == 3


def test_a_server_has_a_name(series: Path, named: PythonSCP, tmp_path: Path) -> None:
    """Its table in servers.toml has the other options; the command line takes precedence."""
    assert run(series, "archive", cwd=tmp_path).exit_code == 0
    assert calling(named) == "NAMED"
    assert run(series, "archive", "-aet", "TYPED", cwd=tmp_path).exit_code == 0
    assert calling(named) == "TYPED"


def test_variables_rank_between_command_line_and_table(
    series: Path, named: PythonSCP, tmp_path: Path
) -> None:
    """DICOM_SEND_SERVER names the server; other variables take precedence over its table."""
    variables = {"SERVER": "archive", "CALLING_AE": "VARIABLE", "REPORT_FILES": "none"}
    assert run(series, cwd=tmp_path, **variables).exit_code == 0
    assert calling(named) == "VARIABLE"
    assert not list(tmp_path.glob("*.csv"))
    assert run(series, "-aet", "TYPED", cwd=tmp_path, **variables).exit_code == 0
    assert calling(named) == "TYPED"


def test_an_explicit_server_overrides_the_address_in_variables(
    series: Path, named: PythonSCP, tmp_path: Path
) -> None:
    """Host, port and AE title are taken together, so no image goes to a mixture of servers."""
    variables = {"DESTINATION": "elsewhere.invalid", "PORT": "1"}
    assert run(series, "archive", cwd=tmp_path, **variables).exit_code == 0
    assert len(named.stored) == 4


def test_a_word_that_is_both_a_path_and_a_server_is_an_error(
    series: Path, named: PythonSCP, tmp_path: Path
) -> None:
    """The error explains how to choose one, and both ways work."""
    (tmp_path / "archive").mkdir()
    result = run(series, "archive", cwd=tmp_path)
    assert "Write --server archive for the server, or ./archive for the path" in result.stderr
    assert (result.exit_code, named.stored) == (2, ())
    assert run(series, "--server", "archive", cwd=tmp_path).exit_code == 0
    assert len(named.stored) == 4


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["pacs:104"], "the AE title is missing: AE@pacs:104"),
        (["@pacs:104"], "the AE title is missing: AE@pacs:104"),
        (["A@pacs"], "the port is missing: A@pacs:104"),
        (["A@::1:104"], "IPv6 addresses need brackets: A@[::1]:104"),
        (["dicom://pacs:104/A"], f"{wording.WRITE_THE_SERVER_AS} A@pacs:104, without a scheme"),
        (["dicom://A@pacs:104"], f"{wording.WRITE_THE_SERVER_AS} A@pacs:104, without a scheme"),
        (["nothing"], "nothing is neither a path nor a server: end with AE@host:port"),
        (["A@pacs:99999"], "A@pacs:99999: 99999 was given"),
        (["A@pacs:104", "--port", "11112"], "--port repeats a part of A@pacs:104; remove it"),
        (["A@pacs:104", "--destination", "x"], "both name a server"),
        (["--server", "wrong"], "[wrong] hots: unknown key (did you mean host?); allowed: "),
        (["--server", "nobody"], "known servers: archive, lost, wrong"),
        (["--destination", "pacs:104", "-aec", "A"], "write --destination pacs --port 104"),
        (["--destination", "pacs:104"], "write --destination pacs --port 104"),
        (
            ["--destination", "dicom://pacs:104/A", "-aec", "A"],
            f"{wording.WRITE_THE_SERVER_AS} A@pacs:104",
        ),
    ],
)
@pytest.mark.usefixtures("named")
def test_a_typo_gets_a_hint(series: Path, tmp_path: Path, words: list[str], line: str) -> None:
    """One line suggests the correct spelling, and the exit code is 2."""
    result = run(series, *words, cwd=tmp_path)
    (message,) = result.stderr.splitlines()
    assert line in message
    assert result.exit_code == 2


def test_an_invalid_variable_is_named(series: Path, tmp_path: Path) -> None:
    """The error starts with the source of the value."""
    for variable, given in (("PORT", "x"), ("ASSOCIATIONS", "99"), ("VERIFY", "so"), ("JSON", "?")):
        result = run(series, f"A@{HOST}:104", cwd=tmp_path, **{variable: given})
        assert f"DICOM_SEND_{variable}: " in result.stderr
        assert result.exit_code == 2


def test_an_invalid_value_in_a_table_is_named(tmp_path: Path) -> None:
    """The error names the key of the table."""
    file = tmp_path / "config" / "dicom-send" / "servers.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f"[a]\n{ADDRESS}associations = 99\n")
    result = run("echo", "a", cwd=tmp_path)
    assert f"{file}: [a] associations: 99 was given; allowed: " in result.stderr
    assert result.exit_code == 2


def test_an_invalid_value_in_a_table_is_named_despite_a_variable(tmp_path: Path) -> None:
    """A server on the command line replaces the address in variables, so none is to blame."""
    file = tmp_path / "config" / "dicom-send" / "servers.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[a]\nhost = "pacs"\nport = "104"\ncalled_ae = "A"\n')
    result = run("echo", "a", cwd=tmp_path, PORT="11112")
    assert f"{file}: [a] port: '104' was given; allowed: " in result.stderr
    assert "DICOM_SEND_PORT" not in result.stderr
    assert result.exit_code == 2


def test_a_variable_without_an_option_is_logged(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """Otherwise a typo in its name would go unnoticed."""
    result = run(series, f"X@{HOST}:{python_scp.port}", cwd=tmp_path, VERFIY="find")
    assert "WARNING DICOM_SEND_VERFIY: unknown option" in result.stderr
    assert result.exit_code == 0


def test_a_table_names_files_relative_to_itself(
    series: Path, named: PythonSCP, tmp_path: Path
) -> None:
    """A relative path is relative to servers.toml, and a missing file is reported."""
    file = tmp_path / "config" / "dicom-send" / "servers.toml"
    table = f'[secret]\nhost = "{HOST}"\nport = {named.port}\ncalled_ae = "X"\nstamp = true\n'
    file.write_text(f'{table}identity = "who.json"\nidentity_without_tls = true\n')
    absent = run(series, "secret", cwd=tmp_path)
    assert (
        f"[secret] identity: {file.parent / 'who.json'}: {wording.FILE_NOT_FOUND}" in absent.stderr
    )
    (file.parent / "who.json").write_text('{"username": "alice"}')
    result = run(series, "secret", cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert all(b"DICOM send" in record.dataset for record in named.stored)
    assert len(named.stored) == 4


@pytest.mark.usefixtures("named")
def test_echo_accepts_a_server_as_one_argument(tmp_path: Path) -> None:
    """The server is given by its name or as AE@host:port."""
    result = run("echo", "archive", cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"ARCHIVE at {HOST} port ")
    result = run("echo", f"X@{HOST}:{free_port()}", cwd=tmp_path)
    assert result.exit_code == 3


def test_servers_are_listed_and_tested(named: PythonSCP, tmp_path: Path) -> None:
    """An invalid table is reported and does not hide the others."""
    listed = run("servers", cwd=tmp_path)
    assert f"archive  ARCHIVE@{HOST}:{named.port}\n" in listed.stdout
    assert "[wrong] hots: unknown" in listed.stderr
    tested = run("servers", "--test", "archive", "lost", cwd=tmp_path)
    first, second = tested.stdout.splitlines()
    assert "C-ECHO: success in " in first
    assert f"failed: {wording.CANNOT_CONNECT} " in second
    assert (listed.exit_code, tested.exit_code) == (2, 3)


def servers(folder: Path, table: str, *arguments: object, **variables: str) -> CommandResult:
    """Run `dicom-send servers` with this file."""
    file = folder / "config" / "dicom-send" / "servers.toml"
    file.parent.mkdir(parents=True)
    file.write_text(table, encoding="utf-8")
    known = {"XDG_CONFIG_HOME": str(folder / "config"), **variables}
    return command.run("dicom-send", "servers", *arguments, cwd=folder, variables=known)


ADDRESS = 'host = "h"\ncalled_ae = "X"\n'


def test_listed_servers_are_aligned(tmp_path: Path) -> None:
    """Each column is as wide as its longest text, and no line ends with spaces."""
    table = f"[a]\n{ADDRESS}tls_enabled = true\n[longer]\n{ADDRESS}port = 11112\n"
    result = servers(tmp_path, table)
    assert result.stdout == "a       X@h:104    TLS\nlonger  X@h:11112\n"


def test_listed_servers_are_printable(tmp_path: Path) -> None:
    """The file may come from someone else, and no part of it controls the terminal."""
    table = '["a\\u001b[2J"]\nhost = "h\\u202e"\ncalled_ae = "X\\n\\u0007"\n'
    listed = servers(tmp_path, table)
    assert listed.stdout == "a\\x1b[2J  X\\n\\x07@h\\u202e:104\n"
    assert listed.exit_code == 0


def test_servers_are_listed_in_any_encoding(tmp_path: Path) -> None:
    """A character that standard output cannot encode is escaped."""
    listed = servers(tmp_path, f'["d\u00f6"]\n{ADDRESS}', PYTHONIOENCODING="ascii")
    assert (listed.stdout, listed.exit_code) == ("d\\xf6  X@h:104\n", 0)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    listed = servers(tmp_path, f"\ufeff[a]\n{ADDRESS}")
    assert (listed.stdout, listed.exit_code) == ("a  X@h:104\n", 0)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("a = " + "[" * 100_000, "servers.toml: invalid TOML"),
        (f'[a]\n{ADDRESS}key = "~nobody-here/k"\n', f"~nobody-here/k: {wording.FILE_NOT_FOUND}"),
        (f'[a]\n{ADDRESS}key = "{"k" * 5000}"\n', "[a] key: "),
        (f'[a]\n{ADDRESS}key = "k\\u0000"\n', "[a] key: "),
    ],
    ids=range(4),
)
def test_an_unusable_table_is_an_error_of_one_line(tmp_path: Path, table: str, line: str) -> None:
    """It names the table, and the exit code is 2."""
    result = servers(tmp_path, table)
    (message,) = result.stderr.splitlines()
    assert line in message
    assert result.exit_code == 2


@pytest.mark.parametrize(("mode", "lines"), [(0o600, 0), (0o640, 1), (0o604, 1), (0o644, 1)])
def test_a_secret_that_others_can_read_is_logged(tmp_path: Path, mode: int, lines: int) -> None:
    """This concerns keys and identities; certificates are public."""
    files = {"key": mode, "cert": 0o644, "add_cert_file": 0o644, "identity": 0o600}
    table = f"[a]\n{ADDRESS}"
    for name, permissions in files.items():
        (tmp_path / name).touch()
        (tmp_path / name).chmod(permissions)
        table += f"{name} = {str(tmp_path / name)!r}\n"
    listed = servers(tmp_path, table)
    assert len(listed.stderr.splitlines()) == lines
    words = f"[a] key: {wording.OTHERS_CAN_READ} {tmp_path / 'key'}"
    assert listed.stderr.count(words) == lines
    assert listed.exit_code == 0


def test_an_identity_that_others_can_read_is_logged(tmp_path: Path) -> None:
    """The message names the option as the user wrote it."""
    identity = tmp_path / "who.json"
    identity.write_text('{"username": "alice"}')
    identity.chmod(0o644)
    server = f"X@{HOST}:{free_port()}"
    result = run("echo", server, "--identity", identity, "--identity-without-tls", cwd=tmp_path)
    assert result.stderr.count(f"--identity: {wording.OTHERS_CAN_READ} {identity}") == 1
    assert result.exit_code == 3


def test_an_empty_server_list_is_not_an_error(tmp_path: Path) -> None:
    """The output shows the expected path of the file."""
    result = run("servers", cwd=tmp_path)
    assert os.path.join("dicom-send", "servers.toml") in result.stderr
    assert (result.stdout, result.exit_code) == ("", 0)


def test_quiet_logs_no_progress(series: Path, python_scp: PythonSCP, tmp_path: Path) -> None:
    """With -q neither progress nor the table is logged, but the result is."""
    result = run(series, "-q", f"X@{HOST}:{python_scp.port}", cwd=tmp_path)
    (line,) = result.stderr.splitlines()
    assert f" 4 images sent to X@{HOST}:{python_scp.port} in " in line
    assert result.exit_code == 0
