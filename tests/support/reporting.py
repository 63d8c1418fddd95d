"""Peer that reports storage commitments over separate associations, made with pynetdicom."""

from collections.abc import Callable, Sequence
from ssl import SSLContext

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt  # type: ignore[attr-defined]
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
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
    port: int,
    own: str = "PACS",
    called: str = "SENDER",
    tls: SSLContext | None = None,
    rejected: Callable[[A_ASSOCIATE_RJ], object] = bool,
) -> Association:
    """Return an association that proposes commitment reports and verification.

    `rejected` receives an A-ASSOCIATE-RJ. `Association.is_rejected` is not set if the rejection
    arrives before pynetdicom has seen that it is connected.
    """

    def received(event: evt.Event) -> None:
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            rejected(event.pdu)

    ae = AE(own)
    ae.add_requested_context(StorageCommitmentPushModel)
    ae.add_requested_context(Verification)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    secured = (tls, "127.0.0.1") if tls else None
    assoc = ae.associate(
        "127.0.0.1",
        port,
        ae_title=called,
        ext_neg=[role],
        tls_args=secured,
        evt_handlers=[(evt.EVT_PDU_RECV, received)],
    )
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
