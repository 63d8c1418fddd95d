"""Servers that use TLS, and helpers that check them and send to them."""

import ssl
from pathlib import Path

import pytest

from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.network.tls import TLSContext, make_context
from fw_gear_dicom_send.network.tls_errors import HandshakeFailure, explain
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.network.types import TLSConfig
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.certificates import HOST, Identity
from tests.support.fault_scp import FaultSCP, Peer, Script, serve
from tests.support.instances import made_instance
from tests.support.pacs import Orthanc
from tests.support.peers import Server, peer_of
from tests.support.results import Outcome, outcomes
from tests.support.sending import send_all, unconverted
from tests.support.waiting import LONG_TIMEOUTS, without_timeout

NOTHING_IN_COMMON = f"{wording.NOTHING_IN_COMMON}: {wording.OTHER_PROFILE}"


def server_context(
    identity: Identity,
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    """Return a server's context, as lax as this OpenSSL allows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = lowest, highest
    return identity.configure(context)


def demanding_context(
    identity: Identity,
    ca: Path,
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    """Return a server's context that requires a client certificate of a CA."""
    context = server_context(identity, lowest, highest)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca)
    return context


def secured(context: ssl.SSLContext, script: Script = serve) -> Script:
    """Return a script that starts with a TLS handshake."""

    def run(peer: Peer) -> None:
        with context.wrap_socket(peer.socket, server_side=True) as peer.socket:
            script(peer)

    return run


def orthanc_with_tls(
    server: Identity, client: Identity, *, verifies: bool, **settings: object
) -> Orthanc:
    """Return an Orthanc that accepts TLS only and may check the client's certificate."""
    return Orthanc(
        DicomTlsEnabled=True,
        DicomTlsPrivateKey=str(server.key),
        DicomTlsCertificate=str(server.cert),
        DicomTlsTrustedCertificates=str(client.ca),
        DicomTlsRemoteCertificateRequired=verifies,
        **settings,
    )


def tls_failure(config: TLSConfig, script: Script, timeouts: Timeouts = LONG_TIMEOUTS) -> str:
    """Return the result of the server check, without the server's address."""
    with FaultSCP(script) as server, without_timeout(), pytest.raises(ServerError) as caught:
        preflight.check(peer_of(server), make_context(config), timeouts=timeouts)
    where, _, message = str(caught.value).partition(": ")
    assert where == f"{HOST} port {server.port}"
    return message


def scu_of(server: Server, context: TLSContext, retry_time: float = 0) -> StorageSCU:
    """Return an SCU that sends to a server over TLS and converts nothing."""
    return StorageSCU(
        peer_of(server),
        unconverted,
        retry_time=retry_time,
        transport=Transport(context, LONG_TIMEOUTS),
        policy=RetryPolicy(max_wait=0.05),
    )


def send(scu: StorageSCU, number: int = 3) -> list[Outcome]:
    """Send this many images and close the SCU; return the result of each."""
    return outcomes(send_all(scu, (made_instance(one) for one in range(number))))


def explained(error: OSError) -> HandshakeFailure:
    """Return the meaning of a failed handshake, with advice as the gear words it."""
    failure = explain(error)
    return replace(failure, advice=ServerError("", failure.advice).advice)
