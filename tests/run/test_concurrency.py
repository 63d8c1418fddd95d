"""The number of working threads adapts to their benefit."""

import threading
from dataclasses import dataclass

import pytest

from fw_gear_dicom_send.delivery.sender import Parallel
from fw_gear_dicom_send.run.concurrency import AdaptiveLimit, ConcurrencyPolicy
from tests.support.waiting import PATIENCE, wait_for


@dataclass
class World:
    """Machine on which an image needs CPU time and a time that depends on the threads."""

    cpu: float
    rates: dict[int, float]
    now: float = 0.0
    used: float = 0.0

    def limit(self, threads: int) -> AdaptiveLimit:
        """Return a limit that uses the clocks of this machine."""
        return AdaptiveLimit(
            Parallel.of(threads), clock=lambda: self.now, cpu_clock=lambda: self.used
        )

    def run(self, limit: AdaptiveLimit, seconds: float) -> list[int]:
        """Process images for some seconds; return the allowed numbers of threads over time."""
        end, allowed = self.now + seconds, []
        while self.now < end:
            with limit.slot():
                self.now += 1 / self.rates[limit.allowed]
                self.used += self.cpu
            allowed.append(limit.allowed)
        return allowed


def share_of(number: int, allowed: list[int]) -> float:
    """Return the share of images with this number of allowed threads."""
    return allowed.count(number) / len(allowed)


def test_a_slow_server_gets_all_threads() -> None:
    """Each thread helps, because it mostly waits for the server."""
    world = World(0.0003, {1: 100, 2: 200, 3: 300, 4: 400})
    assert world.run(world.limit(4), 2)[-1] == 4


def test_threads_that_wait_are_doubled() -> None:
    """After each window, twice as many are allowed, up to the maximum."""
    world = World(0.0003, {number: 100 * number for number in range(1, 11)})
    allowed = world.run(world.limit(10), 0.4)
    assert list(dict.fromkeys(allowed)) == [1, 2, 4, 8, 10]
    assert allowed[:5] == [1, 1, 1, 1, 2]


@pytest.mark.parametrize(("cpu", "most"), [(0.0059, 2), (0.0061, 1)])
def test_threads_that_compute_are_not_doubled(cpu: float, most: int) -> None:
    """From 0.6 seconds of CPU time per second, no thread is added before the next trial."""
    world = World(cpu, {1: 100, 2: 200})
    assert max(world.run(world.limit(4), 0.4)) == most


def test_a_fast_server_gets_one_thread() -> None:
    """If each additional thread slows the others, another one is rarely tried."""
    world = World(0.0003, {1: 3000, 2: 2500, 3: 2300, 4: 2000})
    assert share_of(1, world.run(world.limit(4), 20)) > 0.9


def test_useful_threads_are_kept() -> None:
    """Unpacking uses several cores: two threads are faster than one, three are not faster."""
    world = World(0.002, {1: 450, 2: 800, 3: 810, 4: 800})
    allowed = world.run(world.limit(4), 20)
    assert share_of(1, allowed[len(allowed) // 4 :]) < 0.1


def test_a_server_that_becomes_fast_gets_fewer_threads() -> None:
    """A useful number at first may be too high later."""
    world = World(0.0003, {1: 100, 2: 200, 3: 300, 4: 400})
    limit = world.limit(4)
    world.run(limit, 2)
    world.cpu, world.rates = 0.0005, {1: 3000, 2: 2600, 3: 2300, 4: 2000}
    allowed = world.run(limit, 30)
    assert share_of(1, allowed[len(allowed) // 2 :]) > 0.8


def test_images_that_wait_for_each_other_get_all_threads() -> None:
    """If no image completes, another thread is allowed after a moment."""
    limit, together = AdaptiveLimit(Parallel.of(4)), threading.Barrier(4, timeout=PATIENCE)

    def work() -> None:
        with limit.slot():
            together.wait()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert wait_for(lambda: not any(thread.is_alive() for thread in threads))
    assert not together.broken


@pytest.mark.parametrize("number", [1, 3])
def test_a_failure_frees_its_place(number: int) -> None:
    """The exception of an image is raised, and its thread is no longer counted."""
    limit = AdaptiveLimit(Parallel.of(1))
    for _ in range(number):
        with pytest.raises(ValueError, match="bad"), limit.slot():
            raise ValueError("bad")
    with limit.slot():
        assert limit.allowed == 1


def test_waiting_threads_notice_the_end_immediately() -> None:
    """A thread that finds no more work wakes the others."""
    limit, begun = AdaptiveLimit(Parallel.of(2), ConcurrencyPolicy(window=3600)), threading.Event()

    def work() -> None:
        begun.set()
        with limit.slot():
            pass
        limit.wake_all()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    with limit.slot():
        for thread in threads:
            thread.start()
        begun.wait(PATIENCE)
        # Most of the threads are waiting now; the others do not need to.
        threads[0].join(0.2)
    limit.wake_all()
    assert wait_for(lambda: not any(thread.is_alive() for thread in threads))
