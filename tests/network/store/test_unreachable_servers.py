"""A server that provides no association fails each image with the reason."""

import socket

import pytest

from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.fault_scp import FaultSCP, Peer, Script
from tests.support.instances import made_instance
from tests.support.results import Outcome, outcome
from tests.support.scripted import abort_on_request, accept_with_nonsense
from tests.support.sending import SCUFactory, fail_to_send, unconverted
from tests.support.waiting import LONG_TIMEOUTS, without_timeout


def test_no_connection() -> None:
    """If nothing listens, the reason has host and port, and there is no further try."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    peer = PeerAE("127.0.0.1", port, "A", "B")
    sender = StorageSCU(peer, unconverted, retry_time=0)
    message = f"{wording.CANNOT_CONNECT} 127.0.0.1 port {port}: Connection refused"
    failed = Outcome(False, Kind.NO_CONNECTION, message)
    assert outcome(sender.send(made_instance())) == failed
    with socket.create_server(("127.0.0.1", port)) as listener:
        assert outcome(sender.send(made_instance())) == failed
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def greet_as_http(peer: Peer) -> None:
    peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def reject_with_nonsense(peer: Peer) -> None:
    peer.reject(9, 9, 99)
    peer.read_to_end()


def release_request(peer: Peer) -> None:
    peer.read_pdu()
    peer.request_release()
    peer.read_to_end()


@pytest.mark.parametrize(
    "script",
    [
        Peer.close,
        Peer.reset,
        greet_as_http,
        accept_with_nonsense,
        reject_with_nonsense,
        abort_on_request,
        release_request,
    ],
)
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_does_not_speak_dicom(scu: SCUFactory, script: Script) -> None:
    """A server without a DICOM response fails soon, and the reason says so."""
    with FaultSCP(script) as server, without_timeout():
        kind, message = fail_to_send(scu(server, retry_time=0), server)
        assert server.connections == 1
    no_answer = wording.NO_VALID_ANSWER
    assert (kind, message.endswith(no_answer)) == (Kind.NO_ASSOCIATION, True) or (
        kind is Kind.NO_CONNECTION and message.endswith("Connection reset by peer")
    )


def test_a_server_that_does_not_answer_the_request(scu: SCUFactory) -> None:
    """A silent server fails after the timeout."""
    timeouts = replace(LONG_TIMEOUTS, associate=0.2)
    with FaultSCP(Peer.stall) as server:
        with without_timeout():
            kind, _ = fail_to_send(scu(server, retry_time=0, timeouts=timeouts), server)
        assert server.connections == 1
    assert kind is Kind.NO_ASSOCIATION


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70])
def test_a_host_without_an_address_is_an_error_of_the_server(host: str) -> None:
    """The check of the server names it, so that the run has a report."""
    sender = StorageSCU(PeerAE(host, 104, "A", "B"), unconverted)
    with pytest.raises(ServerError, match=f"^{wording.CANNOT_CONNECT} {host} port 104: "):
        sender.check()
