"""Peer that reports storage commitments over separate associations, made with pynetdicom."""

from collections.abc import Sequence
from ssl import SSLContext

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role  # type: ignore[attr-defined]
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from fw_gear_dicom_send.network.types import PeerAE

COMMITTED = 1
PACS = PeerAE("127.0.0.1", 104, "PACS", "SENDER")
"""The peer whose reports are expected."""


def connected(
    port: int, own: str = "PACS", called: str = "SENDER", tls: SSLContext | None = None
) -> Association:
    """Return an association that proposes commitment reports and verification."""
    ae = AE(own)
    ae.add_requested_context(StorageCommitmentPushModel)
    ae.add_requested_context(Verification)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    secured = (tls, "127.0.0.1") if tls else None
    assoc = ae.associate("127.0.0.1", port, ae_title=called, ext_neg=[role], tls_args=secured)
    if not assoc.is_established:
        assoc.dul.join(30)
        if assoc.dul.socket:
            assoc.dul.socket.close()  # pynetdicom leaves it open
    return assoc


def report(transaction: str, uids: Sequence[str]) -> Dataset:
    """Return a report on committed instances."""
    said = Dataset()
    said.TransactionUID = transaction
    said.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        item.ReferencedSOPInstanceUID = uid
        said.ReferencedSOPSequence.append(item)
    return said


def answer(assoc: Association, said: Dataset) -> int | None:
    """Send a report; return the status of the response, or None without a response."""
    status, _ = assoc.send_n_event_report(
        said, COMMITTED, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    reported: int | None = status.get("Status")
    return reported
