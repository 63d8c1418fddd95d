"""Retrying a batch reruns only its failed jobs."""

import pytest

from tests.support.batch_world import FAILED, GOOD, World, posts
from tests.support.flywheel_engine import FlywheelEngine, Simulated
from tests.support.flywheel_http import Status

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("is_admin", [False, True])
@pytest.mark.parametrize("replaces_retried", [False, True])
def test_only_failed_jobs_are_rerun(
    world: World, caplog: pytest.LogCaptureFixture, replaces_retried: bool, is_admin: bool
) -> None:
    """The newest job of a session counts, whether the batch lists it or its predecessor."""
    world.site.replaces_retried, world.site.is_admin = replaces_retried, is_admin
    batch_id = world.prepare("Visit 1", "Visit 2", "Visit 3")
    world.ended(lambda job: GOOD if world.label_of(job) == "Visit 1" else FAILED)
    first = list(world.site.batches[batch_id]["jobs"])

    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.run("retry", batch_id, "--yes") == 0
    assert "Visit 2 (" in caplog.text
    assert [path.split("/")[3] for path in posts(world.site, "/retry")] == first[1:]
    assert [row["Session"] for row in world.rows(batch_id)] in (
        ["Visit 1", "Visit 2", "Visit 3"],
        ["Visit 2", "Visit 3", "Visit 1"],
    )
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.run("retry", batch_id, "--yes") == 0
    assert "No failed jobs" in caplog.text
    assert len(posts(world.site, "/retry")) == 2


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (
            "[9ms    ERROR    ]  no route\x1b to pacs\n[9ms    INFO     ]  Report\na  b\n",
            "see its log: no route\\x1b to pacs",
        ),
        ("Killed\n\n", "see its log: Killed"),
        ("", "see its log"),
        ("x" * 300, f"see its log: {'x' * 200}"),
    ],
    ids=["error", "line", "nothing", "long"],
)
def test_end_of_a_failed_jobs_log_is_shown(
    world: World, caplog: pytest.LogCaptureFixture, log: str, message: str
) -> None:
    """Each command shows the last error or line of its log beside a failed job."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: Simulated("failed", log=log))
    # Without --yes nothing is rerun; without a terminal that is a usage error.
    for name, code in (("follow", 1), ("gather", 1), ("retry", 2)):
        caplog.clear()
        assert world.run(name, batch_id) == code
        shown = [record.getMessage() for record in caplog.records]
        assert any(line.endswith(f"): the job failed: {message}") for line in shown)


def test_inaccessible_log_is_not_an_error(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A failed job is shown without its log if the site denies access."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: Simulated("failed", log="Killed", reason="out of memory"))
    (job_id,) = world.site.jobs
    world.site.fault(job_id, Status(403))
    assert world.run("gather", batch_id) == 1
    assert caplog.text.count("): the job failed: out of memory\n") == 1


def test_job_that_failed_twice_is_rerun(world: World) -> None:
    """Each command looks up the newest jobs, although the batch lists the original ones."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda job: GOOD if world.label_of(job) == "Visit 1" else FAILED)
    for ended, code in ((FAILED, 1), (GOOD, 0)):
        assert world.run("retry", batch_id, "--yes", "--no-follow") == 0
        world.ended(lambda _, ended=ended: ended)  # type: ignore[misc]
        assert world.run("follow", batch_id) == code
        assert world.run("gather", batch_id) == code
    assert [job["attempt"] for job in world.site.jobs.values()] == [1, 1, 2, 3]
    assert len(world.site.batches[batch_id]["jobs"]) == 2


def test_retries_that_the_site_never_lists_are_followed(world: World) -> None:
    """The command knows its own retries without a list."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: FAILED)
    world.site.lists_jobs = False
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.run("retry", batch_id, "--yes") == 0


def test_job_that_cannot_be_rerun_does_not_stop_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The refusal is shown for its session, and the next failed job is rerun."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: FAILED)
    first, _ = world.site.batches[batch_id]["jobs"]
    del world.site.jobs[first]["request"]
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.run("retry", batch_id, "--yes") == 1
    assert "Visit 1 (" in caplog.text
    assert f"cannot retry the job: POST /api/jobs/{first}/retry: 500" in caplog.text
    states = {row["Session"]: row["Job State"] for row in world.rows(batch_id)}
    assert states == {"Visit 1": "failed", "Visit 2": "complete"}
    assert len(posts(world.site, "/retry")) == 2
    assert world.run("retry", batch_id, "--yes", "--no-follow") == 1


def test_cancelled_jobs_require_a_new_batch(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The site does not rerun cancelled jobs; the command says how to send their sessions."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    assert world.run("stop", batch_id, "--yes") == 0
    assert world.run("retry", batch_id, "--yes") == 1
    assert "Not retrying 2 cancelled jobs: use dicom-send-batch start --not-yet-sent" in caplog.text
    assert posts(world.site, "/retry") == []
    assert world.start("--no-follow", "--not-yet-sent") == 0
    assert world.labels() == ["Visit 1", "Visit 2"]
