"""Connections over TLS have the same options and limits as plain ones."""

import os
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.connection import Connection
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.errors import AssociationError
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.tls import TLSContext
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.values import replace
from tests.support.associations import connection_to
from tests.support.instances import dataset_of, instance, made_instance
from tests.support.pacs import StoreSCP
from tests.support.peers import peer_of
from tests.support.results import SENT, outcome
from tests.support.sample_files import shipped
from tests.support.sending import unconverted
from tests.support.waiting import LONG_TIMEOUTS, without_timeout

CT = "1.2.840.10008.5.1.4.1.1.2"
CONTEXTS = (Context(CT, "1.2.840.10008.1.2.1"),)
DELAYED_ACKNOWLEDGEMENT = 0.04
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass(frozen=True)
class TLSServer:
    """storescp with TLS only, and a context that trusts it."""

    scp: StoreSCP
    context: ssl.SSLContext

    @property
    def trust(self) -> TLSContext:
        """Settings for an association."""
        return TLSContext(self.context, shows_certificate=False)

    @property
    def peer(self) -> PeerAE:
        """Return the server as a peer."""
        return peer_of(self.scp)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TLSServer]:
    """DCMTK storescp with a certificate for 127.0.0.1."""
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
    key, chain, root = (tmp_path / name for name in ("key.pem", "cert.pem", "ca.pem"))
    certificate.private_key_pem.write_to_path(str(key))
    certificate.cert_chain_pems[0].write_to_path(str(chain))
    ca.cert_pem.write_to_path(str(root))
    context = ssl.create_default_context(cafile=str(root))
    options = ("+tls", str(key), str(chain), "+cf", str(root), "-ic", "+xa", "+B", "--fork")
    with StoreSCP(*options) as scp:
        yield TLSServer(scp, context)


@pytest.mark.parametrize("version", VERSIONS)
def test_images_arrive_over_tls_without_stalls(server: TLSServer, version: ssl.TLSVersion) -> None:
    """Images arrive byte for byte; neither Nagle's algorithm nor a late session ticket delays them.

    Otherwise, each image would be delayed by at least 40 ms or by a very long timeout.
    """
    server.context.minimum_version = server.context.maximum_version = version
    scu = StorageSCU(server.peer, unconverted, transport=Transport(server.trust, LONG_TIMEOUTS))
    files = [shipped("CT_small.dcm"), shipped("MR_small_RLE.dcm")]
    images = [made_instance(number, pixels=128) for number in range(30)]
    with without_timeout():
        assert [outcome(scu.send(instance(path))) for path in files] == [SENT, SENT]
        took: list[float] = []
        for image in images:
            begun = time.monotonic()
            assert outcome(scu.send(image)) == SENT
            took.append(time.monotonic() - begun)
        scu.close()
    assert min(took) < DELAYED_ACKNOWLEDGEMENT
    received = {dataset_of(path) for path in server.scp.received()}
    assert received >= {dataset_of(path) for path in files}
    assert len(received) == 32


def test_socket_options_are_set_with_tls(server: TLSServer) -> None:
    """TCP_NODELAY and SO_KEEPALIVE are set as on a plain connection, and nothing blocks."""
    assoc = StorageAssociation(server.peer, CONTEXTS, Transport(server.trust, LONG_TIMEOUTS))
    assoc.open()
    assert assoc.tls
    with connection_to(server.scp) as connection:
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not os.get_blocking(connection.fileno())
    assoc.release()


def test_no_image_is_sent_to_an_untrusted_server(server: TLSServer) -> None:
    """A certificate that the context does not trust ends the connection before any data."""
    trust = TLSContext(ssl.create_default_context(), shows_certificate=False)
    assoc = StorageAssociation(server.peer, CONTEXTS, Transport(trust))
    with pytest.raises(AssociationError, match=r"is not trusted \(self-signed"):
        assoc.open()
    assert not server.scp.received()


def test_plain_text_is_not_accepted(server: TLSServer) -> None:
    """A server with TLS only accepts no unencrypted association."""
    with pytest.raises(AssociationError):
        StorageAssociation(server.peer, CONTEXTS).open()


class CutInBetween(ssl.SSLContext):
    """Context during whose work another thread cuts the connection."""

    connection: Connection

    def wrap_socket(self, sock: socket.socket, *args: Any, **options: Any) -> ssl.SSLSocket:
        """Cut when the new socket has the descriptor, and nobody knows it yet."""
        wrapped = super().wrap_socket(sock, *args, **options)
        self.connection.cut()
        return wrapped


def test_a_cut_before_the_handshake_is_not_lost() -> None:
    """The thread does not wait for the peer."""
    context = CutInBetween(ssl.PROTOCOL_TLS_CLIENT)
    with socket.create_server(("127.0.0.1", 0)) as server:
        context.connection = connection = Connection(replace(LONG_TIMEOUTS, connect=5))
        connection.open(*server.getsockname())
        with pytest.raises(OSError, match="cut"):
            connection.secure(context, "127.0.0.1")
        connection.close()
