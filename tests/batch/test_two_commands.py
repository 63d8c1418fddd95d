"""Two commands on one batch: no session is sent twice, and none starts after `stop`."""

import threading
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.batch import main
from fw_gear_dicom_send.batch.api import BatchAPI
from fw_gear_dicom_send.batch.later import Later
from tests.batch.test_later import added, prepare, states
from tests.support import command
from tests.support.batch_world import FAILED, GOOD, World
from tests.support.flywheel_engine import FlywheelEngine


def follower(world: World, batch_id: str, at_once: int) -> Later:
    api = BatchAPI(world.site.api_key)
    return Later(api, batch_id, world.folder / "out", at_once, 60)


def test_two_followers_start_each_job_once(world: World) -> None:
    """The second command finds the jobs of the first."""
    batch_id = prepare(world, 12, 1)
    world.site.latency = 0.02
    follow = world.arguments("follow", batch_id, "--jobs-at-once", 4)
    codes: list[int] = []

    def run() -> None:
        codes.append(command.run("dicom-send-batch", *follow, cwd=world.folder).exit_code)

    threads = [threading.Thread(target=run) for _ in range(2)]
    with FlywheelEngine(world.site, world.folder / "jobs", max_running=3, outcome=lambda _: GOOD):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    sessions = [job["destination"]["id"] for job in world.site.jobs.values()]
    assert len(sessions) == len(set(sessions)) == 12
    assert codes == [0, 0]


def test_stop_cancels_jobs_that_start_while_it_asks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that another command starts before the confirmation is cancelled, too."""
    batch_id = prepare(world, 6, 1)

    def confirm(*_: object) -> bool:
        world.ended(lambda _: GOOD)
        later = follower(world, batch_id, 3)
        assert later.start_next(later.poll())
        return True

    monkeypatch.setattr(main, "confirmed", confirm)
    assert world.run("stop", batch_id) == 0
    assert states(world) == ["complete"] + ["cancelled"] * 3


def test_no_job_starts_after_stop(world: World) -> None:
    """A command that is starting many jobs notices `stop` before the next one."""
    batch_id = prepare(world, 6, 1)
    world.ended(lambda _: GOOD)
    later = follower(world, batch_id, 5)
    batch = later.poll()
    other = follower(world, batch_id, 5)
    other.set_stopped(True)
    assert later.start_next(batch)
    assert added(world) == []


def test_stop_waits_for_a_job_that_is_starting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`stop` also cancels the job whose request is under way."""
    batch_id = prepare(world, 6, 1)
    world.ended(lambda _: GOOD)
    later = follower(world, batch_id, 5)
    batch = later.poll()
    stop = threading.Thread(target=follower(world, batch_id, 5).set_stopped, args=(True,))
    add: Callable[..., str] = BatchAPI.add
    order: list[bool] = []

    def add_slowly(*args: object) -> str:
        if not order:
            stop.start()
            stop.join(0.5)
        order.append(stop.is_alive())
        return add(*args)

    monkeypatch.setattr(BatchAPI, "add", add_slowly)
    later.start_next(batch)
    stop.join()
    assert order[0]


def test_retry_without_following_names_the_other_jobs(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Failed jobs for which there is no room are not forgotten silently."""
    batch_id = world.prepare("Visit 1", "Visit 2", "Visit 3")
    world.ended(lambda _: FAILED)
    retry = ("retry", batch_id, "--yes", "--no-follow")
    assert world.run(*retry, "--jobs-at-once", 1) == 1
    assert states(world) == ["failed"] * 3 + ["pending"]
    assert "Not retried yet: 2 failed jobs; run retry again" in caplog.messages
    assert world.run(*retry) == 0
