"""Assertions for all runs against a faulty server: a true report and a timely end."""

from tests.support import wording
from tests.support.fault_runs import ALL_SENT, FILES, FaultRun
from tests.support.waiting import NEVER

GIVEN_UP = f"{wording.GIVEN_UP} "


def assert_true_report(run: FaultRun) -> None:
    """Check that each image was acknowledged once and counts as sent, or is reported as not sent.

    After the gear gives up, it fetches no more files. A file that was not fetched counts no image,
    and the log gives the reason.
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
    """Check that all images were acknowledged once, and that report and exit code agree."""
    assert_true_report(run)
    assert run.rows == ALL_SENT, run.result.log
    assert run.acknowledged == sorted(number for numbers in FILES.values() for number in numbers)
    assert run.result.exit_code == 0
    assert_ended_soon(run)


def assert_given_up(run: FaultRun, reason: str) -> None:
    """Check that the gear gave up after the retry time, and reported each remaining image."""
    assert_true_report(run)
    reasons = [*run.not_sent, *run.not_fetched.values()]
    assert run.result.exit_code == 1
    assert all(reason in one for one in reasons), run.result.log
    assert any(one.startswith(GIVEN_UP) for one in reasons), run.result.log
    assert_ended_soon(run)


def assert_ended_soon(run: FaultRun) -> None:
    """Check that the run waited neither for a long timeout nor for a long retry time."""
    assert run.result.seconds < NEVER / 2
