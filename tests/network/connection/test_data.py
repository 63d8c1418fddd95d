"""Data arrives complete and in order, and stops when the server ends the association."""

import io
import socket
import threading

import pytest

from fw_gear_dicom_send.network.errors import AssociationError
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.associations import CONTEXTS, associate, connection_to
from tests.support.fault_scp import A_RELEASE_RP, MAXIMUM_LENGTH, FaultSCP, Peer
from tests.support.instances import made_instance, of_source
from tests.support.sources import CountedSource
from tests.support.waiting import LONG_TIMEOUTS, PATIENCE, wait_for

SMALL_BUFFER = 1 << 16


class Counting(io.RawIOBase):
    """Consecutive 4-byte numbers, so that each part of the data is different."""

    def __init__(self) -> None:
        self._at = 0

    def seek(self, offset: int, _whence: int = 0) -> int:
        """Go to a position."""
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """Return the numbers from the current position."""
        first, skipped = divmod(self._at, 4)
        numbers = range(first, (self._at + size) // 4 + 1)
        self._at += size
        return b"".join(n.to_bytes(4, "big") for n in numbers)[skipped:][:size]


def test_data_arrives_complete_and_in_order_in_partial_writes() -> None:
    """A connection that accepts a few KB at a time receives each byte once."""
    size = 2_000_002

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        peer.accept(1 << 18)
        peer.answer(peer.read_image())
        peer.read_to_end()

    with FaultSCP(script) as server:
        assoc = associate(server)
        with connection_to(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        assert assoc.send_c_store(of_source(Counting(), size), CONTEXTS[0]).status == 0
        assoc.release()
        (image,) = server.images
    assert image.dataset == Counting().read(size)


@pytest.mark.slow
def test_a_server_that_reads_in_small_steps_does_not_time_out() -> None:
    """A write may take longer than the timeout if the server reads part of it occasionally.

    A write has 16 of the server's PDUs, which it reads in 4 s.
    """
    timeout, pause, pdus = 3.0, 0.25, 32

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER // 4)
        peer.accept()
        command = peer.read_command()
        for _ in range(pdus):
            peer.server.closing.wait(pause)
            peer.read_pdu()
        peer.answer(command)
        peer.read_to_end()

    with FaultSCP(script) as server:
        assoc = associate(server, timeouts=replace(LONG_TIMEOUTS, write=timeout))
        with connection_to(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER // 4)
        image = of_source(CountedSource(), pdus * (MAXIMUM_LENGTH - 6))
        assert assoc.send_c_store(image, CONTEXTS[0]).status == 0
        assoc.release()


def test_an_abort_within_an_image_is_noticed() -> None:
    """After an abort, the rest of the image is not sent, even if the server continues to read."""

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        peer.accept(1 << 18)
        peer.read_pdu()
        assert wait_for(lambda: source.taken > SMALL_BUFFER)
        peer.abort()
        peer.read_to_end()

    source = CountedSource()
    with FaultSCP(script) as server:
        assoc = associate(server)
        with connection_to(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        with pytest.raises(AssociationError, match=f"lost {wording.DURING_A_REQUEST}"):
            assoc.send_c_store(of_source(source, 1 << 28), CONTEXTS[0])
        assert wait_for(lambda: bool(server.ends))
    assert source.taken < 1 << 22


def test_a_status_before_the_end_of_the_image_counts() -> None:
    """A server that rejects an image early receives the rest of it, and then the next image."""

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        peer.accept(1 << 18)
        command = peer.read_command()
        peer.answer(command, 0xA700)
        peer.read_image(command)
        peer.answer(peer.read_image())
        peer.read_to_end()

    with FaultSCP(script) as server:
        assoc = associate(server)
        with connection_to(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        big = of_source(CountedSource(), 1 << 23)
        assert assoc.send_c_store(big, CONTEXTS[0]).status == 0xA700
        assert assoc.is_usable
        assert assoc.send_c_store(made_instance(), CONTEXTS[0]).status == 0
        assoc.release()
        assert len(server.images[0].dataset) == 1 << 23
        assert server.ends == ["released"]


def test_no_image_is_sent_after_a_release_request() -> None:
    """The release request is answered, and no data precedes the response."""
    answers: list[int] = []
    proceed = threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        peer.request_release()
        proceed.set()
        answers.append(peer.read_any().type)

    with FaultSCP(script) as server:
        assoc = associate(server)
        assert proceed.wait(PATIENCE)
        assert not assoc.is_usable
        assoc.release()
        assert wait_for(lambda: bool(answers))
    assert answers == [A_RELEASE_RP]
