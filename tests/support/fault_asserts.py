"""What holds of each run to a server with a fault: its report is true, and it ends in time."""

from tests.support.fault_runs import ALL_SENT, FILES, FaultRun
from tests.support.waiting import NEVER

GIVEN_UP = "gave up after "


def assert_true_report(run: FaultRun) -> None:
    """Each image was acknowledged once and counts as sent, or is reported as not sent.

    A file that had not been fetched when the server was given up is not fetched any more: it
    counts no image, and the log says why.
    """
    acknowledged = set(run.acknowledged)
    assert len(run.acknowledged) == len(acknowledged), run.result.log
    assert run.rows.keys() == FILES.keys()
    for name, numbers in FILES.items():
        images, sent, status = run.rows[name]
        if name in run.fetched:
            assert int(images) == len(numbers), run.result.log
        else:
            assert (images, status) == ("0", "Failed"), run.result.log
        assert int(sent) == len(acknowledged.intersection(numbers)), run.result.log
    assert sum(run.not_sent.values()) == run.images_fetched - len(acknowledged)
    assert run.not_fetched.keys() == FILES.keys() - run.fetched


def assert_nothing_lost(run: FaultRun) -> None:
    """All images were acknowledged, each once; the report and the exit code say so."""
    assert_true_report(run)
    assert run.rows == ALL_SENT, run.result.log
    assert run.acknowledged == sorted(number for numbers in FILES.values() for number in numbers)
    assert run.result.exit_code == 0
    assert_ended_soon(run)


def assert_given_up(run: FaultRun, reason: str) -> None:
    """The server was given up after the retry time: each image left is reported, and why."""
    assert_true_report(run)
    reasons = [*run.not_sent, *run.not_fetched.values()]
    assert run.result.exit_code == 1
    assert all(reason in one for one in reasons), run.result.log
    assert any(one.startswith(GIVEN_UP) for one in reasons), run.result.log
    assert_ended_soon(run)


def assert_ended_soon(run: FaultRun) -> None:
    """The run has waited for no timeout that is not meant to pass, nor for a long retry time."""
    assert run.result.seconds < NEVER / 2
