"""Work on separate threads, whose results one thread consumes."""

import threading
import time
from collections.abc import Iterator
from typing import TypeVar

import pytest

from fw_gear_dicom_send.run.background import Background
from tests.support.waiting import wait_for

PATIENCE = 10.0
T = TypeVar("T")


def started(*sources: Iterator[T], ahead: int) -> Background[T]:
    """Return a stage with running threads."""
    return Background(*sources, ahead=ahead).start()


class Producer:
    """Producer that yields numbers and shows its progress."""

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


def test_items_are_returned_in_order() -> None:
    """The consumer receives each item once, in order, produced by another thread."""
    producer = Producer(500)
    assert list(started(iter(producer), ahead=3)) == list(range(500))
    assert producer.ended()
    assert producer.thread is not threading.current_thread()


@pytest.mark.parametrize("error", [ValueError("boom"), KeyboardInterrupt()])
def test_an_error_of_the_producer_is_raised_at_the_consumer(error: BaseException) -> None:
    """The same exception is raised after the items produced before it."""

    def failing() -> Iterator[int]:
        yield from range(5)
        raise error

    taken: list[int] = []
    with pytest.raises(type(error)) as caught:
        taken.extend(started(failing(), ahead=2))
    assert caught.value is error
    assert taken == [0, 1, 2, 3, 4]


def test_the_producer_is_only_a_little_ahead() -> None:
    """Without a consumer, only `ahead` items are produced."""
    producer = Producer()
    step = started(iter(producer), ahead=3)
    assert wait_for(lambda: producer.made == 3, PATIENCE)
    assert not wait_for(lambda: producer.made > 3, 0.5)
    step.close()


def test_close_ends_a_producer_that_waits_for_room() -> None:
    """Closing a stage whose queue is full ends its thread soon."""
    producer = Producer()
    step = started(iter(producer), ahead=1)
    assert wait_for(lambda: producer.made == 1, PATIENCE)
    begun = time.monotonic()
    step.close()
    assert time.monotonic() - begun < 3
    assert producer.thread
    assert not producer.thread.is_alive()
    assert producer.made <= 2


def test_close_does_not_wait_for_a_slow_item() -> None:
    """A slow item delays closing for a limited time, and its thread ends."""
    release = threading.Event()
    producer = Producer()

    def slow() -> Iterator[int]:
        for item in producer:
            release.wait(PATIENCE)
            yield item

    step = started(slow(), ahead=1)
    assert wait_for(lambda: producer.made == 1, PATIENCE)
    begun = time.monotonic()
    step.close(0.2)
    assert time.monotonic() - begun < 3
    release.set()
    assert producer.ended()
    assert producer.made == 1


def test_a_closed_stage_has_no_more_items() -> None:
    """A consumer that iterates when the stage is closed reaches the end."""
    step = started(iter(Producer()), ahead=3)
    for item in step:
        if item == 10:
            step.close()
    assert item < 15


def test_closing_twice_is_harmless() -> None:
    """A stage can be closed again, also after its end."""
    step = started(iter(Producer(2)), ahead=3)
    assert list(step) == [0, 1]
    step.close()
    step.close()


# Several sources


def test_a_stage_ends_after_the_last_of_its_sources() -> None:
    """Each item of several sources is returned once, in its source's order, until all end."""
    gate = threading.Event()

    def late() -> Iterator[int]:
        gate.wait(PATIENCE)
        yield from range(200, 210)

    step = started(iter(range(100)), iter(range(100, 200)), late(), ahead=3)
    items = iter(step)
    taken = [next(items) for _ in range(200)]
    gate.set()
    taken += items
    assert sorted(taken) == list(range(210))
    assert [item for item in taken if item < 100] == list(range(100))
    assert [item for item in taken if 100 <= item < 200] == list(range(100, 200))


def test_several_sources_are_only_a_little_ahead() -> None:
    """Each produces at most one more item when there are enough."""
    producers = [Producer() for _ in range(4)]
    step = started(*map(iter, producers), ahead=3)
    assert wait_for(lambda: sum(producer.made for producer in producers) >= 3, PATIENCE)
    assert not wait_for(lambda: sum(producer.made for producer in producers) > 6, 0.5)
    assert len(step.close()) <= 6
    assert all(producer.ended() for producer in producers)


def test_an_error_of_one_source_stops_the_others() -> None:
    """An error of one source is raised at the consumer; the other sources end soon."""
    gate, error = threading.Event(), ValueError("boom")
    producers = [Producer(), Producer()]

    def failing() -> Iterator[int]:
        gate.wait(PATIENCE)
        raise error
        yield

    step = started(failing(), *(iter(producer) for producer in producers), ahead=2)
    assert wait_for(lambda: sum(producer.made for producer in producers) >= 2, PATIENCE)
    gate.set()
    assert all(producer.ended() for producer in producers)
    taken: list[int] = []
    with pytest.raises(ValueError, match="boom") as caught:
        taken.extend(step)
    assert caught.value is error
    assert len(taken) == sum(producer.made for producer in producers)


def test_an_error_wakes_a_consumer_that_waits() -> None:
    """A consumer that waits for items receives an error while another source continues."""
    release = threading.Event()

    def failing() -> Iterator[int]:
        raise ValueError("boom")
        yield

    def slow() -> Iterator[int]:
        release.wait(PATIENCE)
        yield 1

    step = started(failing(), slow(), ahead=2)
    with pytest.raises(ValueError, match="boom"):
        next(iter(step))
    release.set()
    step.close()


def test_close_wakes_all_waiting_threads() -> None:
    """Closing immediately ends producers that wait for room and consumers that wait for items."""
    producers = [Producer() for _ in range(3)]
    full = started(*(iter(producer) for producer in producers), ahead=1)
    assert wait_for(lambda: all(producer.made == 1 for producer in producers), PATIENCE)
    release = threading.Event()
    empty = started((number for number in range(1) if release.wait(3 * PATIENCE)), ahead=1)
    taken: list[int] = []
    consumer = threading.Thread(target=lambda: taken.extend(empty), daemon=True)
    consumer.start()
    begun = time.monotonic()
    full.close()
    assert time.monotonic() - begun < 1.5
    assert all(producer.ended() for producer in producers)
    empty.stop()
    consumer.join(PATIENCE)
    assert not consumer.is_alive()
    assert taken == []
    release.set()
    empty.close()


def test_closing_returns_unconsumed_items() -> None:
    """Produced items that were not consumed are returned once when the stage is closed."""
    step = started(iter(Producer(100)), ahead=3)
    taken = next(iter(step))
    left = step.close()
    assert [taken, *left] == list(range(len(left) + 1))
    assert 2 <= len(left) <= 4
    assert step.close() == []
