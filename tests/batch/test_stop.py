"""Stopping a batch cancels its jobs."""

import pytest

from tests.support.batch_world import FAILED, GOOD, World, posts
from tests.support.flywheel_http import Status


def test_stop_cancels_pending_jobs(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Pending jobs are cancelled and counted; a running job continues."""
    batch_id = world.prepare("Visit 1", "Visit 2", "Visit 3")
    world.site.queue.take()
    assert world.run("stop", batch_id) == 2
    assert posts(world.site, "/cancel") == []
    assert world.run("stop", batch_id, "--yes") == 0
    assert "Cancelled 2 jobs; 1 still running" in caplog.text
    states = [job["state"] for job in world.site.jobs.values()]
    assert states == ["running", "cancelled", "cancelled"]


def test_stop_cancels_running_jobs_on_request(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """With --running no job is left, even if the batch is already cancelled."""
    batch_id = world.prepare("Visit 1", "Visit 2", "Visit 3")
    world.site.queue.take()
    assert world.run("stop", batch_id, "--yes") == 0
    assert world.run("stop", batch_id) == 0
    assert world.run("stop", batch_id, "--yes", "--running") == 0
    assert "Cancelled 1 job; none still running" in caplog.text
    assert {job["state"] for job in world.site.jobs.values()} == {"cancelled"}
    assert len(posts(world.site, "/cancel")) == len(world.site.requested("PUT")) == 1


def test_stop_cancels_rerun_jobs(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Jobs that were rerun after all had ended are cancelled, although the batch has ended."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: FAILED)
    assert world.run("retry", batch_id, "--yes", "--no-follow") == 0
    first, second = list(world.site.jobs)[2:]
    world.site.fault(first, Status(403))
    assert world.run("stop", batch_id, "--yes") == 1
    assert "Visit 1 (" in caplog.text
    assert f"cannot cancel the job: PUT /api/jobs/{first}: 403 Forbidden" in caplog.text
    assert world.site.jobs[second]["state"] == "cancelled"


def test_stop_cancels_unlisted_jobs(world: World) -> None:
    """While a job of the batch is pending, a rerun job is cancelled with it."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    job = world.site.queue.take()
    assert job
    world.site.queue.end(job["_id"], "failed")
    assert world.run("retry", batch_id, "--yes", "--no-follow") == 0
    assert world.run("stop", batch_id, "--yes") == 0
    assert [one["state"] for one in world.site.jobs.values()] == [
        "failed",
        "cancelled",
        "cancelled",
    ]


def test_there_may_be_nothing_to_stop(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A batch whose jobs have ended is not changed."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    assert world.run("stop", batch_id, "--yes") == 0
    assert "No jobs to cancel" in caplog.text
    assert posts(world.site, "/cancel") == []
