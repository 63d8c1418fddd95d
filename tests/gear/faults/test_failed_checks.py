"""A server that fails the check before the first download receives no image."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.support import wording
from tests.support.fault_asserts import assert_ended_soon, assert_nothing_lost
from tests.support.fault_runs import (
    NOT_REACHED,
    FaultRuns,
    run_gear,
    run_gears,
)
from tests.support.fault_scp import Peer, Script, serve
from tests.support.fault_scripts import RETRY_SECONDS
from tests.support.hurried_gear import SHORT_TIMEOUT
from tests.support.scripted import (
    AT_LIMIT,
    UNKNOWN_CALLED_AE,
    UNKNOWN_CALLING_AE,
    abort_on_request,
    accept_and_stall,
    rejecting,
)


def test_a_transient_rejection_of_the_check_is_waited_out(tmp_path: Path) -> None:
    """The gear retries the check of a busy server and logs this once."""
    for run in run_gear(tmp_path, lambda _: (*[rejecting(AT_LIMIT)] * 2, serve)):
        assert_nothing_lost(run)
        assert run.result.log.count(f". {wording.RETRYING} 300 s") == 1


def test_retry_time_limits_the_check(tmp_path: Path) -> None:
    """With a retry time of 0, the server is checked once."""
    for run in run_gear(tmp_path, lambda _: (rejecting(AT_LIMIT),), send_retry_time=0):
        assert f"{wording.LIMIT_REACHED}: {wording.CHECK_LIMIT}" in run.result.log
        assert (run.connections, run.fetched, run.result.exit_code) == (1, frozenset(), 1)


CHECK: dict[str, tuple[Script, str]] = {
    "called AE title": (
        rejecting(UNKNOWN_CALLED_AE),
        f"{wording.UNKNOWN_CALLED_AE} 'PACS': check",
    ),
    "calling AE title": (
        rejecting(UNKNOWN_CALLING_AE),
        f"{wording.UNKNOWN_CALLING_AE} 'flywheel': check",
    ),
    "limit": (rejecting(AT_LIMIT), f"{wording.LIMIT_REACHED}: {wording.CHECK_LIMIT}"),
    "silence": (Peer.stall, f"{wording.NO_VALID_ANSWER}: {wording.CHECK_DICOM}"),
    "close": (Peer.close, f"{wording.NO_VALID_ANSWER}: {wording.CHECK_DICOM}"),
    "abort": (abort_on_request, f"{wording.NO_VALID_ANSWER}: {wording.CHECK_DICOM}"),
    "no answer to the C-ECHO": (
        accept_and_stall,
        f"{wording.NO_ANSWER_WITHIN} {SHORT_TIMEOUT:.0f} s: check",
    ),
}
SILENT = ("silence", "no answer to the C-ECHO")


def scripts_of_check(script: Script, _: int) -> Sequence[Script]:
    return [script]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> FaultRuns:
    scripts = {name: partial(scripts_of_check, script) for name, (script, _) in CHECK.items()}
    return run_gears(tmp_path_factory, scripts, SILENT, numbers=[4], send_retry_time=RETRY_SECONDS)


@pytest.mark.slow
@pytest.mark.xdist_group("failed checks")
@pytest.mark.parametrize("name", CHECK)
def test_a_server_that_fails_the_check_gets_no_image(checked: FaultRuns, name: str) -> None:
    """Nothing is downloaded; one log line has the problem and the advice."""
    _, reason = CHECK[name]
    for run in checked[name]:
        assert reason in run.result.log
        assert run.rows == NOT_REACHED
        assert run.fetched == frozenset()
        assert (run.images, run.result.exit_code) == ((), 1)
        assert run.connections == 1 or name == "limit"
        assert_ended_soon(run)
