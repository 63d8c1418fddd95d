"""`--not-yet-sent` skips a session only if nothing selected is newer than what was sent."""

from collections.abc import Callable
from threading import Barrier
from typing import Any

import pytest

from fw_gear_dicom_send.mark_key import mark_key
from tests.support.batch_world import FAILED, GOOD, World
from tests.support.flywheel_engine import RunGear
from tests.support.flywheel_http import Meet, Stall, Status
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made

pytestmark = pytest.mark.slow

ARCHIVE = mark_key("pacs.example.org", "104", "ARCHIVE")
LATER = "2999-01-01T00:00:00+00:00"


def add_file(world: World, session: str, name: str = "a.dcm", **more: Any) -> str:
    """Add a file to a new acquisition of a session."""
    return world.site.add_file(world.site.add_acquisition(session, "T1"), name, b"1", **more)


def sent(world: World, *options: str, outcome: Any = GOOD) -> str:
    """Add a session with a file, send all sessions, and return its id."""
    session = world.add("Sent")
    add_file(world, session)
    assert world.start("--no-follow", *options) == 0
    world.ended(lambda _: outcome)
    return session


def selected(world: World, *options: str) -> list[str]:
    """Return the labels of the sessions that are not yet sent."""
    world.site.batches.clear()
    assert world.start("--no-follow", "--not-yet-sent", *options) == 0
    return world.labels()


def replace_file(world: World, session: str) -> None:
    (file,) = [
        record["files"][0]["file_id"]
        for record in world.site.containers.values()
        if record["parents"].get("session") == session and record["files"]
    ]
    world.site.replace_file(file, b"2")


def forget_times(world: World, session: str) -> None:
    """Add a file whose record has no times."""
    add_file(world, session)
    record = list(world.site.containers.values())[-1]["files"][0]
    del record["created"], record["modified"]


def spoil_time(world: World, session: str) -> None:
    """Add a file whose record has an invalid time."""
    add_file(world, session)
    list(world.site.containers.values())[-1]["files"][0]["modified"] = "yesterday"


def move_clock(world: World, session: str) -> None:
    """Add a file whose time has another zone and an earlier clock time."""
    add_file(world, session)
    record = list(world.site.containers.values())[-1]["files"][0]
    for name in ("created", "modified"):
        record[name] = "2998-12-31T23:00:00-05:00"


def add_at_the_start(world: World, session: str) -> None:
    """Add a file that is exactly as old as the start of the job."""
    add_file(world, session)
    (job,) = [job for job in world.site.jobs.values() if job["destination"]["id"] == session]
    list(world.site.containers.values())[-1]["files"][0] |= {
        "created": job["transitions"]["running"],
        "modified": job["transitions"]["running"],
    }


def add_deleted(world: World, session: str) -> None:
    acquisition = world.site.add_acquisition(session, "T2", deleted=True)
    world.site.add_file(acquisition, "a.dcm", b"1")


LATE: dict[str, tuple[Callable[[World, str], object], bool]] = {
    "nothing": (lambda *_: None, False),
    "acquisition": (add_file, True),
    "replaced file": (replace_file, True),
    "file of the session": (lambda w, s: w.site.add_file(s, "a.dcm", b"1"), True),
    "no times": (forget_times, True),
    "invalid time": (spoil_time, True),
    "another zone": (move_clock, True),
    "same time": (add_at_the_start, False),
    "other type": (lambda w, s: add_file(w, s, "a.nii"), False),
    "report": (lambda w, s: w.site.attach(s, "dicom-send_report-Sent.csv", b"a"), False),
    "deleted file": (lambda w, s: add_file(w, s, deleted=True), False),
    "deleted file of the session": (
        lambda w, s: w.site.add_file(s, "a.dcm", b"1", deleted=True),
        False,
    ),
    "deleted acquisition": (add_deleted, False),
}


