"""Parts of the benchmarks: replay of ready-made messages, connections and bars."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.connections import ConnectionWatch
from benchmarks.datasets import make_ct, make_ct_tgz, make_mr
from benchmarks.far import why_unavailable
from benchmarks.goals import goals
from benchmarks.replay import read_image, replay
from benchmarks.results import Data, Machine, Named, Results, Run, rows_of
from benchmarks.senders import Command, Gear, Replay, Sender
from benchmarks.targets import NEAR_AND_FAR, STORESCP, WEB_SINK, Target
from tests.support.instances import dataset_of
from tests.support.pacs import HOST, StoreSCP
from tests.support.waiting import wait_for


def test_a_replay_sends_each_image_once(storescp: StoreSCP, tmp_path: Path) -> None:
    """Images of two classes over two associations arrive as in their files."""
    folders = [make_mr(tmp_path, 3).folder, make_ct(tmp_path, 2).folder]
    files = [path for folder in folders for path in sorted(folder.rglob("*.dcm"))]

    replayed = replay(HOST, storescp.port, "SCP", 2, [read_image(path) for path in files])

    assert replayed.stored == 5
    received = sorted(dataset_of(path) for path in storescp.received())
    assert received == sorted(map(dataset_of, files))


@pytest.mark.parametrize(
    ("target", "sender"),
    [
        (STORESCP, Gear(2)),
        (STORESCP, Command()),
        (STORESCP, Command(2)),
        (STORESCP, Replay(2)),
        (WEB_SINK, Gear(2)),
        (WEB_SINK, Command(2, 20)),
        (WEB_SINK, Replay(2)),
    ],
    ids=lambda one: one.name,
)
def test_senders_return_the_number_of_sent_images(
    target: Target, sender: Sender, tmp_path: Path
) -> None:
    """Each sends a tgz, the gear from a session and the others from disk."""
    data = make_ct_tgz(tmp_path / "data", 3)
    (tmp_path / "work").mkdir()

    with target.open() as server:
        sending = sender.send(data, server, tmp_path / "work")

    assert (sending.process.exit_code, sending.sent) == (0, 3), sending.process.output


@pytest.mark.slow
def test_a_far_server_receives_images(tmp_path: Path) -> None:
    """The gear sends to an Orthanc 10 ms away, from a session of a site that is near."""
    if reason := why_unavailable():
        pytest.skip(reason)
    data = make_ct_tgz(tmp_path / "data", 3)
    (tmp_path / "work").mkdir()
    target = next(target for target in NEAR_AND_FAR if target.name == "orthanc-10ms")

    with target.open() as server:
        sending = Gear(2).send(data, server, tmp_path / "work")
        stored = server.stored()

    assert (sending.process.exit_code, sending.sent, stored) == (0, 3, 3), sending.process.output
    assert server.sending_seconds() > 0.02


def test_the_time_with_a_connection_is_measured() -> None:
    """The time before the first connection and after the last one does not count."""
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        with ConnectionWatch(port) as watch:
            assert watch.seconds == 0
            with socket.create_connection((HOST, port)):
                assert wait_for(lambda: watch.seconds > 0)
        total = watch.seconds
    assert total == watch.seconds > 0


RUN = Run("storescp", "mr", "command-4", 2.0, 1.7, 0, 0.8, "", first_image_cpu_seconds=0.7)
LARGE = replace(RUN, data="multiframe", seconds=0.6, sending_seconds=0.4)


def results_of(*runs: Run) -> Results:
    """Return results that consist of these runs."""
    data = [
        Data("mr", "MR", 2001, 70_000_000, [0.1]),
        Data("multiframe", "one", 1, 300_000_000, [0.1]),
        Data("mr-far", "MR", 400, 14_000_000, [0.1]),
    ]
    machine = Machine("CPU", 2, 1, "system", "1", {})
    senders = [Named(run.sender, run.sender) for run in runs]
    targets = [Named(run.target, run.target) for run in runs]
    return Results("2025-01-02", machine, targets, data, senders, rows_of(runs, data), list(runs))


def test_a_trial_is_compared_with_no_bar() -> None:
    """The bars apply to full-size data sets."""
    results = results_of(RUN)
    assert list(goals(replace(results, data=[replace(results.data[0], bytes=7_000_000)]))) == []


def test_bars_apply_to_medians() -> None:
    """A bar shows the measured value, and whether it is sufficient."""
    rate, cpu = goals(results_of(RUN))
    assert (rate.bound, rate.measured, rate.holds) == ("at least 2500", "2501", True)
    assert (cpu.bound, cpu.measured, cpu.holds) == ("at most 0.45 ms", "0.50 ms", False)
    assert cpu.claim == "command-4, MR to storescp: CPU for an image, without the start"


@pytest.mark.parametrize(
    ("dcmsend", "holds"), [((0.5, 0.4), [True, True]), ((0.45, 0.3), [False, False])]
)
def test_one_large_image_is_compared_with_dcmsend(
    dcmsend: tuple[float, float], holds: list[bool]
) -> None:
    """The values are the rate while connected and the total time."""
    seconds, connected = dcmsend
    rival = replace(LARGE, sender="dcmsend", seconds=seconds, sending_seconds=connected)
    assert [outcome.holds for outcome in goals(results_of(LARGE, rival))] == holds


def test_a_failed_bar_of_dicomweb() -> None:
    """The rates are those beside C-STORE, and beside one image a request, in the same run."""
    here = replace(RUN, target="web-sink", sending_seconds=1.0)
    far = replace(RUN, target="web-distance", sender="command-by20-8", sending_seconds=1.0)
    runs = (
        replace(here, target="c-store", sending_seconds=0.5),
        here,
        replace(far, sender="command-by1-8", sending_seconds=4.0),
        far,
    )

    found = [(one.measured, one.holds) for one in goals(results_of(*runs))]

    assert found == [("0.50 times", False), ("4.00 times", True)]


@pytest.mark.parametrize(("rival", "holds"), [(2.0, True), (1.5, False)])
def test_the_default_is_compared_with_the_best_fixed_number(rival: float, holds: bool) -> None:
    """At 10 ms, it takes at most 1.3 times the seconds of the best one."""
    own = replace(RUN, target="storescp-10ms", data="mr-far", sender="command-default", seconds=2.5)
    slow, fast = (
        replace(own, sender=f"command-{number}", seconds=seconds)
        for number, seconds in ((4, 9.0), (16, rival))
    )
    assert [outcome.holds for outcome in goals(results_of(own, slow, fast))] == [holds]


def test_one_image_alone_has_a_bar() -> None:
    """At 50 ms, the bars are for all images, and for the first image alone."""
    own = replace(
        RUN, target="orthanc-50ms", data="mr-far", sender="command-default", first_image_seconds=0.5
    )
    found = [(one.measured, one.holds) for one in goals(results_of(own))]
    assert found == [("2.00 s", True), ("0.50 s", True)]
