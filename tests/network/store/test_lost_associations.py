"""A lost association does not lose any image."""

import socket
from collections.abc import Callable
from io import BytesIO

import pytest

from fw_gear_dicom_send.delivery.results import Suspect
from fw_gear_dicom_send.reasons import Kind
from tests.support.associations import CONTEXTS, opened
from tests.support.fault_scp import A_RELEASE_RP, FaultSCP, Peer, Script, serve
from tests.support.instances import BIG, big_instance, made_instance, of_source
from tests.support.peers import peer_of
from tests.support.results import SENT, Outcome, outcome, outcomes
from tests.support.sample_files import uid_of
from tests.support.scripted import (
    abort_in_first_message,
    answering,
    answering_one,
    close_before_answer,
    close_in_first_message,
    close_within_image,
    reset_in_first_message,
)
from tests.support.sending import SCUFactory, send_all, send_and_resend
from tests.support.waiting import wait_for, without_timeout

IN_TRANSIT, SMALL, READ = 1_000_000, 1_000, 16_384
"""Sizes of images that fit into the buffers of this side and of both sides, and of the latter."""
DUPLICATE = Outcome(False, Kind.REFUSED, "status 0x0111 Duplication SOP Instance")


def lose_before_image(peer: Peer) -> None:
    peer.accept()


def release_in_image(peer: Peer) -> None:
    peer.accept()
    peer.read_pdu()
    peer.request_release()
    peer.read_to_end()


def abort_before_response(peer: Peer) -> None:
    peer.accept()
    peer.read_image()
    peer.abort()


@pytest.mark.parametrize(
    "script",
    [
        lose_before_image,
        abort_in_first_message,
        close_in_first_message,
        reset_in_first_message,
        release_in_image,
    ],
)
def test_an_image_in_flight_is_resent(scu: SCUFactory, script: Script) -> None:
    """An association lost before or within an image costs a new one, but no image."""
    with FaultSCP(script, serve) as server:
        results = send_all(scu(server), [big_instance(), made_instance()])
        assert server.connections == 2
        assert [image.connection for image in server.images] == [2, 2]
        assert server.images[0].dataset == bytes(BIG)
    assert outcomes(results) == [SENT] * 2


@pytest.mark.parametrize("script", [close_before_answer, abort_before_response])
def test_an_image_without_response_is_not_resent_at_once(scu: SCUFactory, script: Script) -> None:
    """The server may still be storing it, and some servers lose an image that arrives twice."""
    with FaultSCP(script, serve) as server:
        sender = scu(server)
        first, second = sender.send(made_instance(1)), sender.send(made_instance(2))
        assert [image.sop_instance_uid for image in server.images] == [uid_of(1), uid_of(2)]
        assert isinstance(first, Suspect)
        assert first.may_be_stored
        assert outcomes([sender.send(made_instance(1), first), second]) == [SENT] * 2


def test_a_resent_image_is_not_resent_at_once(scu: SCUFactory) -> None:
    """An image that is lost again within its second try waits for the others once more."""
    with FaultSCP(close_before_answer, close_within_image, serve) as server:
        sender = scu(server)
        first = sender.send(made_instance(1))
        assert isinstance(first, Suspect)
        second = sender.send(made_instance(1), first)
        assert isinstance(second, Suspect)
        assert second.failure.transfer.tries == 2
        assert second.may_be_stored


@pytest.mark.parametrize("script", [close_before_answer, abort_before_response])
def test_a_duplicate_on_the_resend_was_stored_before(scu: SCUFactory, script: Script) -> None:
    """Status 0111 for an image that the server had read completely means that it is stored."""
    with FaultSCP(script, answering(0x0111)) as server:
        results = send_and_resend(scu(server), [made_instance(1), made_instance(2)])
    assert outcomes(results) == [SENT, DUPLICATE]


def test_a_duplicate_after_a_rejection_is_not_sent(scu: SCUFactory) -> None:
    """The server stored nothing before, so the duplicate may be another object."""
    with FaultSCP(answering(0xA700, 0x0111)) as server:
        sender = scu(server)
        first = sender.send(made_instance(1))
        assert isinstance(first, Suspect)
        assert outcome(sender.send(made_instance(1), first)) == DUPLICATE


@pytest.mark.parametrize("leave", [Peer.abort, Peer.close, Peer.reset])
@pytest.mark.parametrize("size", [BIG, IN_TRANSIT, SMALL])
def test_a_duplicate_after_an_incomplete_image_is_not_sent(
    scu: SCUFactory, leave: Callable[[Peer], None], size: int
) -> None:
    """A server that left before the whole image had reached it cannot have stored it.

    The smaller images fit into the buffers on the way.
    """
    source = BytesIO(bytes(size))

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ)
        peer.accept()
        peer.read_pdu_of_image()
        assert size == BIG or wait_for(lambda: source.tell() == size)
        leave(peer)

    with FaultSCP(script, answering(0x0111)) as server:
        assert outcomes(send_all(scu(server), [of_source(source, size)])) == [DUPLICATE]


def test_a_duplicate_after_a_lost_response_and_a_rejection_was_stored(scu: SCUFactory) -> None:
    """The lost response may have been Success."""
    with FaultSCP(close_before_answer, answering(0xA700, 0x0111)) as server:
        sender = scu(server)
        first = sender.send(made_instance(1))
        assert isinstance(first, Suspect)
        second = sender.send(made_instance(1), first)
        assert isinstance(second, Suspect)
        assert outcome(sender.send(made_instance(1), second)) == SENT


@pytest.mark.parametrize("ending", [Peer.close, Peer.abort, Peer.reset])
def test_a_server_that_leaves_between_images_loses_nothing(
    scu: SCUFactory, ending: Callable[[Peer], None]
) -> None:
    """A connection that ends while idle is replaced; each image arrives once."""
    with FaultSCP(answering_one(ending), answering_one(ending), serve) as server:
        results = send_all(scu(server), [made_instance(n) for n in range(1, 5)])
        assert [image.connection for image in server.images] == [1, 2, 3, 3]
        assert server.connections == 3
    assert outcomes(results) == [SENT] * 4


def test_a_release_by_the_server_is_answered() -> None:
    """An idle release by the server is answered, and the next image uses a new association."""
    answers: list[int] = []

    def script(peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image())
        peer.request_release()
        answers.append(peer.read_pdu().type)

    with FaultSCP(script, serve) as server:
        assoc = opened(peer_of(server))
        assoc.send_c_store(made_instance(), CONTEXTS[0])
        assert wait_for(lambda: not assoc.is_usable)
        assoc.release()
        assert wait_for(lambda: bool(answers))
    assert answers == [A_RELEASE_RP]


def test_a_release_by_both_sides_is_a_release() -> None:
    """Release requests that cross each other are both answered (PS3.8 7.2.2.7)."""
    answers: list[int] = []

    def script(peer: Peer) -> None:
        peer.accept()
        peer.read_any()
        peer.request_release()
        answers.append(peer.read_any().type)
        peer.send_pdu(A_RELEASE_RP, bytes(4))
        peer.read_to_end()

    with FaultSCP(script) as server:
        with without_timeout():
            opened(peer_of(server)).release()
        assert answers == [A_RELEASE_RP]
        assert "aborted" not in server.ends
