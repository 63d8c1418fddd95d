"""Only some jobs of a batch are active at once; the others start as these end."""

import json
from pathlib import Path

import pytest

from tests.support import command
from tests.support.batch_world import FAILED, GOOD, ROW, TO, World, posts
from tests.support.flywheel_engine import Endless, FlywheelEngine, Simulated
from tests.support.flywheel_http import Reset, Status
from tests.support.flywheel_lists import Record

ACTIVE = ("pending", "running")


def added(world: World) -> list[Record]:
    """Return the requests that added single jobs."""
    requests = world.site.requests
    return [json.loads(one.body) for one in requests if one.path == "/api/jobs/add"]


def waiting_file(world: World, batch_id: str) -> Path:
    return world.folder / "out" / f"dicom-send_batch-{batch_id}_waiting.json"


def prepare(world: World, sessions: int, at_once: int) -> str:
    """Start a batch whose other jobs wait; return its id."""
    for number in range(sessions):
        world.add(f"Visit {number}")
    assert world.start("--no-follow", "--jobs-at-once", at_once) == 0
    return list(world.site.batches)[-1]


def states(world: World) -> list[str]:
    return [job["state"] for job in world.site.jobs.values()]


class Busy:
    """Outcome of jobs that records how many are active when each starts."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.active: list[int] = []

    def __call__(self, _: Record) -> Simulated:
        with self.world.site.lock:
            self.active.append(sum(state in ACTIVE for state in states(self.world)))
        return GOOD


def test_site_that_cancels_waiting_jobs_gets_few_at_once(world: World) -> None:
    """Never more jobs are active than given, and each session is sent once, in order."""
    world.site.patience = 3
    labels = [f"Visit {number}" for number in range(20)]
    for label in labels:
        world.add(label)
    busy = Busy(world)
    with FlywheelEngine(world.site, world.folder / "jobs", max_running=2, outcome=busy):
        assert world.start("--jobs-at-once", 4) == 0
    assert max(busy.active) <= 4
    assert [world.label_of(job) for job in world.site.jobs.values()] == labels
    (batch_id,) = world.site.batches
    assert [row["Session"] for row in world.rows(batch_id)] == labels
    assert {row["Status"] for row in world.rows(batch_id)} == {"Complete"}
    assert len(world.proposed()) == 4


def test_without_a_maximum_all_jobs_start(world: World) -> None:
    """Zero, and --no-follow without a number, start all jobs; no file is written."""
    world.site.patience = 3
    for options in (("--no-follow",), ("--jobs-at-once", 0, "--no-follow")):
        batch_id = world.prepare(*[f"Visit {number}" for number in range(60)])
        assert world.start(*options) == 0
        assert len(world.proposed()) == len(world.labels())
        assert not waiting_file(world, batch_id).exists()
    assert {job["label"] for job in world.proposed()} == {""}
    world.ended(lambda _: GOOD)
    assert "cancelled" in states(world)


def test_fifty_jobs_are_active_by_default(world: World) -> None:
    """The default number holds for batches that are followed."""
    for number in range(53):
        world.add(f"Visit {number}")
    with FlywheelEngine(world.site, world.folder / "jobs", max_running=4, outcome=lambda _: GOOD):
        assert world.start() == 0
    assert (len(world.proposed()), len(added(world))) == (50, 3)


def test_added_jobs_differ_only_in_their_session(world: World) -> None:
    """A job that starts later has the gear, options, files, tags and batch of the first ones."""
    world.site.add_file(world.project, "ca.pem", b"1")
    world.add("Visit 0")
    world.add("Visit 1")
    options = ("--tls-enabled", "--add-cert-file", "ca.pem", "--job-tag", "hpc")
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.start("--jobs-at-once", 1, *options) == 0
    (first,), (later,) = world.proposed(), added(world)
    destination = {"type": "session", "id": world.session_of("Visit 1")}
    assert later == {**first, "destination": destination}
    assert later["batch"] == list(world.site.batches)[-1]


@pytest.mark.parametrize("is_admin", [False, True])
@pytest.mark.parametrize("lists_jobs", [True, False])
def test_stopped_command_is_resumed(
    world: World, caplog: pytest.LogCaptureFixture, lists_jobs: bool, is_admin: bool
) -> None:
    """Another command finds the started jobs on any site, and starts only the others."""
    world.site.lists_jobs, world.site.is_admin = lists_jobs, is_admin
    world.site.gives_jobs = False
    batch_id = prepare(world, 7, 2)
    assert "Waiting jobs: 5; listed in" in caplog.text
    outcomes = iter([GOOD] * 3)
    engine = FlywheelEngine(
        world.site, world.folder / "jobs", outcome=lambda _: next(outcomes, Endless())
    )
    with engine:
        follow = world.arguments("follow", batch_id)
        result = command.run_on_terminal(
            "dicom-send-batch",
            *follow,
            cwd=world.folder,
            interrupt_at=lambda printed: "3 complete, 1 running, 1 pending" in printed,
        )
    assert result.exit_code == 130
    for job in world.site.jobs.values():
        if job["state"] == "running":
            world.site.queue.end(job["_id"], "complete")
    caplog.clear()
    busy = Busy(world)
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=busy):
        assert world.run("follow", batch_id) == 1  # The running job has no report.
    assert "7 of 7 jobs have ended: 7 complete" in caplog.text
    sessions = [job["destination"]["id"] for job in world.site.jobs.values()]
    assert len(sessions) == len(set(sessions)) == 7
    assert max(busy.active) <= 2


def test_all_commands_know_the_waiting_jobs(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Waiting jobs are counted by `list`, `gather` and `stop`, each with the one id."""
    batch_id = prepare(world, 5, 2)
    world.ended(lambda _: GOOD)
    assert world.run("list") == 0
    assert "2 of 5 jobs have ended: 2 complete, 3 waiting" in capsys.readouterr().out
    assert world.run("gather", batch_id) == 1
    assert "2 of 5 jobs have ended: 2 complete, 3 waiting" in caplog.text
    rows = [(row["Session"], row["Job State"], row["Status"]) for row in world.rows(batch_id)]
    assert rows[1:3] == [
        ("Visit 1", "complete", "Complete"),
        ("Visit 2", "waiting", "the job was not started"),
    ]
    assert len(rows) == 5
    assert "Sessions complete" in world.page(batch_id)


