"""A server that temporarily rejects associations receives all images."""

from pathlib import Path

import pytest

from tests.support.fault_asserts import assert_nothing_lost
from tests.support.fault_runs import (
    FaultRuns,
    once,
    run_gear,
    run_gears,
)
from tests.support.fault_scp import Peer, Script, serve
from tests.support.fault_scripts import Restart
from tests.support.scripted import (
    AT_LIMIT,
    CONGESTED,
    abort_on_request,
    answer_on_request,
    rejecting,
)

DOWN_SECONDS = 1.5


NOT_OPENED: dict[str, Script] = {
    "silence": Peer.stall,
    "close": Peer.close,
    "abort": abort_on_request,
    "garbage": answer_on_request(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "congested": rejecting(CONGESTED),
    "limit": rejecting(AT_LIMIT),
}


@pytest.fixture(scope="module")
def not_opened(tmp_path_factory: pytest.TempPathFactory) -> FaultRuns:
    return run_gears(
        tmp_path_factory, {name: once(script) for name, script in NOT_OPENED.items()}, ["silence"]
    )


@pytest.mark.slow
@pytest.mark.xdist_group("refused associations")
@pytest.mark.parametrize("name", NOT_OPENED)
def test_a_server_that_rejects_associations_temporarily(not_opened: FaultRuns, name: str) -> None:
    """After the check, the server rejects several associations and then accepts one."""
    for run in not_opened[name]:
        assert_nothing_lost(run)
        assert run.connections >= 3


def test_a_server_that_restarts_during_the_run(tmp_path: Path) -> None:
    """Its port refuses connections for a while, and no image is lost."""
    for run in run_gear(tmp_path, lambda n: (serve, *[Restart(DOWN_SECONDS)] * n, serve)):
        assert_nothing_lost(run)
        assert run.connections < 30
