"""Command line of `dicom-send-batch`: help and usage errors."""

from functools import partial
from pathlib import Path

import pytest

from tests.support import command
from tests.support.batch_world import TO, World

script = partial(command.run, "dicom-send-batch")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--project", "lab/Study"], "--destination is required"),
        (["--project", "lab/Study", *TO, "--port", "0"], "--port: 0 was given"),
        (["--project", "lab/Study", *TO, "--group", "0x20"], "--group"),
        (["--project", "p/q", *TO, "--file-download-retry-time", "-1"], "--file-download-retry"),
        (["--project", "p/q", *TO, "--send-retry-time", "1.5"], "--send-retry-time: 1.5 was given"),
        (["--project", "lab/Study", "--session", "1", *TO], "not allowed with"),
        ([*TO], "is required"),
        (
            ["--project", "lab/Study", *TO, "--label", "("],
            "--label: invalid regular expression '('",
        ),
        (["--project", "lab/Study", *TO, "--since", "May"], "--since: invalid date 'May'"),
        (["--project", "p/q", *TO, "--tls-enabled", "--cert", "c.pem"], "--key is required"),
        (["--project", "lab/Study", *TO, "--key", "k.pem"], "--key needs --tls-enabled"),
        (
            ["--project", "lab/Study", *TO, "--interval", "0"],
            "--interval: '0' was given; allowed: ",
        ),
        (["--projct", "lab/Study", *TO], "unknown option --projct (did you mean --project?)"),
        (["--session", "1", *TO, "--xyzzy=3"], "unknown option --xyzzy; see"),
        (["--session", "1", *TO, "--", "--projct"], "unrecognized arguments"),
        (["--sessions-file", "/nowhere", *TO], "--sessions-file: cannot read /nowhere"),
    ],
)
def test_wrong_usage_is_reported_before_any_request(
    world: World, caplog: pytest.LogCaptureFixture, arguments: list[str], message: str
) -> None:
    """An invalid command line ends the command with one line that names the option."""
    assert world.run("start", "--yes", *arguments) == 2
    assert message in caplog.text
    assert len(caplog.records) == 1
    assert world.site.requests == []


def test_help_shows_each_command_with_an_example(tmp_path: Path) -> None:
    """Each command has its own help with a valid example."""
    result = script("--help", cwd=tmp_path)
    assert result.exit_code == 0
    for name in ("start", "follow", "stop", "retry", "gather", "list"):
        example = f"\n  dicom-send-batch {name}"
        assert example in result.stdout
        assert example in script(name, "--help", cwd=tmp_path).stdout
    assert script("--version", cwd=tmp_path).stdout.startswith("dicom-send ")
    assert "--not-yet-sent" in script("--print-completion", "bash", cwd=tmp_path).stdout


def test_help_names_the_required_options(tmp_path: Path) -> None:
    """The server is required; each other option has a default."""
    assert script("start", "--help", cwd=tmp_path).stdout.count("Required.") == 1
