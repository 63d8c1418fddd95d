"""Test servers as peers."""

from fw_gear_dicom_send.network.types import PeerAE
from tests.support.fault_scp import FaultSCP
from tests.support.pacs import DcmQRSCP, Orthanc, PythonSCP, StoreSCP

Server = FaultSCP | PythonSCP | StoreSCP | Orthanc | DcmQRSCP


def peer_of(server: Server, called_ae: str = "CALLED", calling_ae: str = "CALLING") -> PeerAE:
    """Return a server as a peer, with the AE titles of both sides."""
    return PeerAE(getattr(server, "host", "127.0.0.1"), server.port, called_ae, calling_ae)
