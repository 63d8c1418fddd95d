"""What holds of each run to a server with a fault: its report is true, and it ends in time."""

from tests.support.fault_runs import (
    ALL_SENT,
    IMAGES,
    FaultRun,
)

SOON = 10.0
GIVEN_UP = "the server was given up after "


def assert_true_report(run: FaultRun) -> None:
    """Each image was acknowledged once and counts as sent, or is told not to be."""
    acknowledged = run.acknowledged
    assert len(acknowledged) == len(set(acknowledged)), run.result.log
    assert sum(int(sent) for _, sent, _ in run.rows.values()) == len(acknowledged)
    assert sum(run.not_sent.values()) == IMAGES - len(acknowledged)
    assert sum(int(images) for images, _, _ in run.rows.values()) == IMAGES


def assert_nothing_lost(run: FaultRun, seconds: float = SOON) -> None:
    """All images were acknowledged, each once; the report and the exit code say so."""
    assert_true_report(run)
    assert run.rows == ALL_SENT, run.result.log
    assert run.acknowledged == list(range(1, IMAGES + 1))
    assert run.result.exit_code == 0
    assert run.result.seconds < seconds


def assert_given_up(run: FaultRun, reason: str, seconds: float = SOON) -> None:
    """The server was given up after the retry time: each image left is told, and why."""
    assert_true_report(run)
    assert run.result.exit_code == 1
    assert all(reason in told for told in run.not_sent), run.result.log
    assert any(told.startswith(GIVEN_UP) for told in run.not_sent), run.result.log
    assert run.result.seconds < seconds
