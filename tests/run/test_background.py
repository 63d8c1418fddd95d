"""A pipeline's step on threads of its own."""

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
    """Return a step whose threads run."""
    return Background(*sources, ahead=ahead).start()


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


def test_items_come_in_order_and_end() -> None:
    """The consumer gets each item once, in order, made by another thread."""
    producer = Producer(500)
    assert list(started(iter(producer), ahead=3)) == list(range(500))
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
        taken.extend(started(failing(), ahead=2))
    assert caught.value is error
    assert taken == [0, 1, 2, 3, 4]


def test_the_producer_is_only_a_little_ahead() -> None:
    """With nobody to take items, `ahead` of them and the one in hand are made."""
    producer = Producer()
    step = started(iter(producer), ahead=3)
    assert wait_for(lambda: producer.made == 4, PATIENCE)
    assert not wait_for(lambda: producer.made > 4, 0.5)
    step.close()


def test_close_ends_a_producer_that_waits_for_room() -> None:
    """Closing a stage whose queue is full ends its thread soon."""
    producer = Producer()
    step = started(iter(producer), ahead=1)
    assert wait_for(lambda: producer.made == 2, PATIENCE)
    begun = time.monotonic()
    step.close()
    assert time.monotonic() - begun < 3
    assert producer.thread
    assert not producer.thread.is_alive()
    assert producer.made <= 3


def test_close_does_not_wait_for_a_slow_item() -> None:
    """An item that takes long holds up closing for a bounded time, and ends the thread."""
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
    """A consumer that still iterates when the stage is closed comes to an end."""
    step = started(iter(Producer()), ahead=3)
    for item in step:
        if item == 10:
            step.close()
    assert item < 15


def test_closing_twice_does_no_harm() -> None:
    """A stage may be closed again, and after its end."""
    step = started(iter(Producer(2)), ahead=3)
    assert list(step) == [0, 1]
    step.close()
    step.close()


# Several sources, several consumers


class Consumers:
    """Threads that take the items of one stage, and keep what they were given."""

    def __init__(self, step: Background[int], count: int) -> None:
        self.taken: list[list[int]] = [[] for _ in range(count)]
        self.errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(step, taken), daemon=True)
            for taken in self.taken
        ]
        for thread in self._threads:
            thread.start()

    def ended(self) -> bool:
        """Wait for all of them; tell whether they came to an end."""
        deadline = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, step: Background[int], taken: list[int]) -> None:
        try:
            taken.extend(step)
        except BaseException as exc:
            self.errors.append(exc)


def test_a_stage_ends_after_the_last_of_its_sources() -> None:
    """Each item of several sources comes once, in the order of its source, until all have ended."""
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


def test_each_item_goes_to_one_of_several_consumers() -> None:
    """Consumers share the items, none of which is lost or given twice, and all of them end."""
    consumers = Consumers(started(iter(range(3000)), iter(range(3000, 6000)), ahead=2), 4)
    assert consumers.ended()
    assert sorted(item for taken in consumers.taken for item in taken) == list(range(6000))
    assert consumers.errors == []


def test_each_consumer_in_wait_is_given_an_item() -> None:
    """Items that come one after the other wake as many consumers, none of which comes back."""
    gate = threading.Event()

    def source() -> Iterator[int]:
        gate.wait(PATIENCE)
        yield from range(3)
        assert wait_for(lambda: len(taken) == 3, PATIENCE)

    step = started(source(), ahead=3)
    taken: list[int] = []
    for _ in range(3):
        threading.Thread(target=lambda: taken.append(next(iter(step))), daemon=True).start()
    gate.set()
    assert wait_for(lambda: sorted(taken) == [0, 1, 2], PATIENCE)
    step.close()


def test_an_error_of_one_source_reaches_all_consumers_and_stops_the_others() -> None:
    """What one source raises is raised at each consumer; the other sources end soon."""
    gate, error = threading.Event(), ValueError("boom")
    producers = [Producer(), Producer()]

    def failing() -> Iterator[int]:
        gate.wait(PATIENCE)
        raise error
        yield

    step = started(failing(), *(iter(producer) for producer in producers), ahead=2)
    assert wait_for(lambda: sum(producer.made for producer in producers) == 4, PATIENCE)
    gate.set()
    assert all(producer.ended() for producer in producers)
    consumers = Consumers(step, 3)
    assert consumers.ended()
    assert consumers.errors == [error] * 3
    assert sum(len(taken) for taken in consumers.taken) == 4


def test_an_error_wakes_consumers_that_wait() -> None:
    """Consumers that have nothing to take learn at once of an error, while a source goes on."""
    gate, release = threading.Event(), threading.Event()

    def failing() -> Iterator[int]:
        gate.wait(PATIENCE)
        raise ValueError("boom")
        yield

    def slow() -> Iterator[int]:
        release.wait(PATIENCE)
        yield 1

    consumers = Consumers(started(failing(), slow(), ahead=2), 3)
    gate.set()
    assert consumers.ended()
    assert [str(error) for error in consumers.errors] == ["boom"] * 3
    release.set()


def test_close_wakes_all_who_wait() -> None:
    """Closing ends producers that wait for room and consumers that wait for items, at once."""
    producers = [Producer() for _ in range(3)]
    full = started(*(iter(producer) for producer in producers), ahead=1)
    assert wait_for(lambda: sum(producer.made for producer in producers) == 4, PATIENCE)
    release = threading.Event()
    empty = started((number for number in range(1) if release.wait(3 * PATIENCE)), ahead=1)
    consumers = Consumers(empty, 3)
    begun = time.monotonic()
    full.close()
    assert time.monotonic() - begun < 1.5
    assert all(producer.ended() for producer in producers)
    assert sum(producer.made for producer in producers) == 4
    closing = threading.Thread(target=empty.close)
    closing.start()
    assert consumers.ended()
    assert consumers.taken == [[], [], []]
    assert consumers.errors == []
    release.set()
    closing.join(PATIENCE)
    assert not closing.is_alive()


def test_closing_gives_what_nobody_took() -> None:
    """What was made and not taken comes back when the stage is closed, and only once."""
    step = started(iter(Producer(100)), ahead=3)
    taken = next(iter(step))
    left = step.close()
    assert [taken, *left] == list(range(len(left) + 1))
    assert 3 <= len(left) <= 5
    assert step.close() == []
