"""Answers of `dicom-send` to more than forty command lines, most of them mistyped."""

import shlex
import shutil
from pathlib import Path

import pytest

from tests.support import command
from tests.support.certificates import HOST
from tests.support.pacs import Orthanc
from tests.support.servers.process import free_port

pytestmark = pytest.mark.slow

TABLES = """
flat = 1
[archive]
host = "127.0.0.1"
port = {closed}
called_ae = "ARCHIVE"
[other]
host = "127.0.0.1"
called_ae = "OTHER"
[former]
host = "127.0.0.1"
summary_report = false
[wrong]
host = "127.0.0.1"
calling = "ME"
"""
ANSWERS = [
    # Without arguments
    ("", 2, "usage: dicom-send PATH... AE@HOST:PORT [options]"),
    ("--help", 0, "dicom-send --help-all shows all options"),
    # Options
    ("DIR A@h:1 --tls", 2, "unknown option --tls (did you mean --tls-enabled?)"),
    ("DIR A@h:1 --dryrun", 2, "unknown option --dryrun (did you mean --dry-run?)"),
    ("DIR A@h:1 --skip_existing", 2, "unknown option --skip_existing (did you mean --skip-"),
    ("DIR A@h:1 --no-html-report", 2, "option --no-html-report (did you mean --report-files?)"),
    ("DIR A@h:1 --report", 2, "unknown option --report (did you mean --report-files?)"),
    ("DIR A@h:1 --report-files csv", 2, "allowed: none, or some of files, images, page, summary"),
    ("DIR A@h:1 --xyzzy", 2, "unknown option --xyzzy; see dicom-send --help"),
    ("echo A@h:1 --jsn", 2, "unknown option --jsn (did you mean --json?)"),
    ("DIR A@h:1 --tls-enabled false", 2, "--tls-enabled takes no value: write --no-tls-enabled"),
    ("DIR A@h:1 --tls-enabled=yes", 2, "--tls-enabled takes no value: write --tls-enabled;"),
    ("DIR A@h:1 -q no", 2, "-q takes no value: leave it out"),
    ("DIR A@h:1 --bandwidth-limit fast", 2, "or a timetable: '08:00 2, 18:00 off'"),
    ("DIR A@h:1 --bandwidth-limit '24:00 2'", 2, "--bandwidth-limit: '24:00 2' was given"),
    ("DIR A@h:1 --verify yes", 2, "--verify"),
    # Servers
    ("DIR archiv", 2, "archiv is neither a path nor a server (did you mean archive?)"),
    ("DIR --server archiv", 2, "(did you mean archive?); known servers: flat, archive, other"),
    ("DIR flat", 2, "[flat]: not a table"),
    ("DIR wrong", 2, "[wrong] calling: unknown key (did you mean calling_ae?); allowed: "),
    ("DIR former", 2, "summary_report: unknown key (did you mean report_files?); allowed: "),
    ("DIR A@h:1 B@h:2", 2, "A@h:1 and B@h:2 are both servers; run the command once for each"),
    ("DIR archive other", 2, "archive and other are both servers"),
    ("DIR A:h:104", 2, "A:h:104: write the server as A@h:104"),
    ("DIR h:104", 2, "h:104: the AE title is missing: AE@h:104"),
    ("DIR A@h", 2, "A@h: the port is missing: A@h:104"),
    ("DIR A@::1:104", 2, "IPv6 addresses need brackets: A@[::1]:104"),
    ("A@h:1 DIR", 2, "the server must be the last argument: dicom-send PATH... A@h:1"),
    ("DIR", 2, "no server is given: end with AE@host:port"),
    ("DIR ''", 2, "an argument is empty"),
    ("'' A@h:1", 2, "an argument is empty"),
    ("check '' A@h:1", 2, "an argument is empty"),
    ("echo A@h:1 B@h:2", 2, "too many arguments: B@h:2"),
    # Subcommands
    ("ping A@h:104", 2, "ping: not found (did you mean dicom-send echo?)"),
    ("ecoh A@h:104", 2, "ecoh: not found (did you mean dicom-send echo?)"),
    ("server", 2, "server: not found (did you mean dicom-send servers?)"),
    ("chek --help", 2, "chek: not found (did you mean dicom-send check?)"),
    # Lines of other programs
    ("-aec A host 104 DIR", 2, "write: dicom-send DIR A@host:104"),
    ("storescu -aet X -aec A h 104 DIR +sd", 2, "write: dicom-send DIR A@h:104 -aet X"),
    ("dcmsend -v host 104 DIR +r", 2, "write: dicom-send -v DIR ANY-SCP@host:104"),
    ("-aec A +tls k.pem c.pem h 1 DIR", 2, "A@h:1 --tls-enabled --key k.pem --cert c.pem"),
    ("-c A@host:104 -b X@me:11112 'a b'", 2, "write: dicom-send 'a b' A@host:104 -aet X\n"),
    ("-c A@host:104 -b X:11112 DIR", 2, "write: dicom-send DIR A@host:104 -aet X\n"),
    ("echo -aec A host 104", 2, "write: dicom-send echo A@host:104"),
    ("DIR 104", 2, "104 is neither a path nor a server"),
    ("host 104 A@h:1", 2, "host: not found"),
    ("DIR 104 DIR", 2, "no server is given"),
    ("-aec A host 104", 2, "104 is neither a path nor a server"),
    # servers.toml
    ("servers add archive A@h:1", 2, "first: dicom-send servers remove archive"),
    ("servers add new h:104", 2, "the AE title is missing: AE@h:104"),
    ("servers remove archiv", 2, "(did you mean archive?)"),
    # Servers that do not answer
    ("DIR A@{host}:{closed} --send-retry-time 0", 3, "check A@{host}:{closed}, that the server"),
    ("echo archive", 3, "servers.toml: [archive], that the server runs"),
    ("check DIR A@nowhere.invalid:104", 3, "check A@nowhere.invalid:104, that the server"),
]


