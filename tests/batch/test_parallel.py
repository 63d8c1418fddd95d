"""Requests about many sessions are sent eight at a time, with their results in order."""

import signal
import threading
from collections.abc import Sequence

import pytest

from fw_gear_dicom_send.batch.parallel import REQUESTS_AT_ONCE, in_order
from fw_gear_dicom_send.exit_codes import exit_code
from tests.support import command
from tests.support.batch_world import GOOD, World
from tests.support.flywheel_http import Meet, Stall, Status
from tests.support.signals import signal_at_thread
from tests.support.waiting import NEVER, PATIENCE


def test_reports_are_requested_eight_at_a_time(world: World) -> None:
    """The site gets eight requests before it answers the first; the rows keep their order."""
    labels = [f"Visit {number}" for number in range(2 * REQUESTS_AT_ONCE)]
    batch_id = world.prepare(*labels)
    world.ended(lambda _: GOOD)
    barrier = threading.Barrier(REQUESTS_AT_ONCE, timeout=PATIENCE)
    for label in labels:
        world.site.fault(world.session_of(label), Meet(barrier))
    assert world.run("gather", batch_id) == 0
    assert [row["Session"] for row in world.rows(batch_id)] == labels
    assert world.site.requested("GET").count(f"/api/projects/{world.project}") == 2


def test_files_are_counted_in_parallel(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The estimate of many sessions is the sum of several requests at a time."""
    for number in range(150):
        acquisition = world.site.add_acquisition(world.add(f"Visit {number}"), "T1")
        world.site.add_file(acquisition, "a.dcm", b"1")
    barrier = threading.Barrier(2, timeout=PATIENCE)
    acquisitions = f"/api/projects/{world.project}/acquisitions"
    # Two pages of sessions, and the project itself, are requested first.
    world.site.fault(world.project, *[Stall(0)] * 3, *[Meet(barrier)] * 2)
    assert world.start("--no-follow") == 0
    assert "Amount of data: 150 files, 150 images, 150 bytes" in caplog.messages
    assert world.site.requested("GET").count(acquisitions) >= 2


def test_failed_request_costs_only_its_session(world: World) -> None:
    """A session that the site refuses has a row that says so, between the others."""
    batch_id = world.prepare(*[f"Visit {number}" for number in range(20)])
    world.ended(lambda _: GOOD)
    refused = world.session_of("Visit 7")
    world.site.fault(refused, Status(403))
    assert world.run("gather", batch_id) == 1
    statuses = [row["Status"] for row in world.rows(batch_id)]
    assert statuses.pop(7).startswith(f"GET /api/sessions/{refused}: 403 Forbidden")
    assert statuses == ["Complete"] * 19


def test_stopped_command_does_not_wait_for_requests(world: World) -> None:
    """Ctrl-C ends the command while all requests stall, and leaves no partial table."""
    labels = [f"Visit {number}" for number in range(REQUESTS_AT_ONCE + 1)]
    batch_id = world.prepare(*labels)
    world.ended(lambda _: GOOD)
    for label in labels:
        world.site.fault(world.session_of(label), Stall(NEVER))
    result = command.run_on_terminal(
        "dicom-send-batch",
        *world.arguments("gather", batch_id),
        cwd=world.folder,
        interrupt_at=lambda printed: "0/9" in printed,
    )
    assert result.exit_code == 130
    assert "Stopped by Ctrl-C" in result.stdout
    assert list((world.folder / "out").iterdir()) == []


def test_few_results_are_in_memory() -> None:
    """An action starts only when fewer than eight results wait to be used."""
    started: list[int] = []
    used = 0

    def action(item: int) -> int:
        started.append(item)
        return item

    for result in in_order(action, range(100)):
        assert result == used
        assert len(started) <= used + REQUESTS_AT_ONCE
        used += 1
    assert used == len(started) == 100


@pytest.mark.parametrize("items", [(), (1,), (1, 2, 3)])
def test_first_error_is_raised(items: Sequence[int]) -> None:
    """An error reaches the caller in its place."""

    def action(item: int) -> int:
        if item == 2:
            raise ValueError(item)
        return item

    results: list[int] = []
    if 2 in items:
        with pytest.raises(ValueError, match="2"):
            results.extend(in_order(action, items))
    else:
        assert list(in_order(action, items)) == list(items)


THREADS = 2 + 3  # one for each item, and those of the pool itself


@pytest.mark.parametrize("number", range(THREADS))
@pytest.mark.usefixtures("own_signals")
def test_a_signal_does_not_interrupt_the_start_of_threads(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It ends the command after all starts, not with an unexpected error."""
    begun = signal_at_thread(monkeypatch, number, signal.SIGINT)
    assert exit_code(lambda: len(list(in_order(str, (1, 2))))) == 128 + signal.SIGINT
    assert len(begun) == THREADS
