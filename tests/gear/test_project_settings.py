"""The gear sends to a server that a file of the project names, and says so."""

from pathlib import Path

import pytest

from tests.support.flywheel_http import Status
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearResult
from tests.support.gear_runs import Session, gear_on
from tests.support.html_reading import parsed
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made

FILE = "dicom-send.toml"
DEFAULTS = {"destination": "archive", "called_ae": ""}
DEFAULT_PORT = 104
ORIGIN = f"[archive] in {FILE} of project lab/Study A"


@pytest.fixture
def acquisition(session: Session) -> str:
    """Acquisition with an image."""
    found = session.acquisition("CT")
    session.site.add_file(found, "a.dcm", encoded(made(1)))
    return found


def table(server: PythonSCP, *lines: str) -> bytes:
    """Return the file of a project with a server."""
    address = ['host = "127.0.0.1"', f"port = {server.port}", 'called_ae = "ANY"']
    return "\n".join(["[archive]", *address, *lines]).encode()


def file_requests(site: FlywheelSite) -> int:
    """Return the number of requests for the content of the project's file."""
    return sum(path.endswith(f"/files/{FILE}") for path in site.requested("GET"))


def assert_not_started(result: GearResult, server: PythonSCP) -> None:
    """Check that a run has ended with one error before it connected to the server."""
    assert result.exit_code == 1
    assert not server.stored
    assert sum("ERROR" in line for line in result.stderr.splitlines()) == 1, result.log
    assert "Traceback" not in result.log


@pytest.mark.parametrize("kind", ["subject", "session", "acquisition"])
def test_a_destination_is_a_server_of_the_project(
    tmp_path: Path, session: Session, acquisition: str, python_scp: PythonSCP, kind: str
) -> None:
    """Log and page have its address, and the file that has it."""
    session.site.add_file(session.project, FILE, table(python_scp, 'calling_ae = "ME"'))
    ids = {"subject": session.subject, "session": session.session, "acquisition": acquisition}
    result = gear_on(tmp_path, session.site, DEFAULT_PORT, ids[kind], kind, **DEFAULTS).run()
    assert result.exit_code == 0, result.log
    assert len(python_scp.stored) == 1
    address = f"AE ANY at 127.0.0.1, port {python_scp.port}"
    assert f"Destination archive: {address}, from {ORIGIN}" in result.log
    (upload,) = (one for one in session.site.uploads if one.name.endswith(".html"))
    page = parsed(upload.content.decode())
    shown = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert shown["Server"] == f"{address}, no TLS"
    assert (shown["Server is from"], shown["Calling AE"]) == (ORIGIN, "ME")


def test_the_project_is_that_of_the_input_file(
    tmp_path: Path, session: Session, acquisition: str, python_scp: PythonSCP
) -> None:
    """The job may run in another project, whose servers do not count."""
    session.site.add_file(session.project, FILE, table(python_scp))
    other = session.site.add_project("lab", "Other")
    session.site.add_file(other, FILE, b'[archive]\nhost = "10.0.0.1"\ncalled_ae = "B"\n')
    place = session.site.add_session(session.site.add_subject(other, "S"), "Visit")
    gear = gear_on(tmp_path, session.site, DEFAULT_PORT, place, **DEFAULTS)
    gear.give("a.dcm", encoded(made(1)), parent_id=acquisition)
    result = gear.run()
    assert result.exit_code == 0, result.log
    assert len(python_scp.stored) == 1
    assert f"from {ORIGIN}" in result.log


def test_an_option_of_the_job_counts_before_the_file(
    tmp_path: Path, session: Session, acquisition: str, python_scp: PythonSCP
) -> None:
    """It does unless it is the default."""
    session.site.add_file(session.project, FILE, table(python_scp, "dry_run = true"))
    result = gear_on(
        tmp_path / "1", session.site, DEFAULT_PORT, acquisition, "acquisition", **DEFAULTS
    ).run()
    assert (result.exit_code, len(python_scp.stored)) == (0, 0)
    own = DEFAULTS | {"send_retry_time": 0}
    result = gear_on(tmp_path / "2", session.site, 1, acquisition, "acquisition", **own).run()
    assert "AE ANY at 127.0.0.1, port 1, from" in result.log
    assert result.exit_code == 1


@pytest.mark.parametrize("content", [None, b"", b'[other]\nhost = "10.0.0.1"\n'])
def test_a_host_name_stays_one(
    tmp_path: Path, session: Session, acquisition: str, python_scp: PythonSCP, content: bytes | None
) -> None:
    """A project without the file, or without the table, changes nothing."""
    if content is not None:
        session.site.add_file(session.project, FILE, content)
    host = {"destination": "localhost"}
    result = gear_on(tmp_path, session.site, python_scp.port, acquisition, "acquisition", **host)
    ended = result.run()
    assert ended.exit_code == 0, ended.log
    assert len(python_scp.stored) == 1
    assert "localhost is a host name" in ended.log
    assert file_requests(session.site) == (content is not None)


