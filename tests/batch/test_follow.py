"""A batch is run once and followed to its end."""

import re
from functools import partial

import pytest

from fw_gear_dicom_send.batch.main import SiteTimeouts
from tests.support import command
from tests.support.batch_world import GOOD, ROW, TO, World, posts
from tests.support.flywheel_engine import Endless, FlywheelEngine, Simulated
from tests.support.flywheel_http import Flip, Reset, Stall, Status
from tests.support.flywheel_lists import Record, Refusal
from tests.support.flywheel_site import FlywheelSite
from tests.support.waiting import wait_for

FINE = Stall(0)
"""No fault: the response is unchanged."""
on_terminal = partial(command.run_on_terminal, "dicom-send-batch")


def test_jobs_are_run_and_followed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A batch is run once, followed by lines of counts, and its reports are gathered."""
    for number in range(3):
        world.add(f"Visit {number}")
    seen: list[object] = []

    def outcome(_: Record) -> Simulated:
        """Let a job run until the command has logged it as running."""
        message = f"{len(seen)} of 3 jobs have ended: .*1 running"
        seen.append(wait_for(lambda: bool(re.search(message, caplog.text))))
        return GOOD

    with FlywheelEngine(world.site, world.folder, outcome=outcome):
        assert world.start() == 0
    assert seen == [True] * 3
    lines = [record.getMessage() for record in caplog.records]
    counts = [line for line in lines if "jobs have ended" in line]
    assert counts[-1] == "3 of 3 jobs have ended: 3 complete"
    assert len(counts[:-1]) == len(set(counts[:-1])) >= 3
    (batch_id,) = world.site.batches
    assert f"dicom-send-batch follow {batch_id}" in caplog.text
    assert len(posts(world.site, "/run")) == len(posts(world.site, "/batch/jobs")) == 1
    assert len(world.rows(batch_id)) == 3


def next_batch(site: FlywheelSite) -> str:
    """Return the id of the next batch."""
    return f"{int(site.new_id(), 16) + 1:024x}"


def test_run_with_a_lost_response_is_not_repeated(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """If the response to the run request is lost, the batch is followed and not run again."""
    world.add("Visit 1")
    world.site.fault(next_batch(world.site), Reset(), Flip())
    with FlywheelEngine(world.site, world.folder, outcome=lambda _: GOOD):
        assert world.start() == 0
    assert "checking whether the batch runs" in caplog.text
    assert len(posts(world.site, "/run")) == 1


def test_batch_that_stays_pending_is_reported(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that stays pending is reported with its id and not run again."""
    world.timeouts = SiteTimeouts(start=0.1)
    monkeypatch.setattr(
        world.site.queue, "run_batch", lambda _: (_ for _ in ()).throw(Refusal(503))
    )
    world.add("Visit 1")
    assert world.start() == 1
    (batch_id,) = world.site.batches
    assert f"Batch {batch_id} does not run: POST" in caplog.records[-1].getMessage()
    assert len(posts(world.site, "/run")) == 1


