"""Command line of `dicom-send`: help, completion and usage errors."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support import wording
from tests.support.certificates import HOST
from tests.support.command import run
from tests.support.pacs import PythonSCP
from tests.support.preloaded import REPOSITORY
from tests.support.send_command import send

pytestmark = pytest.mark.slow

ONLY_ON_FLYWHEEL = {
    "file_types",
    "modality",
    "file_tags",
    "downloads",
    "file_download_retry_time",
    "sent_info",
    "sent_tag",
    "project_settings",
}


def test_help_names_each_option_of_the_gear(tmp_path: Path) -> None:
    """--help-all lists all manifest options that are not specific to Flywheel."""
    manifest = json.loads((REPOSITORY / "manifest.json").read_text())

    result = send("--help-all", cwd=tmp_path)

    assert result.exit_code == 0
    names = {f"--{name.replace('_', '-')}" for name in manifest["config"].keys() - ONLY_ON_FLYWHEEL}
    files = {f"--{name.replace('_', '-')}" for name in ("key", "cert", "add_cert_file", "identity")}
    assert names | files <= set(re.findall(r"--[a-z-]+", result.stdout))
    assert "dicom-send echo" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{series}"], "no server is given: end with AE@host:port"),
        (["--destination", "x", "--called-ae", "X"], "PATH or --files-from is required"),
        (["{series}", "--destination", "x"], "--called-ae is required"),
        (
            ["{series}", "--destination", "a/b", "--called-ae", "X"],
            "--destination: 'a/b' was given",
        ),
        (["{series}", "--port", "x"], "--port"),
        (
            ["{series}", "--port", "99999", "--destination", "x", "--called-ae", "X"],
            "--port: 99999",
        ),
        (["nowhere", "--destination", HOST, "--called-ae", "X"], "nowhere: not found"),
        (["{series}", "--verify", "so"], "--verify"),
        (["{series}", "--dest", HOST, "--called-ae", "X"], "--dest"),
        (
            [
                "{series}",
                "--destination",
                HOST,
                "--called-ae",
                "X",
                "--tls-enabled",
                "--key",
                "{file}",
            ],
            f"--cert is required: {wording.KEY_NEEDS_CERT}",
        ),
        (
            ["{series}", "--destination", HOST, "--called-ae", "X", "--key", "none.pem"],
            f"--key: none.pem: {wording.FILE_NOT_FOUND}",
        ),
        (
            ["{series}", "--destination", HOST, "--called-ae", "X", "--report-folder", "{file}/x"],
            "--report-folder: ",
        ),
    ],
)
def test_usage_errors_are_reported_in_one_line(
    series: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """The line names the option as typed; nothing is sent, and the exit code is 1."""
    file = next(iter(series.iterdir()))
    file.chmod(0o600)
    given = [one.format(series=series, file=file) for one in arguments]

    result = send(*given, cwd=tmp_path)

    (line,) = result.stderr.splitlines()
    assert message in line
    assert result.exit_code == 2


@pytest.mark.parametrize("option", ["--key", "--cert", "--add-cert-file", "--identity"])
def test_an_empty_path_is_a_missing_file(tmp_path: Path, option: str) -> None:
    """A script whose variable is empty must not send without the file."""
    result = send("echo", f"A@{HOST}:104", "--tls-enabled", f"{option}=", cwd=tmp_path)
    assert f"{option}: .: file not found" in result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize("program", ["dicom-send", "dicom-send-batch start"])
def test_help_speaks_of_the_command_line(tmp_path: Path, program: str) -> None:
    """Inputs, and `destination` without dashes, exist only in the gear."""
    name, *subcommand = program.split()
    option = "--help" if subcommand else "--help-all"
    shown = " ".join(run(name, *subcommand, option, cwd=tmp_path).stdout.split())
    assert "Add --key and --cert if" in shown
    assert not re.search(r"inputs|[^-]\bdestination\b", shown)


def test_help_fits_a_screen(tmp_path: Path) -> None:
    """--help shows the most common options in 80 columns and 40 lines."""
    result = send("--help", cwd=tmp_path)

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert len(lines) < 40
    assert max(map(len, lines)) <= 80
    assert {"--report-files", "-aet", "--help-all"} <= set(re.findall(r"-+[a-z-]+", result.stdout))


def test_help_of_servers_shows_the_file(tmp_path: Path) -> None:
    """Without a file, the help shows its path and its format."""
    result = send("servers", "--help", cwd=tmp_path)

    assert "$XDG_CONFIG_HOME/dicom-send" in result.stdout
    assert 'host = "pacs.example.org"' in result.stdout


def test_a_folder_may_have_the_name_of_a_subcommand(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """Without a server, the error explains how to send the folder `echo`; ./echo is sent."""
    series.rename(tmp_path / "echo")
    server = f"SCP@{HOST}:{python_scp.port}"

    tested = send("echo", server, cwd=tmp_path)
    stored = len(python_scp.stored)
    sent = send("./echo", server, cwd=tmp_path)

    assert "To send the file or folder echo instead: dicom-send ./echo" in tested.stderr
    assert (tested.exit_code, stored) == (0, 0)
    assert (sent.exit_code, len(python_scp.stored)) == (0, 4)


def test_a_subcommand_without_such_a_folder_has_no_hint(
    python_scp: PythonSCP, tmp_path: Path
) -> None:
    """Nothing is logged beside the result."""
    tested = send("echo", f"SCP@{HOST}:{python_scp.port}", cwd=tmp_path)

    assert (tested.exit_code, tested.stderr) == (0, "")


def test_options_of_the_private_element_need_stamp(series: Path, tmp_path: Path) -> None:
    """They have no effect without it."""
    result = send(series, "--group", "0x0033", f"A@{HOST}:104", cwd=tmp_path)

    assert "--group needs --stamp" in result.stderr
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["--called"], ["--called-ae"]),
        (["--sta"], ["--stamp"]),
        (["ec"], ["echoes", "echo"]),
        (["se"], ["servers"]),
        (["echo", "--called"], ["--called-ae"]),
        (["servers", "--te"], ["--test"]),
        (["my"], []),
        (["echoes", "my"], []),
        (["--key", "my"], []),
    ],
)
def test_bash_completes_options_and_commands(
    tmp_path: Path, words: list[str], completed: list[str]
) -> None:
    """Path arguments are left to Bash's own completion."""
    (tmp_path / "echoes").mkdir()
    (tmp_path / "my folder").mkdir()
    script = send("--print-completion", "bash", cwd=tmp_path)
    (tmp_path / "completion").write_text(script.stdout)
    typed = f"COMP_WORDS=(dicom-send {' '.join(words)}); COMP_CWORD={len(words)}"

    shown = subprocess.run(
        [
            "bash",
            "-c",
            f'. ./completion; {typed}; _dicom_send_words; printf "%s\\n" "${{COMPREPLY[@]}}"',
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    how = subprocess.run(
        ["bash", "-c", ". ./completion; complete -p dicom-send"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert shown.stdout.split() == completed
    assert "-o default" in how.stdout
    assert "==SUPPRESS==" not in script.stdout  # argparse writes this while it parses


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["DIR", "arch"], ["archive", "archives"]),
        (["arch"], ["archive", "archives"]),
        (["--verify", "find", "oth"], ["other"]),
        (["echo", ""], ["archive", "other"]),
        (["servers", "remove", "o"], ["other"]),
        (["check", "DIR", "o"], ["other"]),
        (["che"], ["check"]),
        (["DIR", "x"], []),
    ],
)
def test_bash_completes_the_names_of_servers(
    tmp_path: Path, words: list[str], completed: list[str]
) -> None:
    """Beside them, files are completed too."""
    (tmp_path / "archives").mkdir()
    script = send("--print-completion", "bash", cwd=tmp_path).stdout
    typed = f"COMP_WORDS=(dicom-send {' '.join(word or repr(word) for word in words)})"
    (tmp_path / "try").write_text(
        f"{script}\ndicom-send() {{ printf '%s\\n' 'archive  A@h:1' 'other    B@h:2  TLS'; }}\n"
        f"{typed}; COMP_CWORD={len(words)}; _dicom_send_words\n"
        'printf "%s\\n" "${COMPREPLY[@]}" | sort -u\n'
    )

    shown = subprocess.run(
        ["bash", "try"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert shown.stdout.split() == completed
