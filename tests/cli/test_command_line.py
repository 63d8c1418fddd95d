"""The command line of `dicom-send`: help, completion, and what cannot be understood."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.certificates import HOST
from tests.support.gear import REPOSITORY
from tests.support.send_command import send

ONLY_ON_FLYWHEEL = {
    "file_types",
    "modality",
    "file_tags",
    "downloads",
    "file_download_retry_time",
    "sent_tag",
}


def test_help_names_each_option_of_the_gear(tmp_path: Path) -> None:
    """--help has all options of the manifest that are not about Flywheel, in words of the field."""
    manifest = json.loads((REPOSITORY / "manifest.json").read_text())

    result = send("--help", cwd=tmp_path)

    assert result.exit_code == 0
    names = {f"--{name.replace('_', '-')}" for name in manifest["config"].keys() - ONLY_ON_FLYWHEEL}
    files = {f"--{name.replace('_', '-')}" for name in ("key", "cert", "add_cert_file", "identity")}
    assert names | files <= set(re.findall(r"--[a-z-]+", result.stdout))
    assert "dicom-send echo" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{series}"], "no server is given: end with AE@host:port"),
        (["--destination", "x", "--called-ae", "X"], "required: PATH"),
        (["{series}", "--destination", "x"], "--called-ae is needed"),
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
            "--cert is needed: a PEM file, as key and cert go together",
        ),
        (
            ["{series}", "--destination", HOST, "--called-ae", "X", "--key", "none.pem"],
            "--key: none.pem: there is no such file",
        ),
        (
            ["{series}", "--destination", HOST, "--called-ae", "X", "--report-folder", "{file}/x"],
            "--report-folder: ",
        ),
    ],
)
def test_what_cannot_be_understood_is_told_in_a_line(
    series: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    """The line names the option as it is typed; nothing is sent, and the exit code is 1."""
    file = next(iter(series.iterdir()))
    given = [one.format(series=series, file=file) for one in arguments]

    result = send(*given, cwd=tmp_path)

    (line,) = result.stderr.splitlines()
    assert told in line
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("typed", "completed"), [("--called", "--called-ae"), ("--no-ta", "--no-tag")]
)
def test_a_shell_completes_options(tmp_path: Path, typed: str, completed: str) -> None:
    """The script that --print-completion prints lets bash complete what is typed."""
    script = send("--print-completion", "bash", cwd=tmp_path)
    (tmp_path / "completion").write_text(script.stdout)
    words = f"COMP_WORDS=(dicom-send {typed}); COMP_CWORD=1; _shtab_dicom_send"

    shown = subprocess.run(
        ["bash", "-c", f". ./completion; {words}; echo ${{COMPREPLY[@]}}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert completed in shown.stdout.split()