@pytest.mark.parametrize(
    ("others", "is_old"), [((), False), (("Other",), False), (("Other",), True)]
)
@pytest.mark.parametrize("name", LATE)
def test_session_with_a_newer_file_is_selected_again(
    world: World, name: str, others: tuple[str, ...], is_old: bool
) -> None:
    """Only files that the new job would send count, whatever filters the site supports."""
    world.site.is_old = is_old
    for label in others:
        add_file(world, world.add(label))
    add, is_late = LATE[name]
    add(world, sent(world))
    world.add("New")
    assert selected(world) == (["Sent", "New"] if is_late else ["New"])


@pytest.mark.parametrize(
    ("earlier", "wanted", "is_sent"),
    [
        ((), ("--modality", "MR"), True),
        (("--modality", "MR"), (), False),
        (("--modality", "MR"), ("--modality", "PT"), False),
        (("--modality", "MR, PT"), ("--modality", "MR,PT"), True),
        (("--include", "*.dcm"), (), False),
        (("--exclude", "b*"), (), False),
        (("--exclude", "b*"), ("--exclude", "b*"), True),
        ((), ("--exclude", "b*"), True),
        (("--file-tags", "ready"), (), False),
        ((), ("--file-types", "dicom and archive"), False),
        (("--file-types", "dicom and archive"), (), True),
        (("--file-types", "dicom and archive", "--modality", "MR"), (), False),
    ],
)
def test_earlier_options_must_cover_the_new_ones(
    world: World,
    caplog: pytest.LogCaptureFixture,
    earlier: tuple[str, ...],
    wanted: tuple[str, ...],
    is_sent: bool,
) -> None:
    """A run that left out files that are wanted now does not count."""
    sent(world, *earlier)
    world.add("New")
    assert selected(world, *wanted) == (["New"] if is_sent else ["Sent", "New"])
    assert ("Selected again (sent with other file options): 1" in caplog.text) is not is_sent


def test_newer_file_counts_only_if_it_is_selected(world: World) -> None:
    """A newer file that a filter leaves out does not select its session."""
    session = sent(world, "--exclude", "b*")
    add_file(world, session, "b.dcm")
    assert selected(world, "--exclude", "b*") == []
    add_file(world, session, "c.dcm")
    assert selected(world, "--exclude", "b*") == ["Sent"]


def test_only_a_running_job_may_miss_a_file(world: World) -> None:
    """A pending job selects its files later. A running job did so at its start."""
    session = world.add("Sent")
    assert world.start("--no-follow") == 0
    add_file(world, session)
    assert selected(world) == []
    world.site.queue.take()
    assert selected(world) == []
    add_file(world, session)
    assert selected(world) == ["Sent"]


def test_retry_counts_from_its_own_start(world: World) -> None:
    """The retry of a failed job sends the files that were added in the meantime."""
    session = sent(world, outcome=FAILED)
    add_file(world, session)
    (batch_id,) = world.site.batches
    assert world.run("retry", batch_id, "--yes", "--no-follow") == 0
    world.ended(lambda _: GOOD)
    assert selected(world) == []


def test_newest_job_counts(world: World) -> None:
    """The order of the jobs in the site's list does not matter."""
    session = sent(world)
    assert world.start("--no-follow") == 0
    world.ended(lambda _: GOOD)
    add_file(world, session)
    job, _ = world.site.jobs.values()
    job["transitions"]["running"] = LATER
    assert selected(world) == []


def test_an_address_in_brackets_is_the_same_server(world: World) -> None:
    """Marks and jobs have it with and without them."""
    session = sent(world, "--destination", "[::1]")
    assert selected(world, "--destination", "::1") == []
    world.site.jobs.clear()
    add_mark = {mark_key("::1", "104", "ARCHIVE"): mark()}
    world.site.containers[session] |= {"tags": ["dicom-send"], "info": add_mark}
    assert selected(world, "--destination", "[::1]") == []