def test_a_deleted_file_is_not_read(
    tmp_path: Path, session: Session, acquisition: str, python_scp: PythonSCP
) -> None:
    """The record of a deleted file stays in the project for some time."""
    session.site.add_file(session.project, FILE, b"[localhost]\nx = 1\n", deleted=True)
    host = {"destination": "localhost"}
    gear = gear_on(tmp_path, session.site, python_scp.port, acquisition, "acquisition", **host)
    assert gear.run().exit_code == 0
    assert file_requests(session.site) == 0


@pytest.mark.parametrize("option", [{"project_settings": False}, {"destination": "127.0.0.1"}])
def test_the_file_is_not_read_without_need(
    tmp_path: Path,
    session: Session,
    acquisition: str,
    python_scp: PythonSCP,
    option: dict[str, object],
) -> None:
    """It is not if project_settings is false, or if the destination has a dot."""
    session.site.add_file(session.project, FILE, b"[localhost]\nx = 1\n")
    given = {"destination": "localhost"} | option
    gear = gear_on(tmp_path, session.site, python_scp.port, acquisition, "acquisition", **given)
    result = gear.run()
    assert result.exit_code == 0, result.log
    assert "is a host name" not in result.log
    assert file_requests(session.site) == 0
    projects = session.site.requested("GET").count(f"/api/projects/{session.project}")
    assert projects == 1


@pytest.mark.parametrize("wanted", ["container", "project", "file"])
def test_a_refused_request_ends_the_run(
    tmp_path: Path,
    session: Session,
    acquisition: str,
    python_scp: PythonSCP,
    wanted: str,
) -> None:
    """Nothing is sent to a host that has the name of the server."""
    file_id = session.site.add_file(session.project, FILE, table(python_scp))
    ids = {"container": acquisition, "project": session.project, "file": file_id}
    session.site.fault(ids[wanted], Status(403))
    given = {"destination": "localhost"}
    gear = gear_on(tmp_path, session.site, python_scp.port, acquisition, "acquisition", **given)
    result = gear.run()
    assert_not_started(result, python_scp)
    assert ": 403 Forbidden" in result.stderr


@pytest.mark.parametrize(
    "line", ['key = "/etc/passwd"', 'identity = "hush"', "host = 1", "port = 70000", "[archive"]
)
def test_an_invalid_file_ends_the_run(
    tmp_path: Path, session: Session, acquisition: str, python_scp: PythonSCP, line: str
) -> None:
    """The error names the file and its project; it shows no value of an unknown key."""
    host = 'host = "127.0.0.1"' if "host" not in line else ""
    session.site.add_file(session.project, FILE, f"[archive]\n{host}\n{line}\n".encode())
    gear = gear_on(tmp_path, session.site, DEFAULT_PORT, acquisition, "acquisition", **DEFAULTS)
    result = gear.run()
    assert_not_started(result, python_scp)
    assert f"{FILE} of project lab/Study A" in result.stderr
    assert "hush" not in result.log


def test_a_large_file_is_not_read_to_its_end(
    tmp_path: Path, session: Session, acquisition: str, python_scp: PythonSCP
) -> None:
    """The size in its record may be wrong."""
    large = table(python_scp) + b"\n#" + b"x" * (8 << 20)
    session.site.add_file(session.project, FILE, large, size=10)
    gear = gear_on(tmp_path, session.site, DEFAULT_PORT, acquisition, "acquisition", **DEFAULTS)
    result = gear.run()
    assert_not_started(result, python_scp)
    assert "at most 64 KiB" in result.stderr


def test_a_project_is_rejected_before_its_file_is_read(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """The error is that of other destinations."""
    session.site.add_file(session.project, FILE, table(python_scp))
    gear = gear_on(tmp_path, session.site, DEFAULT_PORT, session.project, "project", **DEFAULTS)
    result = gear.run()
    assert_not_started(result, python_scp)
    assert "acquisition, session or subject" in result.stderr
    assert session.site.requests == []


def test_a_storage_gives_the_file(tmp_path: Path, python_scp: PythonSCP) -> None:
    """Files are behind signed URLs on most sites."""
    with FlywheelSite(signed_url=True) as site:
        project = site.add_project(site.add_group("lab"), "Study A")
        acquisition = site.add_acquisition(
            site.add_session(site.add_subject(project, "S"), "V"), "T"
        )
        site.add_file(acquisition, "a.dcm", encoded(made(1)))
        site.add_file(project, FILE, table(python_scp))
        result = gear_on(tmp_path, site, DEFAULT_PORT, acquisition, "acquisition", **DEFAULTS).run()
    assert result.exit_code == 0, result.log
    assert len(python_scp.stored) == 1
