"""Retry policy: total time, number of tries, and waits between them."""

import threading

import pytest

from fw_gear_dicom_send.retry import Retry, RetryBudget, RetryPolicy, is_temporary_status, retry
from fw_gear_dicom_send.values import replace
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def waits(policy: RetryPolicy, number: int) -> list[float | None]:
    attempts = Retry(replace(policy, clock=Clock()))
    return [attempts.wait_time() for _ in range(number)]


# Policies


def test_waits_double_up_to_the_maximum() -> None:
    """They begin with the minimum wait."""
    policy = RetryPolicy(min_wait=2, max_wait=15, jitter=False)
    assert waits(policy, 6) == [2, 4, 8, 15, 15, 15]


def test_equal_waits_are_an_interval() -> None:
    """Without jitter and with equal waits, tries follow at an interval."""
    assert waits(RetryPolicy(min_wait=5, max_wait=5, jitter=False), 3) == [5, 5, 5]


def test_jitter_shortens_a_wait_at_random() -> None:
    """Waits are spread up to the full wait, so that clients do not return at the same time."""
    policy = RetryPolicy(min_wait=4, max_wait=4)
    drawn = [wait for wait in waits(policy, 1000) if wait is not None]
    assert len(drawn) == 1000
    assert min(drawn) < 1
    assert 3 < max(drawn) <= 4


def test_tries_are_counted() -> None:
    """`max_tries` is the number of the last try."""
    assert waits(RetryPolicy(max_tries=3, jitter=False), 3) == [1, 2, None]
    assert waits(RetryPolicy(max_tries=1), 1) == [None]


def test_the_time_begins_with_the_first_failure(clock: Clock) -> None:
    """The duration of the first try does not matter."""
    attempts = Retry(RetryPolicy(max_time=10, jitter=False, clock=clock))
    clock.time += 10_000
    assert attempts.wait_time() == 1
    clock.time += 9
    assert attempts.wait_time() == 1  # The complete remaining time
    clock.time += 1
    assert attempts.wait_time() is None


def test_without_time_there_is_no_retry() -> None:
    """The first failure is final."""
    assert waits(RetryPolicy(max_time=0), 1) == [None]


def test_a_wait_is_not_shorter_than_requested(clock: Clock) -> None:
    """It is shorter only if less time remains."""
    attempts = Retry(RetryPolicy(max_time=60, jitter=False, clock=clock))
    assert attempts.wait_time(at_least=20) == 20
    clock.time += 50
    assert attempts.wait_time(at_least=20) == 10


# Actions


class Flaky:
    """Action that fails this many times, then returns its number of calls."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return self.calls


def test_an_action_is_retried_until_it_succeeds(clock: Clock) -> None:
    """Error and wait are passed on before each wait."""
    shown: list[tuple[str, float]] = []
    result = retry(
        RetryPolicy(jitter=False, clock=clock),
        Flaky(2, KeyError("busy")),
        on=KeyError,
        before_wait=lambda error, wait: shown.append((str(error), wait)),
    )
    assert result == 3
    assert shown == [("'busy'", 1), ("'busy'", 2)]
    assert clock.waits == [1, 2]


def test_the_last_error_is_raised(clock: Clock) -> None:
    """It is raised after the last try."""
    action = Flaky(9, KeyError())
    with pytest.raises(KeyError):
        retry(RetryPolicy(max_tries=3, clock=clock), action, on=KeyError)
    assert action.calls == 3
    assert len(clock.waits) == 2


def test_a_final_error_is_raised_immediately(clock: Clock) -> None:
    """An error of another kind is raised immediately, too."""
    action = Flaky(9, KeyError())
    with pytest.raises(KeyError):
        retry(RetryPolicy(clock=clock), action, on=KeyError, is_temporary=lambda _: False)
    with pytest.raises(KeyError):
        retry(RetryPolicy(clock=clock), action, on=ValueError)
    assert action.calls == 2
    assert clock.waits == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 599])
def test_temporary_statuses(status: int) -> None:
    """These are a timeout, too many requests, and any server error."""
    assert is_temporary_status(status)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 409, 410, 413, 428, 430, 499])
def test_final_statuses(status: int) -> None:
    """Retrying the same request would not help."""
    assert not is_temporary_status(status)


# Budgets


def test_the_budget_is_spent_from_the_first_failure_on(clock: Clock) -> None:
    """Earlier time does not count, and further failures do not reset the clock."""
    budget = RetryBudget(300, clock)
    clock.time += 10_000
    assert not budget.is_spent()
    clock.time += 299.9
    assert not budget.is_spent()
    clock.time += 0.1
    assert budget.is_spent()


def test_a_success_restores_the_budget(clock: Clock) -> None:
    """The first failure after a success has the whole time."""
    budget = RetryBudget(300, clock)
    for _ in range(5):
        assert not budget.is_spent()
        clock.time += 299
        assert not budget.is_spent()
        budget.restore()
        clock.time += 1000
    assert not budget.is_spent()


def test_an_empty_budget_is_spent_by_the_first_failure() -> None:
    """This is also true after a success."""
    budget = RetryBudget(0)
    assert budget.is_spent()
    budget.restore()
    assert budget.is_spent()


def test_threads_share_a_budget() -> None:
    """Several threads can record failures and successes concurrently."""
    budget = RetryBudget(60)
    spent: list[bool] = []

    def use() -> None:
        for _ in range(2000):
            budget.restore()
            spent.append(budget.is_spent())

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(spent) == 8000
    assert not any(spent)


def test_each_wait_is_logged_for_debugging(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """The line has the duration, the number of the try and the reason."""
    caplog.set_level("DEBUG", logger="fw_gear_dicom_send")
    policy = RetryPolicy(max_tries=3, jitter=False, clock=clock)
    with pytest.raises(OSError, match="away"):
        retry(policy, fail, on=OSError)
    assert caplog.messages == ["Try 2 follows in 1.0 s: away", "Try 3 follows in 2.0 s: away"]


def fail() -> None:
    raise OSError("away")
