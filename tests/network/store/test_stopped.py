"""An image that is in flight when the run stops: may the server have stored it?"""

import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from fw_gear_dicom_send.delivery.results import NotSent, Suspect, Transfer
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import big_instance
from tests.support.pool import ct, scu_of, start
from tests.support.waiting import PATIENCE, wait_for

BIG = 16_000_000
"""Size of an image that does not fit in the buffers of a connection."""


def read_and_leave(peer: Peer) -> None:
    peer.accept(0)
    peer.read_image()


def read_and_stay(peer: Peer) -> None:
    peer.accept()
    peer.read_image()
    peer.read_to_end()


class ReadTheCommand:
    """Script that reads the command of an image, but not its dataset."""

    def __init__(self) -> None:
        self.has_read = Event()

    def __call__(self, peer: Peer) -> None:
        """Accept the association, read the command and stop reading."""
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        peer.accept(0)
        peer.read_command()
        self.has_read.set()
        peer.stall()


def test_an_image_that_was_written_may_be_stored() -> None:
    """Its only try got no answer, because the run stopped."""
    with FaultSCP(read_and_stay) as server:
        scu = scu_of(server, 1)
        (sending,) = start(scu, ct(1), threads=1)
        assert wait_for(lambda: len(server.images) == 1)
        scu.finish()
        scu.abort()
        result = sending.result(PATIENCE)
    assert isinstance(result, NotSent)
    assert (result.reason.kind, result.transfer.tries) == (Kind.UNANSWERED, 1)
    assert "may have stored" in result.reason.text
    assert scu.facts().losses == 0


def test_an_image_that_was_not_written_completely_is_not_stored() -> None:
    """A server cannot store an image that it did not receive to its end."""
    with FaultSCP(script := ReadTheCommand()) as server:
        scu = scu_of(server, 1)
        (sending,) = start(scu, [big_instance(BIG)], threads=1)
        assert script.has_read.wait(PATIENCE)
        scu.abort()
        result = sending.result(PATIENCE)
    assert isinstance(result, NotSent)
    assert (result.reason.kind, result.transfer.tries) == (Kind.INTERRUPTED, 1)


def test_an_earlier_try_counts_as_well() -> None:
    """The server received the image in the first try, and a part of it in the second."""
    with (
        FaultSCP(read_and_leave, script := ReadTheCommand()) as server,
        ThreadPoolExecutor() as pool,
    ):
        scu = scu_of(server, 1)
        first = scu.send(big_instance(BIG))
        assert isinstance(first, Suspect)
        sending = pool.submit(scu.send, big_instance(BIG), first)
        assert script.has_read.wait(PATIENCE)
        scu.abort()
        result = sending.result(PATIENCE)
    assert isinstance(result, NotSent)
    assert (result.reason.kind, result.transfer.tries) == (Kind.UNANSWERED, 2)


def test_an_image_that_was_not_offered_is_not_stored() -> None:
    """It waits for an association and has no try."""
    with FaultSCP(read_and_stay) as server:
        scu = scu_of(server, 1)
        _, waiting = start(scu, ct(1, 2), threads=2)
        assert wait_for(lambda: len(server.images) == 1 and " 1 waiting" in repr(scu))
        scu.abort()
        result = waiting.result(PATIENCE)
    assert isinstance(result, NotSent)
    assert (result.reason.kind, result.transfer.tries) == (Kind.NOT_REACHED, 0)


@pytest.mark.parametrize(
    ("kind", "may_be_stored", "status", "final"),
    [
        (Kind.CONNECTION_LOST, True, None, Kind.UNANSWERED),
        (Kind.CONNECTION_LOST, False, None, Kind.CONNECTION_LOST),
        (Kind.NO_ANSWER, True, None, Kind.NO_ANSWER),
        (Kind.OUT_OF_RESOURCES, True, 0xA700, Kind.OUT_OF_RESOURCES),
    ],
)
def test_a_suspect_that_is_not_resent_may_be_stored(
    kind: Kind, may_be_stored: bool, status: int | None, final: Kind
) -> None:
    """Its last answer decides; without an answer, it may be stored."""
    failure = NotSent(Reason(kind), Transfer(status, tries=2))
    stopped = Suspect(failure, 0.0, may_be_stored).stopped
    assert (stopped.reason.kind, stopped.transfer) == (final, failure.transfer)
