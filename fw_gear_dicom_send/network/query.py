"""Asks a DICOM server what it has: by C-FIND, and by storage commitment (PS3.4 annexes C and J)."""

import queue
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import BytesIO
from itertools import groupby
from ssl import SSLContext
from threading import Lock
from typing import Protocol

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import evt
from pynetdicom._globals import STATUS_PENDING
from pynetdicom.dimse_messages import C_FIND_RQ, N_ACTION_RQ
from pynetdicom.dimse_primitives import C_FIND, N_ACTION
from pynetdicom.dsutils import decode, encode
from pynetdicom.events import Event
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
)
from pynetdicom.status import QR_FIND_SERVICE_CLASS_STATUS, code_to_category

from ..retry import RetryPolicy, retry
from .association import StorageAssociation
from .contexts import Context
from .errors import AssociationError, QueryError, TransientRejectionError
from .statuses import describe
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .types import ImageReference, PeerAE

MAX_REFERENCES = 1000
"""Instances in one request for storage commitment."""

OPEN_POLICY = RetryPolicy(max_tries=5, max_wait=60)
"""The waits before a query association is requested again from a peer at its limit."""
_MEDIUM_PRIORITY = 0
_REQUEST_COMMITMENT = 1
_SYNTAXES = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
_FIND = str(StudyRootQueryRetrieveInformationModelFind)
_COMMITMENT = str(StorageCommitmentPushModel)

MakeRoom = Callable[[str], None]
Place = Callable[[], AbstractContextManager[MakeRoom]]
"""Makes room for an association, and gives what makes more when the peer refuses it."""


def _alone() -> AbstractContextManager[MakeRoom]:
    """There is room, as there are no other associations."""
    return nullcontext(lambda _: None)


