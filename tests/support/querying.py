"""Query SCUs with a pool of their own."""

from fw_gear_dicom_send.network.commitment import CommitmentSCU
from fw_gear_dicom_send.network.pool import AssociationPool
from fw_gear_dicom_send.network.query import FindSCU
from fw_gear_dicom_send.network.timeouts import DEFAULT_TIMEOUTS, Timeouts
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.retry import RetryBudget
from tests.support.archive_scp import ArchiveSCP
from tests.support.pacs import DcmQRSCP, Orthanc, PythonSCP, StoreSCP
from tests.support.peers import peer_of
from tests.support.pool import SHORT_WAITS

Asked = PeerAE | ArchiveSCP | PythonSCP | StoreSCP | Orthanc | DcmQRSCP


def find_scu(server: Asked, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> FindSCU:
    """Return a C-FIND SCU that uses one association."""
    return FindSCU(query_pool(server, timeouts), timeouts=timeouts)


def commitment_scu(server: Asked, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> CommitmentSCU:
    """Return a storage commitment SCU that uses one association."""
    return CommitmentSCU(query_pool(server, timeouts), timeouts=timeouts)


def query_pool(server: Asked, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> AssociationPool:
    """Return a pool of one association that does not wait for an unavailable server."""
    peer = server if isinstance(server, PeerAE) else peer_of(server, server.ae_title)
    transport = Transport(timeouts=timeouts)
    return AssociationPool(peer, 1, RetryBudget(0), transport, policy=SHORT_WAITS)
