"""The gear gives up on a server that never recovers, and reports each remaining image."""

from functools import partial
from pathlib import Path

import pytest

from tests.support import wording
from tests.support.fault_asserts import assert_given_up, assert_true_report
from tests.support.fault_runs import (
    IMAGES,
    FaultRuns,
    Scripts,
    always,
    run_gear,
    run_gears,
)
from tests.support.fault_scp import Peer, Script, serve
from tests.support.fault_scripts import RETRY_SECONDS, Restart, after_pdus, never_respond
from tests.support.scripted import (
    CONGESTED,
    UNKNOWN_CALLED_AE,
    UNKNOWN_CALLING_AE,
    Rejection,
    rejecting,
)

PERMANENT: dict[str, tuple[Script, str]] = {
    "dies with each image": (
        partial(after_pdus, 3, Peer.reset),
        wording.CONNECTION_LOST,
    ),
    "never answers": (never_respond, " answer"),
    "congested": (rejecting(CONGESTED), f"{wording.REJECTED}: it is temporarily"),
    "silent": (Peer.stall, wording.NO_VALID_ANSWER),
}
SILENT = ("never answers", "silent")
WITHOUT_ASSOCIATION = ("congested", "silent")


@pytest.fixture(scope="module")
def permanent(tmp_path_factory: pytest.TempPathFactory) -> FaultRuns:
    scripts = {name: always(script) for name, (script, _) in PERMANENT.items()}
    return run_gears(tmp_path_factory, scripts, SILENT, send_retry_time=RETRY_SECONDS)


@pytest.mark.slow
@pytest.mark.xdist_group("permanent faults")
@pytest.mark.parametrize("name", PERMANENT)
def test_the_gear_gives_up_on_a_server_that_never_recovers(permanent: FaultRuns, name: str) -> None:
    """After the retry time all images are reported, without a connection for each try of each."""
    _, reason = PERMANENT[name]
    for run in permanent[name]:
        assert_given_up(run, reason)
        assert run.acknowledged == []
        assert run.connections < IMAGES * 6 - IMAGES
        if name in WITHOUT_ASSOCIATION:
            assert list(run.not_sent.values()) == [run.images_fetched]
            assert run.connections < 30


def test_the_gear_gives_up_on_a_server_that_never_restarts(tmp_path: Path) -> None:
    """Acknowledged images are counted, all others are reported, and connection attempts are few."""
    scripts: Scripts = lambda n: (serve, *[Restart(None)] * n, serve)  # noqa: E731
    for run in run_gear(tmp_path, scripts, send_retry_time=RETRY_SECONDS):
        assert_given_up(run, "Connection refused")
        assert len(run.not_sent) == 1
        assert 1 <= len(run.acknowledged) <= run.associations
        assert run.connections < 30


@pytest.mark.parametrize(
    ("rejection", "reason"),
    [
        (UNKNOWN_CALLED_AE, f"{wording.UNKNOWN_CALLED_AE} 'PACS'"),
        (UNKNOWN_CALLING_AE, f"{wording.UNKNOWN_CALLING_AE} 'flywheel'"),
    ],
)
def test_a_permanent_rejection_during_the_run_ends_it(
    tmp_path: Path, rejection: Rejection, reason: str
) -> None:
    """The gear does not retry, and the log names the wrong AE title."""
    for run in run_gear(tmp_path, always(rejecting(rejection)), send_retry_time=RETRY_SECONDS):
        assert_true_report(run)
        ((message, number),) = run.not_sent.items()
        assert all(one.endswith(reason) for one in (message, *run.not_fetched.values()))
        assert (number, run.result.exit_code) == (run.images_fetched, 1)
        assert run.connections <= 1 + run.associations