def test_list_counts_jobs_that_started_later(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list shows all jobs of a batch in one line."""
    batch_id = prepare(world, 5, 2)
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.run("follow", batch_id) == 0
    assert world.run("list") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(batch_id)
    assert line.endswith("5 of 5 jobs have ended: 5 complete")


def test_stop_holds_the_waiting_jobs(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """After `stop` no job starts, until `follow` is confirmed."""
    batch_id = prepare(world, 5, 2)
    assert world.run("stop", batch_id) == 2
    assert world.run("stop", batch_id, "--yes") == 0
    assert "Cancelled 2 jobs; none still running" in caplog.text
    assert world.run("stop", batch_id, "--yes") == 0
    assert caplog.messages[-1] == "No jobs to cancel"
    assert world.run("retry", batch_id, "--yes") == 1
    assert world.run("follow", batch_id) == 2
    assert "use --yes" in caplog.text
    assert added(world) == []
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.run("follow", batch_id, "--yes") == 1
    assert states(world) == ["cancelled"] * 2 + ["complete"] * 3


def test_stop_cancels_jobs_that_started_later(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Queued jobs are cancelled, whether the batch was created with them or not."""
    batch_id = prepare(world, 6, 2)
    world.site.queue.take()
    command.run_on_terminal(
        "dicom-send-batch",
        *world.arguments("follow", batch_id, "--jobs-at-once", 5),
        cwd=world.folder,
        interrupt_at=lambda printed: "1 running, 4 pending, 1 waiting" in printed,
    )
    assert world.run("stop", batch_id, "--yes") == 0
    assert "Cancelled 4 jobs; 1 still running" in caplog.text
    assert states(world) == ["running"] + ["cancelled"] * 4


def test_stop_reaches_a_command_that_starts_jobs(world: World) -> None:
    """A command that follows the batch in the same folder starts no more jobs."""
    batch_id = prepare(world, 6, 1)
    ended: list[str] = []

    def outcome(job: Record) -> Simulated:
        ended.append(world.label_of(job))
        if len(ended) == 3:
            stop = world.arguments("stop", batch_id, "--yes", "--running")
            assert command.run("dicom-send-batch", *stop, cwd=world.folder).exit_code == 0
        return GOOD

    with FlywheelEngine(world.site, world.folder / "jobs", outcome=outcome):
        assert world.run("follow", batch_id) == 1
    assert ended == ["Visit 0", "Visit 1", "Visit 2"]
    assert states(world) == ["complete", "complete", "cancelled"]


def test_refused_job_costs_only_its_session(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A session that the user may not change is named with the site's words; others are sent."""
    batch_id = prepare(world, 5, 1)
    refused = world.session_of("Visit 2")
    world.site.read_only.add(refused)
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.run("follow", batch_id) == 1
    words = f"User user@example.org does not have rw access to session {refused}"
    assert f"cannot start the job: POST /api/jobs/add: 403 Forbidden: {words}" in caplog.text
    assert states(world) == ["complete"] * 4
    status = {row["Session"]: row["Status"] for row in world.rows(batch_id)}
    assert status["Visit 2"] == "the job was not started"
    world.site.read_only.clear()
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.run("follow", batch_id) == 0


@pytest.mark.parametrize("fault", [Reset(), Status(503)], ids=str)
def test_lost_response_starts_no_second_job(world: World, fault: Reset | Status) -> None:
    """If the response is lost, the site is asked whether it has the job."""
    batch_id = prepare(world, 4, 1)
    world.site.fault("add", fault, fault)
    world.site.fault("jobs", fault)
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.run("follow", batch_id) == 0
    assert len(world.site.jobs) == 4


def test_lost_file_is_noticed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Without the list in its folder, no command calls the batch complete."""
    batch_id = prepare(world, 5, 2)
    waiting_file(world, batch_id).unlink()
    world.ended(lambda _: GOOD)
    assert world.run("follow", batch_id) == 1
    name = f"dicom-send_batch-{batch_id}_waiting.json"
    message = (
        f"Sessions without a job: 3. Their list is not in --report-folder: {name}. Use the folder "
        "of start, or send them with start --not-yet-sent"
    )
    assert message in caplog.messages
    caplog.clear()
    assert world.run("stop", batch_id) == 0
    assert message in caplog.messages
    assert "2 of 5 jobs have ended: 2 complete, 3 waiting" in caplog.messages
    assert added(world) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sessions": []}', "\0"])
def test_damaged_file_is_a_usage_error(
    world: World, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    """A file that cannot be read is named."""
    batch_id = prepare(world, 2, 1)
    waiting_file(world, batch_id).write_text(content)
    assert world.run("follow", batch_id) == 2
    problem = f"--report-folder: cannot read {waiting_file(world, batch_id)}; restore it, or "
    advice = "delete it and send the other sessions with start --not-yet-sent"
    assert caplog.messages[-1] == problem + advice


def test_file_has_no_labels_and_no_key(world: World) -> None:
    """The file names sessions by their ids, the projects, and the options of the jobs."""
    batch_id = prepare(world, 3, 1)
    text = waiting_file(world, batch_id).read_text()
    assert "Visit" not in text
    assert "DOE" not in text
    assert "secret" not in text
    ids = [world.session_of("Visit 1"), world.session_of("Visit 2")]
    assert json.loads(text)["sessions"] == dict.fromkeys(ids, world.project)


def test_retry_restarts_few_jobs_at_once(world: World) -> None:
    """Failed jobs are retried as others end; a job that fails again is not."""
    batch_id = world.prepare(*[f"Visit {number}" for number in range(6)])
    world.ended(lambda _: FAILED)
    busy = Busy(world)

    def outcome(job: Record) -> Simulated:
        busy(job)
        return FAILED if world.label_of(job) == "Visit 3" else Simulated(report=[ROW])

    with FlywheelEngine(world.site, world.folder / "jobs", outcome=outcome):
        assert world.run("retry", batch_id, "--yes", "--jobs-at-once", 2) == 1
    assert max(busy.active) <= 2
    assert len(posts(world.site, "/retry")) == 6


def test_retry_starts_no_waiting_job_without_following(world: World) -> None:
    """With --no-follow, only failed jobs start."""
    batch_id = prepare(world, 5, 2)
    world.ended(lambda _: FAILED)
    assert world.run("retry", batch_id, "--yes", "--no-follow") == 0
    assert states(world) == ["failed"] * 2 + ["pending"] * 2
    assert added(world) == []


def test_retry_reaches_jobs_that_started_later(world: World) -> None:
    """A failed job is retried, whether the batch was created with it or not."""
    batch_id = prepare(world, 3, 1)
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: FAILED):
        assert world.run("follow", batch_id) == 1
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.run("retry", batch_id, "--yes") == 0
    assert states(world) == ["failed"] * 3 + ["complete"] * 3


def test_invalid_number_is_a_usage_error(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The number of jobs is a whole number."""
    for number in ("-1", "1.5", "many", "9999999"):
        assert world.run("start", "--project", "lab/Study", *TO, "--jobs-at-once", number) == 2
        assert f"--jobs-at-once: '{number}' was given; allowed: a whole number" in caplog.text