def test_job_on_a_file_of_the_session_does_not_count(world: World) -> None:
    """It has sent only this file."""
    session = sent(world)
    (job,) = world.site.jobs.values()
    place = {"type": "session", "id": session}
    job["config"]["inputs"] = {"file": {"base": "file", "hierarchy": place}}
    assert selected(world) == ["Sent"]


@pytest.mark.parametrize(("name", "again"), [("pacs", ["Sent"]), ("pacs.example.org", [])])
def test_job_whose_project_may_have_named_the_server_does_not_count(
    world: World, name: str, again: list[str]
) -> None:
    """Its configuration has the name, and its mark the address."""
    sent(world, "--destination", name)
    (job,) = world.site.jobs.values()
    job["config"]["config"]["project_settings"] = True
    assert selected(world, "--destination", name) == again


@pytest.mark.parametrize("value", [7, [1], {"a": 1}])
def test_job_with_an_odd_value_does_not_count(world: World, value: object) -> None:
    """An option that this version cannot read may have left files out."""
    sent(world)
    (job,) = world.site.jobs.values()
    job["config"]["config"]["include"] = value
    assert selected(world) == ["Sent"]


def mark(**changes: Any) -> dict[str, Any]:
    last = {"started": LATER, "finished": LATER, "job": "1", "sent": 1, "selection": {}}
    return {"state": "Failed", "complete": {**last, **changes}}


@pytest.mark.parametrize(
    ("info", "is_sent"),
    [
        ({ARCHIVE: mark()}, True),
        ({ARCHIVE: mark(started="2024-01-01T00:00:00+00:00")}, False),
        ({ARCHIVE: mark(selection={"modality": "MR"})}, False),
        ({ARCHIVE: mark(selection={"modality": ["MR"]})}, False),
        ({ARCHIVE: mark(selection={"file_types": "dicom and archive"})}, True),
        ({mark_key("other.example.org", "104", "ARCHIVE"): mark()}, False),
        ({ARCHIVE: {"state": "Failed", "started": LATER}}, False),
        ({}, False),
        (None, False),
        ({ARCHIVE: "Complete"}, False),
        ({ARCHIVE: {"complete": [LATER]}}, False),
        ({ARCHIVE: mark(started=20990101)}, False),
        ({ARCHIVE: mark(started="soon")}, False),
        ({ARCHIVE: mark(selection=None)}, False),
        ({ARCHIVE: mark(selection={"include": [1], "modality": 7, "file_types": []})}, False),
    ],
)
def test_mark_of_a_tagged_session_counts_for_its_server(
    world: World, info: object, is_sent: bool
) -> None:
    """Without a job, a session is skipped by the last success in its mark, not by its tag."""
    session = world.add("Sent", tags=["dicom-send"])
    add_file(world, session)
    world.site.containers[session]["info"] = info
    world.add("New")
    assert selected(world) == (["New"] if is_sent else ["Sent", "New"])


@pytest.mark.parametrize(("modality", "again"), [((), 0), (("--modality", "MR"), 1)])
def test_mark_of_a_run_of_the_gear_is_read(
    world: World, python_scp: PythonSCP, modality: tuple[str, ...], again: int
) -> None:
    """It counts for its own server, for the same files, and until a newer file arrives."""
    session = world.add("Sent")
    acquisition = world.site.add_acquisition(session, "T1")
    world.site.add_file(acquisition, "a.dcm", encoded(made(1)), modality="MR")
    server = ("--destination", "127.0.0.1", "--port", python_scp.port, "--called-ae", "ARCHIVE")
    start = ("start", "--project", "lab/Study", "--yes", "--no-follow", "--not-yet-sent", *server)

    def started(*options: str) -> int:
        world.site.jobs.clear()
        world.site.batches.clear()
        assert world.run(*start, *options) == 0
        return len(world.site.batches)

    assert started(*modality) == 1
    world.ended(lambda _: RunGear())
    assert len(python_scp.stored) == 1
    world.site.containers[session]["tags"] = ["dicom-send"]
    assert started() == again
    assert started("--modality", "MR") == 0
    assert started("--called-ae", "OTHER") == 1
    world.site.add_file(acquisition, "b.dcm", encoded(made(2)), modality="MR")
    assert started("--modality", "MR") == 1


