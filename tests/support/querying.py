"""Query SCUs with a pool of their own, and the answers of a scripted server."""

import struct
from collections.abc import Iterator

import pytest

from fw_gear_dicom_send.network.commitment import CommitmentSCU
from fw_gear_dicom_send.network.pool import AssociationPool
from fw_gear_dicom_send.network.query import FindSCU
from fw_gear_dicom_send.network.timeouts import DEFAULT_TIMEOUTS, Timeouts
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.retry import RetryBudget
from tests.support.archive_scp import ArchiveSCP
from tests.support.fault_scp import Image, Peer
from tests.support.pacs import DcmQRSCP, Orthanc, PythonSCP, StoreSCP
from tests.support.pdus import C_FIND_RSP, element, message
from tests.support.peers import peer_of
from tests.support.pool import SHORT_WAITS

_pools: list[AssociationPool] = []
Asked = PeerAE | ArchiveSCP | PythonSCP | StoreSCP | Orthanc | DcmQRSCP


@pytest.fixture(autouse=True)
def pools_end() -> Iterator[None]:
    """Close the pools of a test at its end."""
    yield
    while _pools:
        _pools.pop().abort()


def find_scu(server: Asked, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> FindSCU:
    """Return a C-FIND SCU that uses one association."""
    return FindSCU(query_pool(server, timeouts), timeouts=timeouts, policy=SHORT_WAITS)


def commitment_scu(server: Asked, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> CommitmentSCU:
    """Return a storage commitment SCU that uses one association."""
    return CommitmentSCU(query_pool(server, timeouts), timeouts=timeouts)


def query_pool(server: Asked, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> AssociationPool:
    """Return a pool of one association that does not wait for an unavailable server."""
    peer = server if isinstance(server, PeerAE) else peer_of(server, server.ae_title)
    transport = Transport(timeouts=timeouts)
    _pools.append(AssociationPool(peer, 1, RetryBudget(0), transport, policy=SHORT_WAITS))
    return _pools[-1]


def query_answer(request: Image, status: int, identifier: bytes | None = None) -> bytes:
    """Return a response to a query."""
    command = (
        element(0x0100, C_FIND_RSP)
        + element(0x0120, request.message_id)
        + element(0x0800, 0x0101 if identifier is None else 1)
        + element(0x0900, status)
    )
    return message(command, identifier, request.context_id)


def found(uid: str) -> bytes:
    """Return an identifier in Explicit VR Little Endian."""
    value = uid.encode()
    value += bytes(len(value) % 2)
    return struct.pack("<HH2sH", 0x0008, 0x0018, b"UI", len(value)) + value


def message_id_in(body: bytes) -> bytes:
    """Return the message ID in the first PDU of a request."""
    return body.split(struct.pack("<HHL", 0, 0x0110, 2))[1][:2]


def read_commitment_request(peer: Peer) -> bytes:
    """Read a storage commitment request, accept it, and return its dataset."""
    request = peer.read_pdu().body
    peer.context_id = request[4]
    dataset = peer.read_pdu().body[6:]
    answer = (
        element(0x0100, 0x8130)
        + element(0x0120, message_id_in(request))
        + element(0x0800, 0x0101)
        + element(0x0900, 0)
    )
    peer.socket.sendall(peer.message(answer))
    return dataset
