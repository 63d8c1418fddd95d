"""With TLS on, no image is sent unencrypted."""

from fw_gear_dicom_send.network.tls import make_context
from fw_gear_dicom_send.network.types import TLSConfig
from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.certificates import HOST, Identity
from tests.support.fault_scp import FaultSCP, Peer, PeerLeftError
from tests.support.results import SENT, Outcome
from tests.support.scripted import close_after_command
from tests.support.tls_servers import scu_of, secured, send, server_context
from tests.support.waiting import NEVER


def test_a_server_that_drops_tls_during_the_run_gets_nothing(
    config: TLSConfig, server: Identity
) -> None:
    """Each reconnection begins with a handshake, so no byte of DICOM is sent unencrypted."""
    seen: list[bytes] = []

    def serve_one(peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image())
        peer.read_image()

    def unencrypted(peer: Peer) -> None:
        seen.append(peer.socket.recv(1 << 16))
        peer.abort()
        raise PeerLeftError

    with FaultSCP(secured(server_context(server), serve_one), unencrypted) as scp:
        results = send(scu_of(scp, make_context(config), retry_time=NEVER), 4)
    assert results[0] == SENT
    message = f"{HOST} port {scp.port}: {wording.NO_TLS}"
    assert results[1:] == [Outcome(False, Kind.TLS_FAILED, message)] * 3
    assert seen
    assert all(data[:2] == b"\x16\x03" for data in seen)
    assert not any(b"CALLED" in data for data in seen)


def test_a_lost_association_is_replaced_over_tls(config: TLSConfig, server: Identity) -> None:
    """The second connection uses TLS like the first, and the lost image arrives."""
    context = server_context(server)
    with FaultSCP(secured(context, close_after_command), secured(context)) as scp:
        assert send(scu_of(scp, make_context(config), retry_time=NEVER)) == [SENT] * 3
        assert scp.connections == 2