def test_mark_of_a_refused_session_does_not_count(world: World) -> None:
    """A session whose information the site refuses is sent."""
    session = world.add("Sent", tags=["dicom-send"])
    world.site.containers[session]["info"] = {ARCHIVE: mark()}
    world.site.fault(session, Status(403))
    assert selected(world) == ["Sent"]


def test_marks_are_requested_for_tagged_sessions_eight_at_a_time(world: World) -> None:
    """A session with a job, or without the tag, needs no request."""
    world.site.containers[sent(world)]["tags"] = ["dicom-send"]
    barrier = Barrier(8)
    sessions = [world.add(f"Visit {number}", tags=["dicom-send"]) for number in range(8)]
    for session in sessions:
        world.site.containers[session]["info"] = {ARCHIVE: mark()}
        world.site.fault(session, Meet(barrier))
    world.add("New")
    world.site.requests.clear()
    assert selected(world) == ["New"]
    asked = [path.rpartition("/")[2] for path in world.site.requested("GET")]
    assert sorted(set(asked) & set(world.site.containers)) == sorted([*sessions, world.project])


@pytest.mark.parametrize(("is_old", "lists"), [(False, 3 + 1), (True, 2 + 201 + 3)])
def test_one_list_has_the_files_of_a_hundred_sessions(
    world: World, is_old: bool, lists: int
) -> None:
    """An older site rejects such a list, and then has one for each session.

    The estimate of the amount of data lists the files of the selected sessions again.
    """
    world.site.is_old = is_old
    sessions = [world.add(f"Visit {number}") for number in range(201)]
    for session in sessions:
        add_file(world, session)
    assert world.start("--no-follow") == 0
    while world.site.queue.take():
        pass
    add_file(world, sessions[100])
    add_file(world, sessions[200])
    world.site.requests.clear()
    assert selected(world) == ["Visit 100", "Visit 200"]
    asked = [one for one in world.site.requests if one.path.endswith("/acquisitions")]
    assert sum("after_id" not in one.query for one in asked) == lists


def test_refused_list_of_files_ends_the_command(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Sessions are not skipped unless their files were compared."""
    sent(world)
    add_file(world, world.add("Other"))
    assert world.start("--no-follow") == 0
    world.site.fault(world.project, *[Stall(0)] * 3, Status(403))
    assert world.start("--no-follow", "--not-yet-sent") == 1
    assert f"GET /api/projects/{world.project}/acquisitions: 403 Forbidden" in caplog.text


@pytest.mark.parametrize("is_admin", [False, True])
def test_older_site_lists_the_jobs_of_the_gear(world: World, is_admin: bool) -> None:
    """A retried job is followed, and files are counted, without lists of values in filters."""
    world.site.is_old, world.site.is_admin = True, is_admin
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: FAILED)
    assert world.run("retry", batch_id, "--yes", "--no-follow") == 0
    world.ended(lambda _: GOOD)
    assert world.run("follow", batch_id) == 0
    assert selected(world) == []


def test_plan_shows_what_was_compared(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The plan counts skipped sessions, and those that are sent again, with the cause."""
    for label in ("A", "B", "C", "D"):
        add_file(world, world.add(label))
    assert world.start("--no-follow", "--label", "[AB]") == 0
    assert world.start("--no-follow", "--modality", "MR") == 0
    world.ended(lambda _: GOOD)
    add_file(world, world.session_of("B"))
    caplog.clear()
    assert selected(world, "--label", "[ABC]") == ["B", "C"]
    lines = [record.getMessage() for record in caplog.records]
    assert lines[5:8] == [
        "Skipped (already sent to ARCHIVE at pacs.example.org, port 104; no newer files): 1",
        "Selected again (newer files): 1",
        "Selected again (sent with other file options): 1",
    ]
