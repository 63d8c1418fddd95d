"""A server that accepts fewer associations than configured receives all images."""

import contextlib
import threading
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.network.contexts import ECHO
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.retry import MonotonicClock, RetryPolicy
from tests.support import wording
from tests.support.fault_scp import A_RELEASE_RP, FaultSCP, Peer, PeerLeftError, serve
from tests.support.instances import made_instance
from tests.support.pacs import CStore, PythonSCP, StoreSCP
from tests.support.pool import (
    CONTEXT,
    MR,
    are_waiting,
    ct,
    limit_warning,
    pool_of,
    results_of,
    scu_of,
    send_in_threads,
    start,
)
from tests.support.results import SENT, outcome
from tests.support.scripted import AT_LIMIT
from tests.support.waiting import PATIENCE, wait_for, without_timeout


def test_a_limit_of_the_server_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """With two of four associations all images are sent; one warning has the reason."""
    proceed = threading.Event()

    def hold(_: CStore) -> int:
        proceed.wait(PATIENCE)
        return 0x0000

    server = PythonSCP(status=hold)
    server.ae.maximum_associations = 2
    with server:
        scu = scu_of(server)
        images = [made_instance(n, StudyInstanceUID=f"1.2.{n}") for n in range(40)]
        first = start(scu, images[:20], threads=2)
        assert wait_for(lambda: len(server.stored) == 2)
        second = start(scu, images[20:], threads=2)
        message = limit_warning(caplog)
        proceed.set()
        assert results_of(first + second) == [SENT] * 40
        assert {record.association for record in server.stored} == {1, 2}
        assert 4 <= len(server.associations) <= 8
        assert outcome(scu.send(made_instance(40, SOPClassUID=MR))) == SENT
        scu.close()
    assert message == (
        f"{wording.CONTINUING_WITH} 2 of 4 associations: 127.0.0.1 port {server.port} "
        f"{wording.REJECTED}: {wording.LIMIT_REACHED}"
    )
    assert len(caplog.records) == 1


def test_a_server_that_refuses_further_connections(caplog: pytest.LogCaptureFixture) -> None:
    """If only the first connection is accepted, it carries all images, and the log says so."""
    is_deaf, proceed = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        peer.server.stop_listening()
        is_deaf.set()
        proceed.wait(PATIENCE)
        peer.answer(image)
        while True:
            peer.answer(peer.read_image())

    with FaultSCP(script) as server:
        scu = scu_of(server)
        first = start(scu, ct(*range(5)), threads=1)
        assert is_deaf.wait(PATIENCE)
        second = start(scu, ct(*range(5, 30)), threads=3)
        message = limit_warning(caplog)
        proceed.set()
        assert results_of(first + second) == [SENT] * 30
        scu.close()
        assert server.connections == 1
    assert message == (
        f"{wording.CONTINUING_WITH} 1 of 4 associations: {wording.CANNOT_CONNECT} 127.0.0.1 "
        f"port {server.port}: Connection refused"
    )
    assert len(caplog.records) == 1


def serve_after(peer: Peer, proceed: threading.Event) -> None:
    """Answer each image, but none before an event."""
    while True:
        image = peer.read_image()
        proceed.wait(PATIENCE)
        peer.answer(image)


class HeldClock(MonotonicClock):
    """Clock on which every sleep lasts until the end of the test."""

    def __init__(self) -> None:
        self.is_slept = threading.Event()
        self.is_over = threading.Event()

    def sleep(self, _: float) -> None:
        """Sleep."""
        self.is_slept.set()
        self.is_over.wait(PATIENCE)


