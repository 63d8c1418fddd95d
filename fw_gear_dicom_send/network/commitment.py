"""Requests storage commitment from a DICOM server (PS3.4 annex J)."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from io import BytesIO
from time import monotonic

from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid
from pynetdicom.dsutils import decode, encode

from ..delivery.inquiry import Findings
from ..delivery.results import ImageReference
from ..delivery.sender import QueryError
from ..dicom.uids import STORAGE_COMMITMENT
from ..reasons import Kind, Reason
from . import dimse
from .association import MAX_USELESS_ANSWERS, StorageAssociation
from .commitment_listener import CommitmentListener
from .contexts import Context
from .errors import AssociationError
from .inquiry import InquirySCU
from .pool import AssociationPool
from .timeouts import DEFAULT_TIMEOUTS, Timeouts

MAX_REFERENCES = 1000
"""Maximum number of instances in one request."""
_WELL_KNOWN_INSTANCE, _REQUEST_COMMITMENT = f"{STORAGE_COMMITMENT}.1", 1
_POLL = 0.2
"""Seconds between checks of the request's association while the listener runs."""
_NOT_DECODED = "the server's report of a storage commitment cannot be decoded"

# pydicom would quote invalid values, such as UIDs, in its log.
pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE


def commit(
    assoc: StorageAssociation,
    context: Context,
    images: Iterable[ImageReference],
    timeouts: Timeouts,
    listener: CommitmentListener | None = None,
) -> Dataset:
    """Request storage commitment, and return the server's report (PS3.4 J.3).

    The report comes on the same association or to the `listener`. Raises QueryError if the server
    rejects the request, or does not report in time.
    """
    asked = _references(images)
    uid = str(asked.TransactionUID)
    with listener.expecting(uid) if listener else nullcontext():
        is_implicit = _request(assoc, context, asked, timeouts)
        report = _reported(
            assoc, uid, is_implicit=is_implicit, listener=listener, timeouts=timeouts
        )
    if report:
        return report
    where = f"on the same association in {timeouts.commitment:.0f} s"
    if listener:
        where = (
            f"in {timeouts.late_commitment:.0f} s, neither on the same association nor on port "
            f"{listener.port}"
        )
    raise QueryError(Reason(Kind.NO_COMMITMENT_REPORT, where))


def _request(
    assoc: StorageAssociation, context: Context, asked: Dataset, timeouts: Timeouts
) -> bool:
    """Send the request; return whether datasets are in implicit VR. Raises QueryError."""
    is_implicit = UID(context.transfer_syntax).is_implicit_VR
    request: dict[int, int | str] = {
        dimse.REQUESTED_SOP_CLASS_UID: context.abstract_syntax,
        dimse.COMMAND_FIELD: dimse.N_ACTION_RQ,
        dimse.COMMAND_DATA_SET_TYPE: dimse.HAS_DATASET,
        dimse.REQUESTED_SOP_INSTANCE_UID: _WELL_KNOWN_INSTANCE,
        dimse.ACTION_TYPE_ID: _REQUEST_COMMITMENT,
    }
    encoded = encode(asked, is_implicit, True) or b""
    response = assoc.ask(context, request, encoded, timeout=timeouts.action)
    if status := dimse.number(response.command, dimse.STATUS):
        detail = f"the server rejected the storage commitment request with status 0x{status:04X}"
        raise QueryError(Reason(Kind.QUERY_FAILED, detail))
    return is_implicit


def _reported(
    assoc: StorageAssociation,
    transaction_uid: str,
    *,
    is_implicit: bool,
    listener: CommitmentListener | None,
    timeouts: Timeouts,
) -> Dataset | None:
    """Wait for a report; return None after the timeout. Raises QueryError for an invalid report."""
    if not listener:
        return _report_on(assoc, transaction_uid, timeouts.commitment, is_implicit=is_implicit)
    end, is_open = monotonic() + timeouts.late_commitment, True
    while (remaining := end - monotonic()) > 0:
        if report := listener.report(transaction_uid, min(remaining, _POLL)):
            return report
        try:
            if is_open and (
                report := _report_on(assoc, transaction_uid, 0, is_implicit=is_implicit)
            ):
                return report
        except AssociationError:
            # The peer may end this association, and report on another one.
            is_open = False
    return None


def _report_on(
    assoc: StorageAssociation, transaction_uid: str, timeout: float, *, is_implicit: bool
) -> Dataset | None:
    """Wait for a report on the association of the request; drop those of other transactions."""
    end = monotonic() + timeout
    for _ in range(MAX_USELESS_ANSWERS):
        event = assoc.reported(end - monotonic())
        if event is None:
            break
        try:
            report = decode(BytesIO(event.dataset), is_implicit, True)
            if report.get("TransactionUID") == transaction_uid:
                return report
        except Exception:
            # pydicom raises any exception for invalid bytes.
            raise QueryError(Reason(Kind.QUERY_FAILED, _NOT_DECODED)) from None
    return None


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
    """SCU of storage commitment, with reports on the same association or to a listener."""

    abstract_syntax = STORAGE_COMMITMENT
    service = "storage commitment requests"

    def __init__(
        self,
        pool: AssociationPool,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        shares_associations: bool = True,
        listener: CommitmentListener | None = None,
    ) -> None:
        """Use the associations of `pool`. A `listener` receives reports on other associations."""
        super().__init__(pool, timeouts=timeouts, shares_associations=shares_associations)
        self._listener = listener

    def _groups(self, images: Sequence[ImageReference]) -> Iterator[Sequence[ImageReference]]:
        for start in range(0, len(images), MAX_REFERENCES):
            yield images[start : start + MAX_REFERENCES]

    def _request(self, images: Sequence[ImageReference], findings: Findings) -> None:
        """Request a report. It counts only for the images that it lists (PS3.4 table J.3-2)."""
        report = self._ask(
            lambda assoc, context: commit(assoc, context, images, self._timeouts, self._listener)
        )
        asked = {image.sop_instance_uid for image in images}
        try:
            stored = _named(report, "ReferencedSOPSequence")
            failed = _named(report, "FailedSOPSequence")
        except Exception:
            # pydicom decodes values when they are read, and raises any exception.
            raise QueryError(Reason(Kind.QUERY_FAILED, _NOT_DECODED)) from None
        findings.verified |= asked & stored
        findings.absent |= asked & failed
        findings.note_rest(images, Reason(Kind.NOT_COMMITTED))


def _named(report: Dataset, sequence: str) -> set[str]:
    """Return the SOP Instance UIDs in a sequence of a report."""
    items = report.get(sequence) or ()
    return {str(item.get("ReferencedSOPInstanceUID", "")) for item in items}