def test_refused_run_is_final(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """If the site refuses to run a batch, its state is not queried."""
    world.add("Visit 1")
    world.site.fault(next_batch(world.site), Status(403))
    assert world.start() == 1
    assert caplog.records[-1].getMessage().endswith("/run: 403 Forbidden: it is not to be")


def test_follow_offers_to_run_a_batch_that_was_never_run(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """After confirmation, `follow` runs a batch that was only created."""
    batch_id = world.prepare("Visit 1")
    world.site.batches[batch_id] |= {"state": "pending", "jobs": []}
    world.site.jobs.clear()
    assert world.run("follow", batch_id) == 2
    assert "--yes" in caplog.text
    with FlywheelEngine(world.site, world.folder, outcome=lambda _: GOOD):
        assert world.run("follow", batch_id, "--yes") == 0


def test_invalid_response_is_retried(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """An unreadable response is logged once, and the request is retried."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    world.site.fault(batch_id, FINE, Flip(), Flip())
    assert world.run("follow", batch_id) == 0
    assert caplog.text.count("; retrying (the batch continues)") == 1


def test_only_reads_are_retried(world: World) -> None:
    """The client retries a request after a server error only if the request changes nothing."""
    world.add("Visit 1")
    world.site.fault(world.project, Status(503))
    world.site.fault("jobs", Status(503))
    assert world.start("--no-follow", "--not-yet-sent") == 0
    world.site.fault("batch", Status(503))
    assert world.start("--no-follow") == 1
    assert len(posts(world.site, "/batch/jobs")) == 2


def test_command_ends_when_the_site_stays_silent(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The command ends if the site is silent for too long; the batch can be followed later."""
    world.timeouts = SiteTimeouts(silence=0.1)
    batch_id = world.prepare("Visit 1")
    world.site.fault(batch_id, FINE, *[Flip()] * 1000)
    assert world.run("follow", batch_id) == 1
    assert f"dicom-send-batch follow {batch_id}" in caplog.text


def test_rejected_request_is_final(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A rejected request, for example with an expired key, ends the command immediately."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    world.site.fault(batch_id, FINE, Status(401))
    assert world.run("follow", batch_id) == 1
    assert f"GET /api/batch/{batch_id}: 401 Unauthorized" in caplog.text


def test_unknown_batch_is_reported_immediately(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Each command reports an unknown batch as a one-line error."""
    for name in ("follow", "stop", "retry", "gather"):
        caplog.clear()
        assert world.run(name, "5f") == 2
        assert [record.getMessage() for record in caplog.records] == ["the site has no batch '5f'"]


def test_batch_of_another_gear_is_refused(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A batch of another gear is not followed, stopped, retried or gathered."""
    batch_id = world.prepare("Visit 1")
    (job,) = world.site.jobs.values()
    job["gear_info"] = {"name": "dcm2niix"}
    for name in ("follow", "stop", "retry", "gather"):
        caplog.clear()
        assert world.run(name, batch_id, *(["--yes"] if name != "gather" else [])) == 2
        assert f"batch {batch_id} runs another gear: dcm2niix" in caplog.text
    assert posts(world.site, "/cancel") + posts(world.site, "/retry") == []


@pytest.mark.slow
def test_progress_is_seen_on_a_terminal(world: World) -> None:
    """On a terminal, the command asks for confirmation and shows a bar, counts and failures."""
    for number in range(3):
        world.add(f"Visit [b{number}]")

    def outcome(job: Record) -> Simulated:
        is_bad = world.label_of(job) == "Visit [b1]"
        return Simulated("failed", 0.2) if is_bad else Simulated(seconds=0.3, report=[ROW])

    with FlywheelEngine(world.site, world.folder / "jobs", outcome=outcome):
        start = world.arguments("start", "--project", "lab/Study", *TO)
        result = on_terminal(*start, cwd=world.folder, typed="y\n")
    assert result.exit_code == 1
    assert "Start 3 jobs on 127.0.0.1:" in result.stdout
    assert "3/3" in result.stdout
    assert "3 of 3 jobs have ended: 2 complete, 1 failed" in result.stdout
    assert "Visit [b1] (" in result.stdout.rpartition("3/3")[2]
    assert "secret" not in result.stdout


def test_declined_action_is_not_done(world: World) -> None:
    """An action that is not confirmed on a terminal is not done."""
    world.add("Visit 1")
    start = world.arguments("start", "--project", "lab/Study", *TO)
    result = on_terminal(*start, cwd=world.folder, typed="\n")
    assert (result.exit_code, world.site.batches) == (1, {})
    assert "nothing was changed" in result.stdout


def test_interrupted_batch_continues_and_can_be_followed(world: World) -> None:
    """Ctrl-C ends the command but not the batch, and the log says how to follow it."""
    world.add("Visit 1")
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: Endless()):
        start = world.arguments("start", "--project", "lab/Study", *TO, "--yes")
        result = on_terminal(
            *start, cwd=world.folder, interrupt_at=lambda printed: "1 running" in printed
        )
    (batch_id,) = world.site.batches
    assert result.exit_code == 130
    assert "Stopped by Ctrl-C" in result.stdout
    assert (
        f"continue. To follow the batch again: dicom-send-batch follow {batch_id}" in result.stdout
    )
    (job,) = world.site.jobs.values()
    assert (job["state"], posts(world.site, "/cancel")) == ("running", [])
    world.site.queue.end(job["_id"], "complete")
    assert world.run("follow", batch_id) == 1
    assert world.rows(batch_id)[0]["Status"] == "no report"
