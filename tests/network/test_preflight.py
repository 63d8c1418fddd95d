"""A server that cannot be sent to is told in seconds, with what to check."""

import socket
import ssl
import time
from collections.abc import Callable

import pytest
import trustme
from pynetdicom import evt

from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network import association as upper_layer
from fw_gear_dicom_send.network.preflight import check
from fw_gear_dicom_send.network.types import PeerAE
from tests.support.fault_scp import (
    A_ASSOCIATE_AC,
    MAXIMUM_LENGTH,
    PDU,
    FaultSCP,
    Peer,
    Script,
    serve,
)
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP

SOON = 5.0
CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
CHECK_TITLES = ": check called_ae and calling_ae, and that the server knows both"
CHECK_PORT = (
    ": check that destination and port are those of a DICOM server, and whether it takes TLS only"
)
CHECK_REACH = (
    ": check destination and port, that the server runs, and that no firewall is in between"
)
TRY_LATER = ": try again later, or have its limit of associations raised"


def peer_of(server: FaultSCP | PythonSCP | StoreSCP | Orthanc) -> PeerAE:
    return PeerAE("127.0.0.1", server.port, "CALLED", "CALLING")


def failure(peer: PeerAE, seconds: float = SOON, patience: float = 10) -> str:
    """Return the one line in which a check fails, soon."""
    begun = time.monotonic()
    with pytest.raises(ServerError) as caught:
        check(peer, patience=patience)
    assert time.monotonic() - begun < seconds
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"127.0.0.1 port {peer.port} ")


# Servers that are as they should be


def test_a_server_is_verified_and_released() -> None:
    """One association, one C-ECHO, one release, and nothing is sent."""
    echoes: list[object] = []
    handlers = [(evt.EVT_C_ECHO, lambda event: (echoes.append(event), 0x0000)[1])]
    with PythonSCP(handlers=handlers) as server:
        check(peer_of(server))
        assert (len(server.associations), server.released, server.aborted) == (1, 1, 0)
        (request,) = server.associations
        assert (request.called_ae, request.calling_ae) == ("CALLED", "CALLING")
        assert len(echoes) == 1
        assert server.stored == ()


def test_orthanc_and_storescp_pass(
    orthanc: Orthanc, storescp: StoreSCP, caplog: pytest.LogCaptureFixture
) -> None:
    """Real servers pass without a word."""
    check(peer_of(orthanc))
    check(peer_of(storescp))
    assert caplog.records == []


def test_a_server_without_verification_passes(caplog: pytest.LogCaptureFixture) -> None:
    """One that accepts the association but no C-ECHO can be sent to: nothing is asked."""
    server = PythonSCP({CT: [EXPLICIT]})
    server.ae.remove_supported_context("1.2.840.10008.1.1")
    with server:
        check(peer_of(server))
        assert len(server.associations) == 1
    assert caplog.records == []


def test_a_status_of_the_echo_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A server that refuses the C-ECHO may still take images."""
    with PythonSCP(handlers=[(evt.EVT_C_ECHO, lambda _: 0x0122)]) as server:
        check(peer_of(server))
        assert server.released == 1
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == "The server answers a C-ECHO with status 0x0122"


@pytest.mark.parametrize("limit", [None, 0, 1, 16, MAXIMUM_LENGTH])
def test_an_echo_fits_the_server(limit: int | None) -> None:
    """The request keeps within the server's limit of a PDU (PS3.8 D.1)."""
    bodies: list[int] = []

    def script(peer: Peer) -> None:
        peer.accept(limit)
        peer.read_pdu = counting(peer.read_pdu, bodies)
        peer.read_command()

    with FaultSCP(script) as server:
        check(peer_of(server))
        assert server.ends == ["released"]
    assert max(bodies) <= max(limit or MAXIMUM_LENGTH, 16)


def counting(read: Callable[[], PDU], bodies: list[int]) -> Callable[[], PDU]:
    def read_and_count() -> PDU:
        pdu = read()
        bodies.append(len(pdu.body))
        return pdu

    return read_and_count


# Servers that cannot be had


