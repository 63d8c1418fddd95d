"""An invalid response to an image ends the association."""

import socket
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.fault_scp import (
    A_ASSOCIATE_RQ,
    C_ECHO_RSP,
    P_DATA_TF,
    FaultSCP,
    Image,
    Peer,
    serve,
)
from tests.support.instances import big_instance, made_instance
from tests.support.results import SENT, Outcome, outcome, outcomes
from tests.support.scripted import answer_wrong_message_id, answering_by
from tests.support.sending import SCUFactory, send_all, send_and_resend
from tests.support.waiting import LONG_TIMEOUTS, wait_for


def ask_for_echo(peer: Peer, _image: Image) -> None:
    peer.socket.sendall(peer.echo_request())


def answer_as_to_echo(peer: Peer, image: Image) -> None:
    peer.socket.sendall(peer.response(image, command=C_ECHO_RSP))


def send_garbage(peer: Peer, _image: Image) -> None:
    peer.socket.sendall(bytes(range(200, 256)) * 10)


def send_undecodable_pdu(peer: Peer, _image: Image) -> None:
    peer.send_pdu(P_DATA_TF, b"\xff" * 20)


def send_undecodable_message(peer: Peer, _image: Image) -> None:
    peer.send_pdu(P_DATA_TF, b"\0\0\0\x06\x01\x03\xff\xff\xff\xff")


def send_association_request(peer: Peer, _image: Image) -> None:
    peer.send_pdu(A_ASSOCIATE_RQ, bytes(80))


def send_half_a_pdu(peer: Peer, image: Image) -> None:
    peer.socket.sendall(peer.response(image)[:20])
    peer.socket.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    "misbehave",
    [
        answer_wrong_message_id,
        ask_for_echo,
        answer_as_to_echo,
        send_garbage,
        send_undecodable_pdu,
        send_undecodable_message,
        send_association_request,
        send_half_a_pdu,
    ],
)
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_invalid_response_ends_the_association(
    scu: SCUFactory, misbehave: Callable[[Peer, Image], None]
) -> None:
    """After an invalid response the association is not used again. The image is resent last."""
    with FaultSCP(answering_by(misbehave), serve) as server:
        results = send_and_resend(scu(server), [made_instance(1), made_instance(2)])
        assert [image.connection for image in server.images] == [1, 2, 2]
        assert len(server.ends) == 2
        assert server.ends[0] != "released"
        assert server.ends[1] == "released"
    assert outcomes(results) == [SENT] * 2


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_garbage_within_an_image_ends_the_association(scu: SCUFactory) -> None:
    """If a server sends garbage during an image, the association ends without a traceback."""

    def script(peer: Peer) -> None:
        peer.accept()
        peer.read_pdu()
        peer.socket.sendall(b"\xff" * 64)
        peer.read_to_end()

    with FaultSCP(script, serve) as server:
        assert outcomes(send_all(scu(server), [big_instance()])) == [SENT]
        assert [image.connection for image in server.images] == [2]


def test_a_duplicate_response_is_not_taken_for_the_next_image(scu: SCUFactory) -> None:
    """A response that arrives twice, early or late, does not apply to the next image."""

    def script(peer: Peer) -> None:
        peer.accept()
        first = peer.read_image()
        peer.socket.sendall(peer.response(first) * 2)
        second = peer.read_image()
        peer.socket.sendall(peer.response(first))
        peer.answer(second, 0xC000)
        peer.read_to_end()

    with FaultSCP(script) as server:
        results = send_all(scu(server), [made_instance(1), made_instance(2)])
        assert [len(server.images), server.connections] == [2, 1]
    refused = Outcome(False, Kind.REFUSED, "status 0xC000 Cannot Understand")
    assert outcomes(results) == [SENT, refused]


def test_a_pending_response_is_not_final(scu: SCUFactory) -> None:
    """The status after Pending counts; the image is not resent."""

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        peer.socket.sendall(peer.response(image, 0xFF00))
        peer.socket.sendall(peer.response(image, 0xFF01))
        peer.answer(image)
        peer.read_to_end()

    with FaultSCP(script) as server:
        results = send_all(scu(server), [made_instance(1)])
        assert len(server.images) == 1
    assert outcomes(results) == [SENT]


def test_a_server_that_never_answers_an_image(scu: SCUFactory) -> None:
    """An image without a response fails after the timeout, and so does a server without echo."""
    timeouts = replace(LONG_TIMEOUTS, response=0.2, echo=0.2)

    def script(peer: Peer) -> None:
        peer.accept()
        peer.read_to_end()

    with FaultSCP(script) as server:
        sender = scu(server, retry_time=0, timeouts=timeouts)
        (result,) = send_all(sender, [made_instance()])
        assert wait_for(lambda: server.ends == ["aborted"] * 2)
    message = f"{wording.NO_ANSWER_WITHIN} 0 s; it may have stored the image"
    assert outcome(result) == Outcome(False, Kind.NO_ANSWER, message)