def test_a_limit_under_retry_is_logged_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A run may end between two requests for one more association."""
    clock, proceed = HeldClock(), threading.Event()

    def script(peer: Peer) -> None:
        if peer.number > 1:
            peer.reject(*AT_LIMIT)
            return
        peer.accept()
        serve_after(peer, proceed)

    with FaultSCP(script) as server:
        scu = scu_of(server, 2, policy=RetryPolicy(clock=clock))
        sending = start(scu, ct(1, 2), threads=2)
        assert clock.is_slept.wait(PATIENCE)
        assert caplog.messages == []
        proceed.set()
        assert results_of(sending) == [SENT] * 2
        scu.close()
        clock.is_over.set()
    assert caplog.messages == [
        (
            f"{wording.CONTINUING_WITH} 1 of 2 associations: 127.0.0.1 port {server.port} "
            f"{wording.REJECTED}: {wording.LIMIT_REACHED}"
        )
    ]


@pytest.mark.parametrize("threads", [2, 5])
def test_a_single_refused_association_is_retried(threads: int) -> None:
    """Others are not requested meanwhile. As soon as the server accepts it, they follow."""
    clock, proceed, is_free = HeldClock(), threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        if peer.number > 1 and not is_free.is_set():
            assert wait_for(lambda: peer.server.connections == threads)
            peer.reject(*AT_LIMIT)
            return
        peer.accept()
        serve_after(peer, proceed)

    with FaultSCP(script) as server:
        scu = scu_of(server, 8, policy=RetryPolicy(clock=clock))
        sending = start(scu, ct(*range(10)), threads=1)
        assert wait_for(lambda: "1 lent" in repr(scu))
        sending += start(scu, ct(*range(10, 20)), threads=threads - 1)
        assert wait_for(lambda: f"1 lent, 1 opening, {threads - 1} waiting" in repr(scu))
        assert clock.is_slept.wait(PATIENCE)
        sending += start(scu, ct(*range(20, 30)), threads=8 - threads)
        assert wait_for(are_waiting(scu, 7))
        assert server.connections == threads
        is_free.set()
        clock.is_over.set()
        assert wait_for(lambda: scu.facts().connections == 8)
        proceed.set()
        assert results_of(sending) == [SENT] * 30
        scu.close()


@pytest.mark.parametrize("end", [Peer.abort, Peer.close])
def test_a_server_that_ends_further_associations(end: Callable[[Peer], None]) -> None:
    """The gear sends all images over the association that the server keeps."""
    serving, is_ended = threading.Lock(), threading.Event()

    def script(peer: Peer) -> None:
        is_served = serving.acquire(blocking=False)
        peer.accept()
        if not is_served:
            end(peer)
            is_ended.set()
            return
        peer.answers_release = False
        with contextlib.suppress(PeerLeftError):
            serve_after(peer, is_ended)
        serving.release()
        peer.send_pdu(A_RELEASE_RP, bytes(4))

    with FaultSCP(script) as server:
        scu = scu_of(server, 2, retry_time=PATIENCE)
        assert results_of(start(scu, ct(*range(20)), threads=2)) == [SENT] * 20
        scu.close()


def test_a_lost_image_is_resent_where_the_server_answers() -> None:
    """An association that has answered since is not replaced: no other would be accepted."""

    def end(peer: Peer) -> None:
        peer.accept()
        peer.read_image()
        peer.server.stop_listening()
        peer.abort()

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        assert wait_for(lambda: "1 waiting, limited to 1" in repr(scu))
        peer.answer(image)
        while True:
            peer.answer(peer.read_image())

    with FaultSCP(script, end) as server:
        scu = scu_of(server, 2)
        assert results_of(start(scu, ct(*range(20)), threads=2)) == [SENT] * 20
        scu.close()
        assert server.connections == 2


def test_a_server_that_ends_all_associations_is_not_limited() -> None:
    """None of them had an answer, so no number of them is known to work."""
    together = threading.Barrier(2, timeout=PATIENCE)

    def end(peer: Peer) -> None:
        peer.accept()
        peer.read_image()
        together.wait()
        peer.abort()

    with FaultSCP(end, end, serve) as server:
        scu = scu_of(server, 2)
        assert results_of(start(scu, ct(*range(20)), threads=2)) == [SENT] * 20
        assert not scu.facts().is_refused
        scu.close()


def test_the_end_of_a_run_is_no_limit() -> None:
    """The run may abort an association without an answer before one that had an answer."""
    with FaultSCP() as server:
        pool = pool_of(server, 2)
        with pool.association(CONTEXT) as assoc:
            assoc.send_c_echo(ECHO)
            pool.abort()
            pool.note_unserved(Reason(Kind.CONNECTION_LOST))
            assert not pool.is_limited


def test_a_server_that_delays_further_associations(caplog: pytest.LogCaptureFixture) -> None:
    """If the server serves one association at a time, nothing ever waits for the others."""
    with StoreSCP("+xa") as server:
        scu = scu_of(server)
        with without_timeout():
            assert send_in_threads(scu, [made_instance(n) for n in range(40)]) == [SENT] * 40
            scu.close()
        assert len(server.received()) == 40
    assert caplog.records == []