@pytest.mark.parametrize(
    ("line", "exit_code", "answer"), ANSWERS, ids=[line or "bare" for line, _, _ in ANSWERS]
)
def test_a_line_has_its_answer(
    series: Path, tmp_path: Path, line: str, exit_code: int, answer: str
) -> None:
    """The answer names what was typed and what to type, and the exit code is that of the help."""
    places = {"host": HOST, "closed": free_port()}
    shutil.copytree(series, tmp_path / "DIR")
    (tmp_path / "dicom-send").mkdir()
    (tmp_path / "dicom-send" / "servers.toml").write_text(TABLES.format(**places))

    result = command.run(
        "dicom-send",
        *shlex.split(line.format(**places)),
        cwd=tmp_path,
        variables={"XDG_CONFIG_HOME": str(tmp_path)},
    )

    assert answer.format(**places) in result.stdout + result.stderr
    assert result.exit_code == exit_code
    assert not list(tmp_path.glob("dicom-send_report*"))


@pytest.mark.parametrize("word", ["ping", "false"])
def test_a_path_is_no_mistake(series: Path, orthanc: Orthanc, tmp_path: Path, word: str) -> None:
    """A folder may have the name of a subcommand of another program, or of a boolean."""
    shutil.copytree(series, tmp_path / word)
    server = f"SCP@{HOST}:{orthanc.port}"
    result = command.run("dicom-send", word, "--stamp", word, "--no-reports", server, cwd=tmp_path)
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("name", "meant"), [("DRYRUN", "DRY_RUN"), ("INSTANCE_REPORT", "REPORT_FILES")]
)
def test_an_unknown_variable_is_named(series: Path, tmp_path: Path, name: str, meant: str) -> None:
    """With -q, too."""
    result = command.run(
        "dicom-send",
        series,
        f"A@{HOST}:{free_port()}",
        "-q",
        "--send-retry-time=0",
        cwd=tmp_path,
        variables={f"DICOM_SEND_{name}": "1"},
    )
    expected = f"DICOM_SEND_{name}: unknown option (did you mean DICOM_SEND_{meant}?)"
    assert expected in result.stderr.splitlines()[0]


def test_a_place_may_have_braces(tmp_path: Path) -> None:
    """The path of servers.toml in an error is that on disk."""
    config = tmp_path / "{called_ae}" / "{}"
    (config / "dicom-send").mkdir(parents=True)
    text = TABLES.format(closed=free_port())
    (config / "dicom-send" / "servers.toml").write_text(text)
    variables = {"XDG_CONFIG_HOME": str(config)}
    result = command.run("dicom-send", "echo", "archive", cwd=tmp_path, variables=variables)
    assert f"check {config}/dicom-send/servers.toml: [archive], that the server" in result.stderr
    assert result.exit_code == 3


def test_a_folder_with_the_name_of_a_server_does_not_hide_it_from_echo(tmp_path: Path) -> None:
    """A path has no meaning there."""
    (tmp_path / "dicom-send").mkdir()
    (tmp_path / "dicom-send" / "servers.toml").write_text(TABLES.format(closed=free_port()))
    (tmp_path / "archive").mkdir()
    variables = {"XDG_CONFIG_HOME": str(tmp_path)}
    result = command.run("dicom-send", "echo", "archive", cwd=tmp_path, variables=variables)
    assert "[archive], that the server" in result.stderr
    assert result.exit_code == 3