class Inquirer(Protocol):
    """Asks the server about images that it has acknowledged."""

    def missing(self, images: Collection[ImageReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs of those that it does not have.

        Raises QueryError where it does not tell.
        """


class _QueryAssociation(StorageAssociation):
    """An association for queries."""

    def find(self, context: Context, identifier: Dataset) -> Iterator[Dataset]:
        """Yield what matches (PS3.7 9.1.2). Raises QueryError for a failure status."""
        is_implicit = UID(context.transfer_syntax).is_implicit_VR
        request = C_FIND()
        request.MessageID = self._next_message_id()
        request.AffectedSOPClassUID = UID(context.abstract_syntax)
        request.Priority = _MEDIUM_PRIORITY
        request.Identifier = BytesIO(encode(identifier, is_implicit, True) or b"")
        response = self._ask(self._pdus(C_FIND_RQ(), request, context), C_FIND, self._timeouts.find)
        while code_to_category(response.Status or 0) == STATUS_PENDING:
            if response.Identifier:
                yield decode(response.Identifier, is_implicit, True)
            response = self._response(C_FIND, self._timeouts.find)
        if status := response.Status:
            words = describe(status, QR_FIND_SERVICE_CLASS_STATUS)
            raise QueryError(f"the server answers a C-FIND with status {words}")

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
            raise QueryError(f"the server refuses storage commitment with status 0x{status:04X}")
        while True:
            try:
                report = reports.get(timeout=self._timeouts.commitment)
            except queue.Empty:
                raise QueryError(
                    f"the server did not report a storage commitment on the same association in "
                    f"{self._timeouts.commitment:.0f} s"
                ) from None
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


class _QuerySCU:
    """Opens an association of its own when it asks, and releases it then.

    A server may give only a few, and the images need them: it asks in the place of one of those.
    """

    abstract_syntax = ""
    service = ""

    def __init__(
        self,
        peer: PeerAE,
        ssl_context: SSLContext | None = None,
        place: Place = _alone,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        policy: RetryPolicy = OPEN_POLICY,
    ) -> None:
        """Ask `peer`, over TLS where there is a context for it; `place` makes room meanwhile."""
        self._timeouts = timeouts
        self._policy = policy
        self._peer = peer
        self._ssl_context = ssl_context
        self._place = place
        self._make_room: MakeRoom
        self._assoc: _QueryAssociation | None = None
        self._lock = Lock()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Have the block ask; by one thread at a time."""
        with self._lock, self._place() as self._make_room:
            try:
                yield
            except AssociationError as exc:
                raise QueryError(str(exc)) from exc
            finally:
                if self._assoc:
                    self._assoc.release()
                    self._assoc = None

    def _opened(self) -> tuple[_QueryAssociation, Context]:
        """Return an association, and the context that it accepts. Raises QueryError."""
        contexts = tuple(Context(self.abstract_syntax, syntax) for syntax in _SYNTAXES)
        if self._assoc and not self._assoc.is_usable:
            self._assoc.abort()
            self._assoc = None
        if not self._assoc:
            self._assoc = self._open(contexts)
        context = next((one for one in contexts if one in self._assoc.accepted), None)
        if not context:
            raise QueryError(f"the server does not offer {self.service}")
        return self._assoc, context

    def _open(self, contexts: Sequence[Context]) -> _QueryAssociation:
        """Open an association, if need be in the place of others that the server has to forget."""

        def open_one() -> _QueryAssociation:
            assoc = _QueryAssociation(self._peer, contexts, self._ssl_context, self._timeouts)
            assoc.open()
            return assoc

        return retry(
            self._policy,
            open_one,
            on=TransientRejectionError,
            before_wait=lambda error, _: self._make_room(str(error)),
        )


class FindSCU(_QuerySCU):
    """Asks by C-FIND, Study Root, which images of a series there are; by any thread."""

    abstract_syntax = _FIND
    service = "queries by C-FIND (Study Root)"

    def present(self, study_instance_uid: str, series_instance_uid: str) -> frozenset[str]:
        """Return the SOP Instance UIDs that the server has of a series.

        Raises QueryError where it does not tell.
        """
        with self._asking():
            return self._present(study_instance_uid, series_instance_uid)

    def missing(self, images: Collection[ImageReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs of those that the server does not have.

        Raises QueryError where it does not tell.
        """
        absent: set[str] = set()
        with self._asking():
            for series, group in groupby(sorted(images, key=_series), key=_series):
                wanted = {image.sop_instance_uid for image in group}
                absent |= wanted - self._present(*series)
        return frozenset(absent)

    def _present(self, study_instance_uid: str, series_instance_uid: str) -> frozenset[str]:
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "IMAGE"
        identifier.StudyInstanceUID = study_instance_uid
        identifier.SeriesInstanceUID = series_instance_uid
        identifier.SOPInstanceUID = ""
        assoc, context = self._opened()
        found = [item.get("SOPInstanceUID", "") for item in assoc.find(context, identifier)]
        return frozenset(map(str, found))


class CommitmentSCU(_QuerySCU):
    """Asks for storage commitment; the report has to come on the same association."""

    abstract_syntax = _COMMITMENT
    service = "storage commitment"

    def missing(self, images: Collection[ImageReference]) -> frozenset[str]:
        """Return the SOP Instance UIDs of those that the server does not commit itself to.

        Raises QueryError where it does not tell.
        """
        left = list(images)
        failed: set[str] = set()
        with self._asking():
            while left:
                assoc, context = self._opened()
                failed |= _failed(assoc.commit(context, left[:MAX_REFERENCES]))
                del left[:MAX_REFERENCES]
        return frozenset(failed)


def _failed(report: Dataset) -> set[str]:
    """Return the instances that a report calls failed (PS3.4 table J.3-2)."""
    items = report.get("FailedSOPSequence") or ()
    return {str(item.get("ReferencedSOPInstanceUID", "")) for item in items}


def _series(image: ImageReference) -> tuple[str, str]:
    return image.study_instance_uid, image.series_instance_uid
