"""Associations that tests open by themselves, and the threads and connections under them."""

import socket
import threading
from dataclasses import replace

from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.network.upper_layer import UpperLayer
from tests.support.peers import Server, peer_of
from tests.support.waiting import PATIENT

CT = "1.2.840.10008.5.1.4.1.1.2"
CONTEXTS = (Context(CT, "1.2.840.10008.1.2.1"), Context(CT, "1.2.840.10008.1.2"))


def opened(peer: PeerAE, timeouts: Timeouts = PATIENT) -> StorageAssociation:
    """Open an association for CT images in both uncompressed syntaxes of little endian."""
    assoc = StorageAssociation(peer, CONTEXTS, timeouts=timeouts)
    assoc.open()
    return assoc


def associate(
    server: Server, host: str = "", *, timeouts: Timeouts = PATIENT
) -> StorageAssociation:
    """Open an association with a server, at its own address or at another name of its host."""
    peer = peer_of(server)
    return opened(replace(peer, host=host or peer.host), timeouts)


def upper_layers() -> list[UpperLayer]:
    """Return the upper layers that run."""
    return [thread for thread in threading.enumerate() if isinstance(thread, UpperLayer)]


def open_layer() -> UpperLayer:
    """Return the upper layer of the one association that there is."""
    (layer,) = upper_layers()
    return layer


def open_connection() -> socket.socket:
    """Return the connection of the one association that there is."""
    end = open_layer().socket
    assert end
    assert end.socket
    return end.socket
