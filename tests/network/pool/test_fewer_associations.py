"""Associations that do not help are released."""

import threading
from collections.abc import Callable

from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pool import ct, results_of, scu_of, send_in_threads, start
from tests.support.results import SENT
from tests.support.waiting import PATIENCE, wait_for


def four_at_first() -> Callable[[Peer], None]:
    """Return the script of a server that answers when four associations have an image."""
    together = threading.Barrier(4, timeout=PATIENCE)

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        if image.connection <= 4:
            together.wait()
        peer.answer(image)
        while True:
            peer.answer(peer.read_image())

    return script


def test_associations_that_do_not_help_are_released() -> None:
    """Of four associations two remain, and go on sending."""
    with FaultSCP(four_at_first()) as server:
        scu = scu_of(server)
        assert send_in_threads(scu, ct(*range(8)), 4) == [SENT] * 8
        scu.trim(2)
        assert send_in_threads(scu, ct(*range(8, 16)), 2) == [SENT] * 8
        assert wait_for(lambda: server.ends == ["released"] * 2)
        facts = scu.facts()
        assert (facts.connections, facts.peak) == (2, 4)
        scu.close()
        assert server.connections == 4


def test_released_associations_come_back() -> None:
    """Another association is opened when a thread needs it."""
    with FaultSCP(four_at_first()) as server:
        scu = scu_of(server)
        assert send_in_threads(scu, ct(*range(4)), 4) == [SENT] * 4
        scu.trim(0)
        assert send_in_threads(scu, ct(*range(4, 8)), 1) == [SENT] * 4
        assert wait_for(lambda: server.ends == ["released"] * 4)
        scu.trim(4)
        assert send_in_threads(scu, ct(8), 1) == [SENT]
        assert scu.facts().connections == 1
        scu.close()
        assert server.connections == 5


def test_associations_stay_while_others_are_being_opened() -> None:
    """A peer that answers two of four requests goes on with two associations."""
    end = threading.Event()

    def hang(peer: Peer) -> None:
        peer.read_request()
        end.wait(PATIENCE)

    def script(peer: Peer) -> None:
        peer.accept()
        assert wait_for(lambda: server.connections == 4)
        while True:
            peer.answer(peer.read_image())

    with FaultSCP(script, script, hang) as server:
        scu = scu_of(server)
        sending = start(scu, ct(*range(4)))
        assert wait_for(lambda: server.connections == 4)
        scu.trim(2)
        assert send_in_threads(scu, ct(*range(4, 12)), 2) == [SENT] * 8
        assert results_of(sending) == [SENT] * 4
        assert (server.connections, server.ends) == (4, [])
        end.set()
        scu.close()
