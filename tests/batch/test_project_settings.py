"""A batch sends to a server that a file of the project names."""

from typing import Any

import pytest

from tests.support.batch_world import World
from tests.support.flywheel_http import Status
from tests.support.gear import manifest

FILE = "dicom-send.toml"
TABLE = b'[archive]\nhost = "pacs.example.org"\ncalled_ae = "A"\ntls_enabled = true\nport = 2762\n'
ADDRESS = {"destination": "pacs.example.org", "called_ae": "A", "tls_enabled": True}


def start(world: World, *options: str) -> int:
    """Start a batch on the project, with a server of the project."""
    where = ("--project", "lab/Study", "--destination", "archive")
    return world.run("start", *where, "--yes", "--no-follow", *options)


def config(world: World) -> dict[str, Any]:
    """Return the configuration of the first proposed job."""
    found: dict[str, Any] = world.proposed()[0]["config"]
    return found


def test_jobs_get_the_address(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The plan shows it with its origin. The jobs do not read the file again."""
    world.add("Visit 1")
    world.site.add_file(world.project, FILE, TABLE)
    assert start(world) == 0
    assert config(world) == {**ADDRESS, "port": 2762, "project_settings": False}
    lines = [record.getMessage() for record in caplog.records]
    origin = f"[archive] in {FILE} of project lab/Study"
    assert f"Destination: A at pacs.example.org, port 2762 (from {origin})" in lines
    assert "Options: --tls-enabled" in lines


def test_a_given_option_counts_before_the_file(world: World) -> None:
    """It does even if it is the default."""
    world.add("Visit 1")
    world.site.add_file(world.project, FILE, TABLE)
    assert start(world, "--port", "104", "--no-tls-enabled") == 0
    expected = {**ADDRESS, "port": 104, "tls_enabled": False, "project_settings": False}
    assert config(world) == expected


def test_an_older_gear_gets_the_address(world: World) -> None:
    """The version on the site may not know the file."""
    older = manifest() | {"config": dict(manifest()["config"])}
    del older["config"]["project_settings"]
    world.site.add_gear(older, "0.0.9")
    world.add("Visit 1")
    world.site.add_file(world.project, FILE, TABLE)
    assert start(world) == 0
    assert config(world) == {**ADDRESS, "port": 2762}
    del older["config"]["tls_enabled"]
    world.site.add_gear(older, "0.0.8")
    assert start(world) == 2


@pytest.mark.parametrize("content", [None, b'[other]\nhost = "10.0.0.1"\n'])
def test_a_host_name_stays_one(world: World, content: bytes | None) -> None:
    """Nobody can redirect the jobs by a file that comes later."""
    world.add("Visit 1")
    if content is not None:
        world.site.add_file(world.project, FILE, content)
    assert start(world, "--called-ae", "A") == 0
    expected = {"destination": "archive", "called_ae": "A", "project_settings": False}
    assert config(world) == expected


def test_the_file_can_be_turned_off(world: World) -> None:
    """The name is that of a host, and the file is not read."""
    world.add("Visit 1")
    world.site.add_file(world.project, FILE, b"[archive")
    assert start(world, "--called-ae", "A", "--no-project-settings") == 0
    assert config(world)["destination"] == "archive"
    assert not any(path.endswith(FILE) for path in world.site.requested("GET"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[archive", "valid TOML"),
        (TABLE + b'identity = "hush"\n', "'identity' was given"),
        (TABLE.replace(b"2762", b"0"), "[archive] port: 0 was given"),
        (None, "--called-ae"),
    ],
)
def test_an_invalid_file_starts_nothing(
    world: World, caplog: pytest.LogCaptureFixture, content: bytes | None, problem: str
) -> None:
    """The error names the file, or the option that neither has."""
    world.add("Visit 1")
    if content is not None:
        world.site.add_file(world.project, FILE, content)
    assert start(world) == 2
    assert problem in caplog.text
    assert "hush" not in caplog.text
    assert not world.site.batches


def test_a_refused_request_starts_nothing(world: World) -> None:
    """Nothing is sent to a host that has the name of the server."""
    world.add("Visit 1")
    file_id = world.site.add_file(world.project, FILE, TABLE)
    world.site.fault(file_id, Status(403))
    assert start(world, "--called-ae", "A") == 1
    assert not world.site.batches


@pytest.mark.parametrize("host", [b"pacs.", b"other."])
def test_one_batch_has_one_server(
    world: World, caplog: pytest.LogCaptureFixture, host: bytes
) -> None:
    """Sessions of several projects are sent if their files name the same server."""
    first = world.add("Visit 1")
    world.site.add_file(world.project, FILE, TABLE)
    other = world.site.add_project("lab", "Other")
    world.site.add_file(other, FILE, TABLE.replace(b"pacs.", host))
    second = world.site.add_session(world.site.add_subject(other, "S"), "Visit 2")
    sessions = ("--session", first, "--session", second)
    is_same = host == b"pacs."
    arguments = (*sessions, "--destination", "archive", "--yes", "--no-follow")
    assert world.run("start", *arguments) == (0 if is_same else 2)
    assert len(world.proposed() if is_same else world.site.batches) == (2 if is_same else 0)
    assert ("start a batch for each: lab/Study, lab/Other" in caplog.text) is not is_same


def test_sent_sessions_are_found_by_the_address(world: World) -> None:
    """The jobs of a batch have it, whatever the server is called."""
    world.add("Visit 1")
    world.site.add_file(world.project, FILE, TABLE)
    assert start(world) == 0
    to = ("--destination", "pacs.example.org", "--port", "2762", "--called-ae", "A")
    again = ("--yes", "--no-follow", "--not-yet-sent")
    assert world.run("start", "--project", "lab/Study", *to, *again) == 0
    assert len(world.site.batches) == 1
    assert start(world, "--not-yet-sent") == 0
    assert len(world.site.batches) == 1
    assert start(world, "--not-yet-sent", "--port", "104") == 0
    assert len(world.site.batches) == 2
