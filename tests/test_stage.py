"""A pipeline's step on a thread of its own."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fw_gear_dicom_send import stage
from fw_gear_dicom_send.stage import Stage

PATIENCE = 10.0


class Producer:
    """Yields numbers, and tells how far it came."""

    def __init__(self, count: int = 1_000_000) -> None:
        self.made = 0
        self.thread: threading.Thread | None = None
        self.count = count

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers."""
        self.thread = threading.current_thread()
        for number in range(self.count):
            self.made += 1
            yield number

    def ended(self) -> bool:
        assert self.thread
        self.thread.join(PATIENCE)
        return not self.thread.is_alive()


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def test_items_come_in_order_and_end() -> None:
    """The consumer gets each item once, in order, made by another thread."""
    producer = Producer(500)
    assert list(Stage(iter(producer), ahead=3)) == list(range(500))
    assert producer.ended()
    assert producer.thread is not threading.current_thread()


@pytest.mark.parametrize("error", [ValueError("boom"), KeyboardInterrupt()])
def test_what_the_producer_raises_is_raised_at_the_consumer(error: BaseException) -> None:
    """An exception comes as itself, after the items that were made before it."""

    def failing() -> Iterator[int]:
        yield from range(5)
        raise error

    taken: list[int] = []
    with pytest.raises(type(error)) as caught:
        taken.extend(Stage(failing(), ahead=2))
    assert caught.value is error
    assert taken == [0, 1, 2, 3, 4]


def test_the_producer_is_only_a_little_ahead() -> None:
    """With nobody to take items, `ahead` of them and the one in hand are made."""
    producer = Producer()
    step = Stage(iter(producer), ahead=3)
    assert wait_for(lambda: producer.made == 4)
    assert not wait_for(lambda: producer.made > 4, 0.5)
    step.close()


def test_close_ends_a_producer_that_waits_for_room() -> None:
    """Closing a stage whose queue is full ends its thread soon."""
    producer = Producer()
    step = Stage(iter(producer), ahead=1)
    assert wait_for(lambda: producer.made == 2)
    begun = time.monotonic()
    step.close()
    assert time.monotonic() - begun < 3
    assert producer.thread
    assert not producer.thread.is_alive()
    assert producer.made <= 3


def test_close_does_not_wait_for_a_slow_item(monkeypatch: pytest.MonkeyPatch) -> None:
    """An item that takes long holds up closing for a bounded time, and ends the thread."""
    monkeypatch.setattr(stage, "_LONGEST_GOODBYE", 0.2)
    release = threading.Event()
    producer = Producer()

    def slow() -> Iterator[int]:
        for item in producer:
            release.wait(PATIENCE)
            yield item

    step = Stage(slow(), ahead=1)
    assert wait_for(lambda: producer.made == 1)
    begun = time.monotonic()
    step.close()
    assert time.monotonic() - begun < 3
    release.set()
    assert producer.ended()
    assert producer.made == 1


def test_a_closed_stage_has_no_more_items() -> None:
    """A consumer that still iterates when the stage is closed comes to an end."""
    step = Stage(iter(Producer()), ahead=3)
    for item in step:
        if item == 10:
            step.close()
    assert item < 15


def test_closing_twice_does_no_harm() -> None:
    """A stage may be closed again, and after its end."""
    step = Stage(iter(Producer(2)), ahead=3)
    assert list(step) == [0, 1]
    step.close()
    step.close()
