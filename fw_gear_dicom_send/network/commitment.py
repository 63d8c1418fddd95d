"""Asks a DICOM server to commit itself to images (PS3.4 annex J)."""

import queue
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid
from pynetdicom import evt
from pynetdicom.dimse_messages import N_ACTION_RQ
from pynetdicom.dimse_primitives import N_ACTION
from pynetdicom.dsutils import encode
from pynetdicom.events import Event
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from ..reasons import Kind, Reason
from .association import StorageAssociation
from .contexts import Context
from .errors import QueryError
from .inquiry import Findings, InquirySCU
from .types import ImageReference

MAX_REFERENCES = 1000
"""Instances in one request for storage commitment."""
_REQUEST_COMMITMENT = 1


class _CommitmentAssociation(StorageAssociation):
    """An association for requests for storage commitment."""

    def commit(self, context: Context, images: Iterable[ImageReference]) -> Dataset:
        """Ask for storage commitment, and return what the server reports (PS3.4 J.3).

        Raises QueryError if it refuses, or reports nothing here in time.
        """
        reports: queue.Queue[Dataset] = queue.Queue()

        def take(event: Event) -> tuple[int, None]:
            reports.put(event.event_information)
            return 0x0000, None

        self._assoc.bind(evt.EVT_N_EVENT_REPORT, take)
        request = N_ACTION()
        request.MessageID = self._next_message_id()
        request.RequestedSOPClassUID = UID(context.abstract_syntax)
        request.RequestedSOPInstanceUID = StorageCommitmentPushModelInstance
        request.ActionTypeID = _REQUEST_COMMITMENT
        asked = _references(images)
        is_implicit = UID(context.transfer_syntax).is_implicit_VR
        request.ActionInformation = BytesIO(encode(asked, is_implicit, True) or b"")
        pdus = self._pdus(N_ACTION_RQ(), request, context)
        if status := self._ask(pdus, N_ACTION, self._timeouts.action).Status:
            detail = f"the server refuses storage commitment with status 0x{status:04X}"
            raise QueryError(Reason(Kind.QUERY_FAILED, detail))
        while True:
            try:
                report = reports.get(timeout=self._timeouts.commitment)
            except queue.Empty:
                seconds = f"{self._timeouts.commitment:.0f}"
                raise QueryError(Reason(Kind.NO_COMMITMENT_REPORT, seconds)) from None
            if report.get("TransactionUID") == asked.TransactionUID:
                return report


def _references(images: Iterable[ImageReference]) -> Dataset:
    """Return the action information of a storage commitment request (PS3.4 table J.3-1)."""
    ds = Dataset()
    ds.TransactionUID = generate_uid()
    ds.ReferencedSOPSequence = []
    for image in images:
        item = Dataset()
        item.ReferencedSOPClassUID = image.sop_class_uid
        item.ReferencedSOPInstanceUID = image.sop_instance_uid
        ds.ReferencedSOPSequence.append(item)
    return ds


class CommitmentSCU(InquirySCU[_CommitmentAssociation]):
    """Asks for storage commitment; the report has to come on the same association."""

    abstract_syntax = str(StorageCommitmentPushModel)
    service = "storage commitment requests"
    association = _CommitmentAssociation

    def _requests(self, images: Sequence[ImageReference]) -> Iterator[Sequence[ImageReference]]:
        for start in range(0, len(images), MAX_REFERENCES):
            yield images[start : start + MAX_REFERENCES]

    def _request(self, images: Sequence[ImageReference], findings: Findings) -> None:
        """Ask for a report. It counts only where it names an image (PS3.4 table J.3-2)."""
        assoc, context = self._opened()
        report = assoc.commit(context, images)
        asked = {image.sop_instance_uid for image in images}
        findings.verified |= asked & _named(report, "ReferencedSOPSequence")
        findings.absent |= asked & _named(report, "FailedSOPSequence")
        findings.note_rest(images, Reason(Kind.NOT_COMMITTED))


def _named(report: Dataset, sequence: str) -> set[str]:
    """Return the instances in a sequence of a report."""
    items = report.get(sequence) or ()
    return {str(item.get("ReferencedSOPInstanceUID", "")) for item in items}
