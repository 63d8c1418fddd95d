"""Associations that tests open themselves, and their TCP connections."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.values import replace
from tests.support.peers import Server, peer_of
from tests.support.waiting import LONG_TIMEOUTS

CT = "1.2.840.10008.5.1.4.1.1.2"
CONTEXTS = (Context(CT, "1.2.840.10008.1.2.1"), Context(CT, "1.2.840.10008.1.2"))
_OPEN_FILES = Path("/proc/self/fd")


def opened(peer: PeerAE, timeouts: Timeouts = LONG_TIMEOUTS) -> StorageAssociation:
    """Open an association for CT images in both uncompressed little endian syntaxes."""
    assoc = StorageAssociation(peer, CONTEXTS, Transport(timeouts=timeouts))
    assoc.open()
    return assoc


def associate(
    server: Server, host: str = "", *, timeouts: Timeouts = LONG_TIMEOUTS
) -> StorageAssociation:
    """Open an association with a server at its own address or at another name of its host."""
    peer = peer_of(server)
    return opened(replace(peer, host=host or peer.host), timeouts)


def connections_to(port: int) -> int:
    """Return the number of connections from this process to a port."""
    found = _sockets_to(port)
    for connection in found:
        connection.close()
    return len(found)


@contextmanager
def connection_to(server: Server) -> Iterator[socket.socket]:
    """Return the only connection to a server, so that a test can read or set its options."""
    (connection,) = _sockets_to(server.port)
    with connection:
        yield connection


def _sockets_to(port: int) -> list[socket.socket]:
    links = {}
    for name in os.listdir(_OPEN_FILES):
        with suppress(OSError):
            links[os.readlink(_OPEN_FILES / name)] = int(name)
    found = []
    for link, number in links.items():
        if not link.startswith("socket:"):
            continue
        with suppress(OSError):
            connection = socket.socket(fileno=os.dup(number))
            with suppress(OSError):
                if connection.getpeername()[1:2] == (port,):
                    found.append(connection)
                    continue
            connection.close()
    return found
