"""A failed handshake is reported with advice."""

import ssl
from collections.abc import Callable
from contextlib import suppress

import pytest

from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.tls import make_context
from fw_gear_dicom_send.network.tls_errors import HandshakeFailure
from fw_gear_dicom_send.network.types import TLSConfig
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.certificates import HOST, Identity
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.fuzzing import no_hang
from tests.support.peers import peer_of
from tests.support.results import SENT
from tests.support.scripted import answer_on_request, close_after_command
from tests.support.tls_servers import (
    NOTHING_IN_COMMON,
    explained,
    scu_of,
    secured,
    send,
    server_context,
    tls_failure,
)
from tests.support.waiting import LONG_TIMEOUTS, NEVER

CLOSE_NOTIFY = b"\x15\x03\x03\x00\x02\x01\x00"
"""TLS alert (RFC 8446 6.1)."""


def test_a_server_in_plain_text(config: TLSConfig) -> None:
    """If the server sends anything except TLS, the error says so."""

    def abort(peer: Peer) -> None:
        peer.abort()
        peer.close()

    assert tls_failure(config, abort) == (f"{wording.NO_TLS}: {wording.TLS_PORT}")


@pytest.mark.parametrize(
    ("end", "timeout", "words"),
    [
        (Peer.close, NEVER, "connection lost"),
        (Peer.reset, NEVER, "connection lost"),
        (Peer.stall, 0.5, "timed out"),
    ],
)
def test_a_server_that_does_not_answer_the_handshake(
    config: TLSConfig, end: Callable[[Peer], None], timeout: float, words: str
) -> None:
    """All that is known is that there is no TLS."""

    def read_and_end(peer: Peer) -> None:
        peer.socket.recv(1 << 16)
        end(peer)

    assert tls_failure(config, read_and_end, replace(LONG_TIMEOUTS, connect=timeout)) == (
        f"{wording.NO_HANDSHAKE} ({words}): {wording.TLS_PORT}"
    )


def test_a_server_that_trickles_its_handshake(config: TLSConfig, server: Identity) -> None:
    """The timeout is for the whole handshake: each byte arrives in time, and all too late."""
    context, sent = server_context(server), []

    def trickle(peer: Peer) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        incoming.write(peer.socket.recv(1 << 16))
        with suppress(ssl.SSLWantReadError):
            context.wrap_bio(incoming, outgoing, server_side=True).do_handshake()
        while byte := outgoing.read(1):
            sent.append(byte)
            peer.socket.sendall(byte)
            peer.server.closing.wait(0.1)

    timeouts = replace(LONG_TIMEOUTS, connect=0.5)
    assert tls_failure(config, trickle, timeouts).startswith(
        f"{wording.NO_HANDSHAKE} (timed out): "
    )
    assert len(sent) > 1


def test_a_server_that_closes_tls_during_the_handshake(config: TLSConfig) -> None:
    """If the server only sends close_notify, OpenSSL gives no reason and names no error."""

    def say_close(peer: Peer) -> None:
        peer.socket.recv(1 << 16)
        peer.socket.sendall(CLOSE_NOTIFY)
        peer.close()

    assert tls_failure(config, say_close) == (
        f"{wording.NO_HANDSHAKE} (connection lost): {wording.TLS_PORT}"
    )


def test_an_error_without_a_reason_may_be_transient() -> None:
    """Python 3.11.2 raises a bare SSLError without a reason if a server just closes."""
    error = ssl.SSLError("A failure in the SSL library occurred")
    error.reason = None  # type: ignore[assignment]
    assert explained(error) == HandshakeFailure(
        f"{wording.NO_HANDSHAKE} (connection lost)",
        wording.TLS_PORT,
        is_final=False,
    )


def test_an_unanswered_handshake_is_retried(config: TLSConfig, server: Identity) -> None:
    """A server that restarts during the run may not be ready for a handshake yet."""
    context = server_context(server)
    with FaultSCP(
        secured(context, close_after_command), Peer.close, Peer.reset, secured(context)
    ) as scp:
        assert send(scu_of(scp, make_context(config), retry_time=NEVER)) == [SENT] * 3
        assert scp.connections == 4


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_rejects_the_gears_certificate(
    config: TLSConfig, server: Identity, version: ssl.TLSVersion
) -> None:
    """The error says so even if the rejection follows the handshake, as in TLS 1.3."""
    verifying = server_context(server, version, version)
    verifying.verify_mode = ssl.CERT_REQUIRED
    verifying.load_verify_locations(server.ca)
    assert tls_failure(config, secured(verifying)) == (
        f"{wording.CLIENT_REJECTED} (unknown ca): {wording.TRUST_OUR_CA}"
    )


def test_a_server_without_a_common_cipher_suite(config: TLSConfig, server: Identity) -> None:
    """If a server has only cipher suites outside the profile, the error says so."""
    other = server_context(server, highest=ssl.TLSVersion.TLSv1_2)
    other.set_ciphers("AES256-SHA:@SECLEVEL=0")
    assert tls_failure(config, secured(other)) == NOTHING_IN_COMMON


def test_an_unencrypted_check_detects_tls() -> None:
    """A TLS alert instead of a response shows that TLS is required."""
    alert = b"\x15\x03\x03\x00\x02\x02\x0a"
    with FaultSCP(answer_on_request(alert)) as scp, pytest.raises(ServerError) as caught:
        preflight.check(peer_of(scp))
    assert str(caught.value) == (
        f"{HOST} port {scp.port}: the server requires TLS: set tls_enabled"
    )


@pytest.mark.slow
def test_a_flood_in_the_handshake_ends(config: TLSConfig) -> None:
    """OpenSSL skips requests to begin again (RFC 5246 7.4.1.1) for as long as they arrive."""
    hello_requests = b"\x16\x03\x03\0\x04\0\0\0\0" * 30_000

    def flood(peer: Peer) -> None:
        peer.socket.recv(1 << 16)
        while True:
            peer.socket.sendall(hello_requests)

    timeouts = replace(LONG_TIMEOUTS, connect=0.5)
    with no_hang(), FaultSCP(flood) as server, pytest.raises(ServerError):
        preflight.check(peer_of(server), make_context(config), timeouts=timeouts)
