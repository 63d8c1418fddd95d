"""A server that disappears and returns gets as many associations as before."""

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.retry import RetryPolicy
from tests.support import wording
from tests.support.clock import Clock
from tests.support.fault_scp import FaultSCP, Peer, serve
from tests.support.pool import (
    Together,
    ct,
    is_down,
    limit_warning,
    results_of,
    scu_of,
    send_in_threads,
    start,
)
from tests.support.results import SENT, Outcome
from tests.support.scripted import AT_LIMIT, close_on_request
from tests.support.waiting import PATIENCE, wait_for


class Leaving:
    """Ends a number of associations together, in the second image of each, and stops listening."""

    def __init__(self, associations: int, then: Callable[[Peer], None] = serve) -> None:
        """Continue with the script `then`."""
        self.gone = threading.Event()
        self._most = associations
        self._together = threading.Barrier(associations, timeout=PATIENCE)
        self._then = then

    def __call__(self, peer: Peer) -> None:
        """Serve one image, and leave together with the others."""
        if peer.number > self._most:
            self._then(peer)
        peer.accept()
        peer.answer(peer.read_image())
        peer.read_image()
        if self._together.wait() == 0:
            peer.server.stop_listening()
            self.gone.set()
        self.gone.wait(PATIENCE)


def test_a_lost_server_gets_one_request_at_a_time(clock: Clock) -> None:
    """All waiting images share one request, and fail together with one reason."""
    all_leave, all_refuse = (threading.Barrier(8, timeout=PATIENCE) for _ in range(2))

    def leave(peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image())
        peer.read_image()
        all_leave.wait()

    def refuse_with_others(peer: Peer) -> None:
        all_refuse.wait()
        close_on_request(peer)

    with FaultSCP(*[leave] * 8, *[refuse_with_others] * 8, close_on_request) as server:
        policy = RetryPolicy(jitter=False, clock=clock)
        scu = scu_of(server, 8, retry_time=60, policy=policy)
        results = send_in_threads(scu, ct(*range(40)), threads=8)
        assert server.connections == 8 + 8 + 7
    assert [wait for wait in clock.waits if wait] == [1, 2, 4, 8, 15, 15, 15]
    reason = (
        f"{wording.GIVEN_UP} 60 s {wording.WITHOUT_STORED_IMAGE}: 127.0.0.1 port "
        f"{server.port} {wording.NO_VALID_ANSWER}"
    )
    assert Counter(results) == {SENT: 8, Outcome(False, Kind.GIVEN_UP, reason): 32}


def test_a_server_that_returns_gets_as_many_associations_as_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All images are sent over the configured number, and no limit is logged."""
    script = Leaving(4, then=Together(4))
    with FaultSCP(script) as server:
        scu = scu_of(server)
        sending = start(scu, ct(*range(40)))
        assert script.gone.wait(PATIENCE)
        assert wait_for(lambda: any("No association" in one for one in caplog.messages))
        server.listen()
        assert results_of(sending) == [SENT] * 40
        scu.close()
        assert server.connections == 8
    (warning,) = (one for one in caplog.messages if wording.ASSOCIATION_LOST not in one)
    assert warning.startswith(f"No association: {wording.CANNOT_CONNECT} 127.0.0.1 port ")
    assert warning.endswith(f"Connection refused. {wording.RETRYING} 600 s")


def test_a_lowered_number_is_forgotten_after_an_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that accepted only one association gets the configured number on its return."""
    is_logged, is_back, together = threading.Event(), threading.Event(), Together(4)

    def script(peer: Peer) -> None:
        if is_back.is_set():
            together(peer)
        if peer.number > 1:
            peer.reject(*AT_LIMIT)
            return
        peer.accept()
        image = peer.read_image()
        is_logged.wait(PATIENCE)
        peer.answer(image)
        peer.read_image()
        peer.server.stop_listening()

    with FaultSCP(script) as server:
        scu = scu_of(server)
        sending = start(scu, ct(*range(37)))
        warning = limit_warning(caplog)
        is_logged.set()
        assert wait_for(lambda: is_down(scu))
        is_back.set()
        server.listen()
        assert results_of(sending) == [SENT] * 37
        scu.close()
    assert warning.startswith(f"{wording.CONTINUING_WITH} 1 of 4 associations: ")
    assert (
        sum(message.startswith(f"{wording.CONTINUING_WITH} ") for message in caplog.messages) == 1
    )


def test_a_limit_from_before_the_outage_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A refusal that was not yet logged when all were lost does not count afterwards."""
    refused = threading.Semaphore(0)
    all_refused, is_back = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        if peer.number == 1:
            peer.accept()
            peer.read_image()
            all_refused.wait(PATIENCE)
        elif peer.number == 2:
            all_refused.wait(PATIENCE)
            wait_for(lambda: scu.facts().connections == 0)
        elif peer.number <= 5:
            peer.reject(*AT_LIMIT)
            refused.release()
        elif is_back.is_set() or is_down(scu):
            is_back.set()
            serve(peer)

    with FaultSCP(script) as server:
        scu = scu_of(server, 3)
        sending = start(scu, ct(*range(30)), threads=3)
        assert all(refused.acquire(timeout=PATIENCE) for _ in range(3))
        assert wait_for(lambda: ", limited to " in repr(scu))
        all_refused.set()
        assert results_of(sending) == [SENT] * 30
        scu.close()
    assert not any(message.startswith(f"{wording.CONTINUING_WITH} ") for message in caplog.messages)