def test_where_nothing_listens() -> None:
    """A refused connection names host and port, and what may be the cause."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reason = f"cannot connect to 127.0.0.1 port {port}: Connection refused"
    assert failure(PeerAE("127.0.0.1", port, "A", "B")) == reason + CHECK_REACH


def test_a_connection_that_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that drops what it is sent is given up after the timeout."""
    monkeypatch.setattr(upper_layer, "ASSOCIATE_TIMEOUT", 0.3)
    with FaultSCP(Peer.stand_still) as server:
        told = failure(peer_of(server))
    assert told == "did not answer the association request as a DICOM server does" + CHECK_PORT


def greet_as_http(peer: Peer) -> None:
    peer.read_pdu()
    peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def close_on_request(peer: Peer) -> None:
    peer.read_pdu()


def reset_on_request(peer: Peer) -> None:
    peer.read_pdu()
    peer.reset()


def accept_with_nonsense(peer: Peer) -> None:
    peer.read_pdu()
    peer.send_pdu(A_ASSOCIATE_AC, b"\xff" * 100)
    peer.read_to_end()


def abort_on_request(peer: Peer) -> None:
    peer.read_pdu()
    peer.abort()


@pytest.mark.parametrize(
    "script",
    [greet_as_http, close_on_request, reset_on_request, accept_with_nonsense, abort_on_request],
)
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_is_no_dicom_server(script: Script) -> None:
    """Whatever does not answer as a DICOM server does is asked once, and told to be so."""
    with FaultSCP(script) as server:
        told = failure(peer_of(server))
        assert server.connections == 1
    assert told == "did not answer the association request as a DICOM server does" + CHECK_PORT


def test_a_server_that_takes_tls_only() -> None:
    """The line says that TLS may be what is missing."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def shake_hands(peer: Peer) -> None:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(peer.socket, server_side=True)

    with FaultSCP(shake_hands) as server:
        told = failure(peer_of(server))
    assert told == "did not answer the association request as a DICOM server does" + CHECK_PORT


@pytest.mark.parametrize(
    ("rejection", "reason"),
    [
        ((1, 1, 3), "it does not know the calling AE title 'CALLING'"),
        ((1, 1, 7), "it does not know the called AE title 'CALLED'"),
        ((1, 1, 2), "it does not support the DICOM application context"),
        ((1, 1, 1), "it gives no reason"),
    ],
)
def test_a_rejection_is_told_at_once(rejection: tuple[int, int, int], reason: str) -> None:
    """A permanent rejection is asked for once, and says which title is wrong."""
    with FaultSCP(lambda peer: peer.reject(*rejection), serve) as server:
        told = failure(peer_of(server), seconds=2)
        assert server.connections == 1
    assert told == f"rejected the association: {reason}{CHECK_TITLES}"


def reject_for_now(peer: Peer) -> None:
    peer.reject(2, 3, 2)


def test_a_transient_rejection_is_waited_out() -> None:
    """A server at its limit for a moment passes later."""
    with FaultSCP(reject_for_now, reject_for_now, serve) as server:
        check(peer_of(server))
        assert server.connections == 3


def test_a_transient_rejection_that_goes_on_is_told() -> None:
    """After the time for it the reason is told, with another advice."""
    with FaultSCP(reject_for_now) as server:
        told = failure(peer_of(server), patience=0.5)
        assert server.connections > 1
    assert told == f"rejected the association: its limit of associations is reached{TRY_LATER}"


# An echo that goes wrong


def accept_and_stand_still(peer: Peer) -> None:
    peer.accept()
    peer.stand_still()


def close_on_echo(peer: Peer) -> None:
    peer.accept()
    peer.read_pdu()


def abort_on_echo(peer: Peer) -> None:
    peer.accept()
    peer.read_pdu()
    peer.abort()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (accept_and_stand_still, "the server gave no answer in 0 s"),
        (close_on_echo, "the connection was lost before the answer to a request"),
        (abort_on_echo, "the connection was lost before the answer to a request"),
    ],
)
def test_an_echo_that_is_not_answered(
    monkeypatch: pytest.MonkeyPatch, script: Script, reason: str
) -> None:
    """A server that takes the association and answers nothing is no server to send to."""
    monkeypatch.setattr(upper_layer, "ECHO_TIMEOUT", 0.3)
    monkeypatch.setattr(upper_layer, "ABORT_TIMEOUT", 0.3)
    with FaultSCP(script) as server:
        told = failure(peer_of(server))
    assert told.startswith(reason + ": check ")
