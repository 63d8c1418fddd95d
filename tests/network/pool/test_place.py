"""A place is kept free for an association that somebody else opens."""

import threading

import pytest

from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.errors import TransientRejectionError
from fw_gear_dicom_send.retry import retry
from tests.support.fault_scp import FaultSCP, Peer, serve
from tests.support.pacs import PythonSCP
from tests.support.peers import Server, peer_of
from tests.support.pool import (
    CONTEXT,
    SHORT_WAITS,
    Together,
    are_waiting,
    ct,
    limit_told,
    results_of,
    scu_of,
    send_in_threads,
    start,
)
from tests.support.results import SENT
from tests.support.waiting import PATIENCE, PATIENT, wait_for


def ask(server: Server) -> None:
    """Open an association beside those of the pool, and release it.

    A server may take a while to forget the one that was released for it.
    """
    assoc = StorageAssociation(peer_of(server), (CONTEXT,), timeouts=PATIENT)
    retry(SHORT_WAITS, assoc.open, on=TransientRejectionError)
    assoc.release()


def test_an_idle_association_makes_room() -> None:
    """A server that gives a single association can be asked between images."""
    with PythonSCP() as server:
        server.ae.maximum_associations = 1
        scu = scu_of(server, 1)
        assert send_in_threads(scu, ct(1)) == [SENT]
        with scu.place():
            ask(server)
        assert send_in_threads(scu, ct(2)) == [SENT]
        scu.close()
        assert len(server.associations) == 3


def test_an_idle_association_makes_room_beside_one_in_use() -> None:
    """There are never more than two; the one that carries an image stays."""
    together, answer = threading.Barrier(2, timeout=PATIENCE), threading.Event()

    def hold_the_third(peer: Peer) -> None:
        peer.accept()
        while True:
            image = peer.read_image()
            if image.sop_instance_uid == ct(3)[0].sop_instance_uid:
                assert answer.wait(PATIENCE)
            else:
                together.wait()
            peer.answer(image)

    with FaultSCP(hold_the_third) as server:
        scu = scu_of(server, 2)
        assert send_in_threads(scu, ct(1, 2), threads=2) == [SENT] * 2
        sending = start(scu, ct(3), threads=1)
        assert wait_for(lambda: len(server.images) == 3)
        with scu.place():
            assert scu.open_associations == 1
            assert wait_for(lambda: server.ends == ["released"])
        answer.set()
        assert results_of(sending) == [SENT]
        scu.close()


def test_all_make_room_when_none_is_in_use() -> None:
    """They would only take turns with what is opened in their place."""
    with FaultSCP(Together()) as server:
        scu = scu_of(server)
        send_in_threads(scu, ct(1, 2, 3, 4))
        with scu.place():
            assert wait_for(lambda: server.ends == ["released"] * 4)
        scu.close()


def test_what_comes_late_makes_room_as_well() -> None:
    """An association that was on its way, for an image that went another way, is released."""
    first, late = threading.Event(), threading.Event()

    def serve_at_first(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        assert first.wait(PATIENCE)
        peer.answer(image)
        peer.answer(peer.read_image())
        peer.read_to_end()

    def serve_late(peer: Peer) -> None:
        assert late.wait(PATIENCE)
        serve(peer)

    with FaultSCP(serve_at_first, serve_late) as server:
        scu = scu_of(server, 2)
        sending = start(scu, ct(1, 2), threads=2)
        assert wait_for(lambda: server.connections == 2)
        first.set()
        assert results_of(sending) == [SENT] * 2
        with scu.place():
            late.set()
            assert wait_for(lambda: server.ends == ["released"] * 2)
        scu.close()


def test_a_place_is_waited_for_in_line() -> None:
    """While the only association is in use there is none, and it comes before later images."""
    order: list[str] = []
    asked, answer = threading.Event(), threading.Event()

    def slowly(peer: Peer) -> None:
        peer.accept()
        while True:
            image = peer.read_image()
            asked.set()
            assert answer.wait(PATIENCE)
            order.append(image.sop_instance_uid.rpartition(".")[2])
            peer.answer(image)

    def take_place() -> None:
        with scu.place():
            order.append("place")

    with FaultSCP(slowly) as server:
        scu = scu_of(server, 1)
        first = start(scu, ct(1), threads=1)
        assert asked.wait(PATIENCE)
        taking = threading.Thread(target=take_place)
        taking.start()
        assert wait_for(are_waiting(scu, 1))
        second = start(scu, ct(2), threads=1)
        assert wait_for(are_waiting(scu, 2))
        answer.set()
        assert results_of(first + second) == [SENT] * 2
        taking.join(PATIENCE)
        scu.close()
    assert order == ["1", "place", "2"]


def test_a_place_that_is_refused_costs_what_is_idle(caplog: pytest.LogCaptureFixture) -> None:
    """The server gives no more than there were; what is left of them is all that is opened."""
    with FaultSCP(Together(2)) as server:
        scu = scu_of(server)
        send_in_threads(scu, ct(1, 2), threads=2)
        sending = start(scu, ct(3), threads=1)
        assert wait_for(lambda: len(server.images) == 3)
        with scu.place() as make_room:
            make_room("its limit of associations is reached")
            assert wait_for(lambda: server.ends == ["released"])
        sending += start(scu, ct(4, 5, 6), threads=3)
        assert results_of(sending) == [SENT] * 4
        assert scu.open_associations == 2
        scu.close()
    assert "Going on with 2 of 4 associations: its limit" in limit_told(caplog)


def test_a_place_is_given_back() -> None:
    """As many associations as before are opened after it, and no more."""
    with FaultSCP(Together()) as server:
        scu = scu_of(server)
        with scu.place():
            assert scu.open_associations == 0
        assert send_in_threads(scu, ct(*range(1, 9))) == [SENT] * 8
        assert scu.open_associations == 4
        scu.close()
        assert server.connections == 4


def test_no_more_than_the_rest_are_opened_beside_a_place() -> None:
    """Of four associations three are for images then."""
    with FaultSCP(Together(3)) as server:
        scu = scu_of(server)
        with scu.place():
            assert send_in_threads(scu, ct(*range(1, 7))) == [SENT] * 6
            assert scu.open_associations == 3
        scu.close()


def test_there_is_room_once_the_server_is_given_up() -> None:
    """Nothing is sent any more, so that nobody has to wait."""
    with FaultSCP(serve) as server:
        scu = scu_of(server, 1)
        scu.finish()
        with scu.place():
            ask(server)
