"""A server that gives no association fails each image with the reason."""

import socket
import time

import pytest

from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.network import association as upper_layer
from fw_gear_dicom_send.network.association import resolve
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import PeerAE
from tests.support.fault_scp import FaultSCP, Peer, Script
from tests.support.instances import made_instance
from tests.support.scripted import abort_on_request, accept_with_nonsense
from tests.support.sending import SCUFactory, fail_to_send

SOON = 5.0


def test_no_connection() -> None:
    """Where nothing listens it says so, with host and port, and tries no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    peer = PeerAE("127.0.0.1", port, "A", "B")
    sender = StorageSCU(peer, lambda *_: Unreadable(""), retry_time=0)
    first = sender.send(made_instance())
    assert first.remark == f"cannot connect to 127.0.0.1 port {port}: Connection refused"
    with socket.create_server(("127.0.0.1", port)) as listener:
        assert sender.send(made_instance()) == first
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
def test_what_is_no_dicom_server(scu: SCUFactory, script: Script) -> None:
    """Whatever does not answer as a DICOM server does fails soon, and the reason says so."""
    begun = time.monotonic()
    with FaultSCP(script) as server:
        reason = fail_to_send(scu(server, retry_time=0), server)
        assert server.connections == 1
    no_answer = "did not answer the association request as a DICOM server does"
    assert reason.endswith((no_answer, "Connection reset by peer"))
    assert time.monotonic() - begun < SOON


def test_a_server_that_does_not_answer_the_request(
    scu: SCUFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that says nothing at all is given up after the timeout."""
    monkeypatch.setattr(upper_layer, "ASSOCIATE_TIMEOUT", 0.2)
    with FaultSCP(Peer.stand_still) as server:
        begun = time.monotonic()
        fail_to_send(scu(server, retry_time=0), server)
        assert time.monotonic() - begun < 3.0
        assert server.connections == 1


def test_a_host_that_cannot_be_resolved_is_an_error_in_the_configuration() -> None:
    """A name without address fails before anything is done; addresses need no name."""
    for host in ("127.0.0.1", "::1", "localhost"):
        resolve(PeerAE(host, 104, "A", "B"))
    for host in ("no-such-host.invalid", "a..b", "x" * 70):
        with pytest.raises(ConfigError, match=r"^destination: "):
            resolve(PeerAE(host, 104, "A", "B"))
