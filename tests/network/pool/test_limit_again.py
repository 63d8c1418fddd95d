"""A server that was temporarily at its limit gets more associations later."""

import logging
import threading
from collections.abc import Iterator

import pytest

from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.values import replace
from tests.support.clock import Clock
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pool import SHORT_WAITS, ct, results_of, scu_of, start
from tests.support.results import SENT
from tests.support.scripted import AT_LIMIT, rejecting
from tests.support.waiting import LONG_TIMEOUTS, PATIENCE, wait_for

TIMEOUTS = replace(LONG_TIMEOUTS, limit=60.0)


class Limited:
    """Server that serves one association, answers on command, and accepts more later."""

    def __init__(self) -> None:
        self.is_full = True
        self.requests = 0
        self._turns = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._open = 0

    def __call__(self, peer: Peer) -> None:
        """Accept the association if the limit allows it."""
        with self._lock:
            self.requests += 1
            is_accepted = not (self._open and self.is_full)
            self._open += is_accepted
        if not is_accepted:
            rejecting(AT_LIMIT)(peer)
            return
        peer.accept()
        while True:
            image = peer.read_image()
            assert self._turns.acquire(timeout=PATIENCE)
            peer.answer(image)

    def answer(self, images: int) -> None:
        """Let this many images be answered."""
        for _ in range(images):
            self._turns.release()


@pytest.fixture
def limited(caplog: pytest.LogCaptureFixture) -> Iterator[tuple[Limited, FaultSCP]]:
    caplog.set_level(logging.DEBUG, logger="fw_gear_dicom_send")
    script = Limited()
    with FaultSCP(script) as server:
        yield script, server


def scu_at(server: FaultSCP, clock: Clock) -> StorageSCU:
    return scu_of(server, 3, timeouts=TIMEOUTS, policy=replace(SHORT_WAITS, clock=clock))


def messages(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_one_more_association_is_requested_each_minute(
    limited: tuple[Limited, FaultSCP], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Once the limit allows it, the configured number is open, and the log says so."""
    script, server = limited
    scu = scu_at(server, clock)
    sending = start(scu, ct(*range(12)), threads=3)
    assert wait_for(lambda: bool(messages(caplog, logging.WARNING)))
    script.answer(2)
    assert wait_for(lambda: len(server.answers) == 2)
    before = script.requests
    script.is_full = False
    clock.time += 60
    script.answer(1)
    assert wait_for(lambda: scu.facts().connections == 3)
    script.answer(9)
    assert results_of(sending) == [SENT] * 12
    assert script.requests == before + 2
    scu.close()
    assert messages(caplog, logging.INFO) == [
        "Now using 2 of 3 associations",
        "Now using 3 of 3 associations",
    ]


def test_a_server_that_is_still_full_costs_one_request_each_minute(
    limited: tuple[Limited, FaultSCP], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The interval is at least a minute; images are sent meanwhile."""
    script, server = limited
    scu = scu_at(server, clock)
    sending = start(scu, ct(*range(12)), threads=3)
    assert wait_for(lambda: bool(messages(caplog, logging.WARNING)))
    before = script.requests
    for minute in range(3):
        script.answer(3)
        assert wait_for(lambda number=4 * minute + 3: len(server.answers) == number)  # type: ignore[misc]
        assert wait_for(lambda number=before + minute: script.requests >= number)  # type: ignore[misc]
        assert script.requests == before + minute
        clock.time += 60
        script.answer(1)
    assert results_of(sending) == [SENT] * 12
    scu.close()
    assert len(messages(caplog, logging.WARNING)) == 1
    assert messages(caplog, logging.INFO) == []
    shown = messages(caplog, logging.DEBUG)
    assert any("Still 1 of 3 associations" in one for one in shown)
