"""The API key is read from its file and never printed."""

import json
import logging

import pytest

from fw_gear_dicom_send.batch import main
from tests.support.batch_world import FAILED, GOOD, TO, World
from tests.support.flywheel_http import Status


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{secret", "is invalid"),
        ('["secret"]', "is invalid"),
        ('{"key": 5}', "is invalid"),
        ("[" * 200_000, "is invalid"),
        ('{"key": "secret"}', "invalid API key (expected <host>:<key>)"),
        (None, "file not found"),
    ],
    ids=range(6),
)
def test_an_invalid_key_is_not_shown(
    world: World, caplog: pytest.LogCaptureFixture, content: str | None, message: str
) -> None:
    """A file without a key is a usage error of one line that does not show the file's content."""
    world.key_file.unlink()
    if content:
        world.key_file.write_text(content)
    assert world.run("gather", "5f") == 2
    assert "--api-key-file: " in caplog.text
    assert message in caplog.text
    assert "secret" not in caplog.text


def test_key_is_shared_with_fw_login(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The key is read from the file of `fw login`, or prompted for on a terminal, or missing."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    monkeypatch.setenv("HOME", str(world.folder))
    gather = ["gather", batch_id, "--report-folder", str(world.folder / "out")]
    assert main.main(gather) == 2
    assert "no API key" in caplog.text
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: f"{world.site.api_key} ")
    assert main.main(gather) == 0
    monkeypatch.setattr("getpass.getpass", lambda _: pytest.fail("unexpected prompt"))
    kept = world.folder / ".config" / "flywheel" / "user.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"key": world.site.api_key}))
    assert main.main(gather) == 0


@pytest.mark.parametrize(("mode", "is_logged"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_key_that_others_can_read_is_logged(
    world: World, caplog: pytest.LogCaptureFixture, mode: int, is_logged: bool
) -> None:
    """The command continues."""
    world.key_file.chmod(mode)
    assert world.run("list") == 0
    assert (f"other users can read {world.key_file}" in caplog.text) == is_logged


def test_key_is_not_printed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """No command logs the key, not even in a failure."""
    caplog.set_level(logging.DEBUG)
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: FAILED)
    for name in ("follow", "stop", "retry"):
        world.run(name, batch_id, "--yes", *(["--no-follow"] if name == "retry" else []))
    world.run("gather", batch_id)
    world.site.fault("lookup", Status(401))
    assert world.run("start", "--subject", "lab/Study/DOE^JANE", *TO, "--yes") == 1
    assert "secret" not in caplog.text
