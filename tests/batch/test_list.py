"""Batches can be listed without their ids."""

from collections.abc import Iterable

import pytest

from tests.support.batch_world import FAILED, GOOD, World
from tests.support.flywheel_http import Status
from tests.support.flywheel_jobs import USER


def listed(world: World, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """Run the command and return its output for each batch."""
    capsys.readouterr()
    assert world.run("list") == 0
    return [line.split("  ") for line in capsys.readouterr().out.splitlines()]


def states(rows: Iterable[list[str]]) -> list[tuple[str, str]]:
    """Return the job states in the rows, by batch."""
    return [(row[0], row[3]) for row in rows]


def test_batches_are_listed_with_their_job_states(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The newest batch comes first, with its date, its user and the states of its jobs."""
    first = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda job: GOOD if world.label_of(job) == "Visit 1" else FAILED)
    assert world.run("retry", first, "--yes", "--no-follow") == 0
    second = world.prepare()
    rows = listed(world, capsys)
    assert states(rows) == [
        (second, "0 of 2 jobs have ended: 2 pending"),
        (first, "1 of 2 jobs have ended: 1 complete, 1 pending"),
    ]
    assert {row[2] for row in rows} == {USER}
    assert all(len(row[1]) == len("2026-01-31 12:34") for row in rows)


def test_batches_of_other_gears_are_not_listed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Batches of other gears are left out; a batch that was never started may be of any gear."""
    world.prepare("Visit 1")
    (job,) = world.site.jobs.values()
    job["gear_info"] = {"name": "dcm2niix"}
    assert listed(world, capsys) == []
    second = world.prepare()
    world.site.batches[second] |= {"state": "pending", "jobs": []}
    assert states(listed(world, capsys)) == [(second, "never started")]


def test_batches_of_others_are_listed_for_admins(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list shows who started each batch, which matters to users who see all batches."""
    batch_id = world.prepare("Visit 1")
    world.site.batches[batch_id]["origin"] = {"type": "user", "id": "other@example.org"}
    assert listed(world, capsys) == []
    world.site.is_admin = True
    assert [row[2] for row in listed(world, capsys)] == ["other@example.org"]


def test_only_the_newest_are_listed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Twenty batches are requested, however many exist."""
    world.add("Visit 1")
    for _ in range(21):
        assert world.start("--no-follow") == 0
    rows = listed(world, capsys)
    assert [row[0] for row in rows] == list(reversed(world.site.batches))[:20]


def test_site_failure_ends_the_list(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A list that the site rejects is a one-line error."""
    world.site.fault("batch", Status(403))
    assert world.run("list") == 1
    assert caplog.records[-1].getMessage() == "GET /api/batch: 403 Forbidden: it is not to be"
