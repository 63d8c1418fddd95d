"""A server may respond before it has read the whole image, and leave."""

import socket
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.network.errors import AssociationError, LostAnswerError
from tests.support import wording
from tests.support.associations import CONTEXTS, associate, connection_to
from tests.support.fault_scp import FaultSCP, Image, Peer
from tests.support.instances import big_instance, made_instance
from tests.support.pdus import element
from tests.support.waiting import wait_for

SMALL_BUFFER = 1 << 16


def answering_early(status: int, leave: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """Return a script that responds after the command of an image and then leaves."""

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        peer.accept()
        peer.answer(peer.read_command(), status)
        leave(peer)

    return script


@pytest.mark.parametrize("leave", [Peer.abort, Peer.close, Peer.request_release])
def test_the_status_of_a_server_that_leaves_counts(leave: Callable[[Peer], None]) -> None:
    """A server that rejects an image early and then leaves has given the reason."""
    with FaultSCP(answering_early(0xA900, leave)) as server:
        assoc = associate(server)
        with connection_to(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        assert assoc.send_c_store(big_instance(8_000_000), CONTEXTS[0]).status == 0xA900
        assert not assoc.is_usable
        assoc.release()


def test_an_early_success_does_not_count() -> None:
    """A server that has not read the whole image cannot have stored it."""
    with FaultSCP(answering_early(0x0000, Peer.abort)) as server:
        assoc = associate(server)
        with connection_to(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        with pytest.raises(AssociationError, match=f"lost {wording.DURING_A_REQUEST}") as raised:
            assoc.send_c_store(big_instance(8_000_000), CONTEXTS[0])
        assert not isinstance(raised.value, LostAnswerError)


def answer_at_length(peer: Peer, image: Image) -> None:
    padding = element(0x0902, b"x" * 60_000) * 20
    peer.socket.sendall(peer.message(padding + peer.response(image)[12:]))


def flood(peer: Peer, image: Image) -> None:
    """Send endless responses, but none to the request."""
    late = peer.response(image, message_id=image.message_id + 1)
    while True:
        peer.socket.sendall(late * 100)


@pytest.mark.parametrize("misbehave", [answer_at_length, flood])
def test_endless_responses_end_the_association(
    misbehave: Callable[[Peer, Image], None],
) -> None:
    """At most 1 MiB, and at most one response per request, is accepted."""

    def script(peer: Peer) -> None:
        peer.accept()
        misbehave(peer, peer.read_image())

    with FaultSCP(script) as server:
        assoc = associate(server)
        with pytest.raises(LostAnswerError):
            assoc.send_c_store(made_instance(), CONTEXTS[0])
        assert not assoc.is_usable


def test_a_response_before_an_abort_counts() -> None:
    """The last response is more informative than the loss of the association."""

    def script(peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image(), 0xC000)
        peer.abort()

    with FaultSCP(script) as server:
        assoc = associate(server)
        assert assoc.send_c_store(made_instance(), CONTEXTS[0]).status == 0xC000
        assert wait_for(lambda: not assoc.is_usable)
        assoc.release()
