"""A server that provides no association fails all images for one reason."""

import socket
import threading
import time

import pytest

from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.clock import Clock
from tests.support.fault_scp import FaultSCP, serve
from tests.support.pool import SHORT_WAITS, ct, pool_of, scu_of, send_in_threads, threads_ended
from tests.support.results import SENT, Outcome, reason_with
from tests.support.scripted import AT_LIMIT, CONGESTED, UNKNOWN_CALLED_AE, rejecting
from tests.support.sending import unconverted
from tests.support.waiting import NEVER, wait_for, without_timeout


def test_a_missing_server(caplog: pytest.LogCaptureFixture) -> None:
    """All threads fail for the same reason, and no connection follows."""
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    peer = PeerAE("127.0.0.1", port, "A", "B")
    scu = StorageSCU(peer, unconverted, associations=4, retry_time=0)
    reason = f"{wording.CANNOT_CONNECT} 127.0.0.1 port {port}: Connection refused"
    failed = Outcome(False, Kind.NO_CONNECTION, reason)
    assert send_in_threads(scu, ct(*range(12))) == [failed] * 12
    assert wait_for(threads_ended(before))
    with socket.create_server(("127.0.0.1", port)) as listener:
        assert send_in_threads(scu, ct(1, 2, 3, 4)) == [failed] * 4
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert caplog.records == []


def test_a_permanent_rejection_ends_all_threads() -> None:
    """A server that does not know an AE title gets at most one request from each thread."""
    before = set(threading.enumerate())
    with FaultSCP(rejecting(UNKNOWN_CALLED_AE)) as server:
        scu = scu_of(server)
        results = send_in_threads(scu, ct(*range(12)))
        assert wait_for(threads_ended(before))
        connections = server.connections
        assert connections <= 4
        assert send_in_threads(scu, ct(1, 2, 3, 4)) == results[:4]
        assert server.connections == connections
    reason = (
        f"127.0.0.1 port {server.port} {wording.REJECTED}: {wording.UNKNOWN_CALLED_AE} 'CALLED'"
    )
    assert set(results) == {Outcome(False, Kind.UNKNOWN_CALLED_AE, reason)}


def test_transient_rejections_are_waited_out() -> None:
    """A server that is temporarily at its limit receives all images later."""
    with FaultSCP(*[rejecting(AT_LIMIT)] * 6, serve) as server:
        scu = scu_of(server)
        assert send_in_threads(scu, ct(*range(20))) == [SENT] * 20
        scu.close()
        assert server.connections > 6
        assert len(server.images) == 20


def test_persistent_rejections_exhaust_the_retry_time(clock: Clock) -> None:
    """After the retry time all images fail for that reason."""
    with FaultSCP(rejecting(CONGESTED)) as server:
        results = send_in_threads(
            scu_of(server, retry_time=1, policy=replace(SHORT_WAITS, clock=clock)), ct(*range(12))
        )
    reason = (
        f"{wording.GIVEN_UP} 1 s {wording.WITHOUT_STORED_IMAGE}: 127.0.0.1 port {server.port} "
        f"{wording.REJECTED}: {wording.CONGESTED}"
    )
    assert set(results) == {Outcome(False, Kind.GIVEN_UP, reason)}


def test_a_waiting_thread_is_woken_at_the_end_of_the_run() -> None:
    """The wait between two tries of an image does not outlast the run."""
    with FaultSCP() as server:
        pool = pool_of(server, 1)
        begun = time.monotonic()
        threading.Timer(0.1, pool.give_up, [reason_with("enough")]).start()
        with without_timeout():
            pool.wait(NEVER)
        assert time.monotonic() - begun >= 0.1
