"""Asks a DICOM server to commit itself to images (PS3.4 annex J)."""

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO

from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid
from pynetdicom.dsutils import decode, encode
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from ..reasons import Kind, Reason
from . import dimse
from .association import StorageAssociation
from .contexts import Context
from .errors import QueryError
from .inquiry import Findings, InquirySCU
from .timeouts import Timeouts
from .types import ImageReference

MAX_REFERENCES = 1000
"""Instances in one request for storage commitment."""
_REQUEST_COMMITMENT = 1
_NOT_DECODED = "the server's report of a storage commitment cannot be decoded"

# It would quote values that break the rules, such as a UID, in what it logs.
pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE


def commit(
    assoc: StorageAssociation,
    context: Context,
    images: Iterable[ImageReference],
    timeouts: Timeouts,
) -> Dataset:
    """Ask for storage commitment, and return what the server reports (PS3.4 J.3).

    Raises QueryError if it refuses, or reports nothing here in time.
    """
    asked = _references(images)
    is_implicit = UID(context.transfer_syntax).is_implicit_VR
    request: dict[int, int | str] = {
        dimse.REQUESTED_SOP_CLASS_UID: context.abstract_syntax,
        dimse.COMMAND_FIELD: dimse.N_ACTION_RQ,
        dimse.COMMAND_DATA_SET_TYPE: dimse.HAS_DATASET,
        dimse.REQUESTED_SOP_INSTANCE_UID: str(StorageCommitmentPushModelInstance),
        dimse.ACTION_TYPE_ID: _REQUEST_COMMITMENT,
    }
    encoded = encode(asked, is_implicit, True) or b""
    response = assoc.ask(context, request, encoded, timeout=timeouts.action)
    if status := dimse.number(response.command, dimse.STATUS):
        detail = f"the server refuses storage commitment with status 0x{status:04X}"
        raise QueryError(Reason(Kind.QUERY_FAILED, detail))
    while event := assoc.reported(timeouts.commitment):
        try:
            report = decode(BytesIO(event.dataset), is_implicit, True)
            if report.get("TransactionUID") == asked.TransactionUID:
                return report
        except Exception:
            # pydicom raises anything for bytes that are no dataset.
            raise QueryError(Reason(Kind.QUERY_FAILED, _NOT_DECODED)) from None
    raise QueryError(Reason(Kind.NO_COMMITMENT_REPORT, f"{timeouts.commitment:.0f}"))


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


class CommitmentSCU(InquirySCU):
    """Asks for storage commitment; the report has to come on the same association."""

    abstract_syntax = str(StorageCommitmentPushModel)
    service = "storage commitment requests"

    def _requests(self, images: Sequence[ImageReference]) -> Iterator[Sequence[ImageReference]]:
        for start in range(0, len(images), MAX_REFERENCES):
            yield images[start : start + MAX_REFERENCES]

    def _request(self, images: Sequence[ImageReference], findings: Findings) -> None:
        """Ask for a report. It counts only where it names an image (PS3.4 table J.3-2)."""
        report = self._ask(lambda assoc, context: commit(assoc, context, images, self._timeouts))
        asked = {image.sop_instance_uid for image in images}
        findings.verified |= asked & _named(report, "ReferencedSOPSequence")
        findings.absent |= asked & _named(report, "FailedSOPSequence")
        findings.note_rest(images, Reason(Kind.NOT_COMMITTED))


def _named(report: Dataset, sequence: str) -> set[str]:
    """Return the instances in a sequence of a report."""
    items = report.get(sequence) or ()
    return {str(item.get("ReferencedSOPInstanceUID", "")) for item in items}
