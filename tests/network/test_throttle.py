"""All associations together stay below a rate, evenly distributed."""

from collections import deque
from threading import Event, Thread

import pytest

from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.throttle import MAX_PIECE, Throttle
from fw_gear_dicom_send.network.transport import Transport
from tests.support.associations import CONTEXTS
from tests.support.clock import Clock
from tests.support.fault_scp import FaultSCP
from tests.support.instances import big_instance
from tests.support.peers import peer_of
from tests.support.waiting import LONG_TIMEOUTS, wait_for

MEGABYTE = 1_000_000
PIECE = 4096


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0, 20.0, 500.0])
def test_any_five_seconds_respect_the_rate(rate: float) -> None:
    """The rate is within 10 % from the first second on, with small enough pieces."""
    clock = Clock()
    throttle = Throttle(rate * MEGABYTE, clock)
    begun, written = clock.time, deque[tuple[float, int]]()
    while clock.time < begun + 30:
        throttle.wait(throttle.piece, lambda: False)
        written.append((clock.time, throttle.piece))
    for start in range(25):
        window = [n for at, n in written if start <= at - begun < start + 5]
        assert sum(window) == pytest.approx(5 * rate * MEGABYTE, rel=0.1)


def test_unused_rate_is_lost() -> None:
    """No burst follows a pause."""
    clock = Clock()
    throttle = Throttle(PIECE, clock)
    throttle.wait(PIECE, lambda: False)
    clock.time += 100
    begun = clock.time
    for _ in range(3):
        throttle.wait(PIECE, lambda: False)
    assert clock.time - begun == pytest.approx(2)


def test_the_rate_may_change() -> None:
    """Without a limit, nothing waits, and the pieces are as large as without a throttle."""
    clock, rates = Clock(), [PIECE]
    throttle = Throttle(lambda: rates[-1], clock)
    begun = clock.time
    for rate, seconds in ((PIECE, 1), (0, 1), (2 * PIECE, 2.5)):
        rates.append(rate)
        for _ in range(2):
            throttle.wait(PIECE, lambda: False)
        assert clock.time - begun == pytest.approx(seconds)
        assert throttle.piece == (PIECE if rate else MAX_PIECE)


def test_a_thread_with_an_ended_association_does_not_wait() -> None:
    """It continues soon after its association has ended."""
    throttle, is_over = Throttle(1), Event()
    throttle.wait(PIECE, lambda: False)
    thread = Thread(target=throttle.wait, args=(PIECE, is_over.is_set), daemon=True)
    thread.start()
    is_over.set()
    assert wait_for(lambda: not thread.is_alive())


def test_an_image_is_sent_in_small_pieces() -> None:
    """Neither PDUs nor writes exceed the size that the rate allows at a time."""
    clock = Clock()
    size, rate = 400_000, 100_000
    with FaultSCP() as server:
        transport = Transport(timeouts=LONG_TIMEOUTS, throttle=Throttle(rate, clock))
        assoc = StorageAssociation(peer_of(server), CONTEXTS, transport)
        assoc.open()
        begun = clock.time
        assert assoc.send_c_store(big_instance(size), CONTEXTS[0]).status == 0
        assoc.release()
    assert clock.time - begun == pytest.approx(size / rate, rel=0.1)
    (image,) = server.images
    assert len(image.dataset) == size
    assert max(image.fragments) <= PIECE < MAX_PIECE
