"""Sends images to a DICOM server by C-STORE (PS3.4 annex B)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic

import backoff
from pydicom.uid import UID
from pynetdicom._globals import STATUS_SUCCESS, STATUS_WARNING
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

from .models import PeerAE, SOPInstance, StoreResult, Unreadable
from .negotiation import Context, ContextPlan, choose
from .upper_layer import (
    AssociationError,
    StorageAssociation,
    StoreResponse,
    TransientRejectionError,
)

PATIENCE = 300.0
"""Seconds for which association after association may be lost without any success."""
REJECTION_PATIENCE = 10.0
"""Seconds for which a transient rejection is answered by asking again."""

_DUPLICATE_SOP_INSTANCE = 0x0111


class StorageSCU:
    """A Storage SCU that opens associations as the images need them.

    One association is open at a time. It is opened anew, with all contexts seen so
    far, when an image needs one that was not proposed, and when it was lost.
    """

    def __init__(
        self, peer: PeerAE, convert: Callable[[SOPInstance, str], SOPInstance | Unreadable]
    ) -> None:
        """Send to `peer`; `convert` changes an image's transfer syntax."""
        self._peer = peer
        self._convert = convert
        self._plan = ContextPlan()
        self._assoc: StorageAssociation | None = None
        self._trouble_since: float | None = None
        self._gone = ""

    def send(self, instance: SOPInstance) -> StoreResult:
        """Send one image, and close its dataset.

        An image that was in flight when the association was lost is sent once more.
        A server that cannot be reached, or that goes on losing associations for
        `PATIENCE` seconds, is given up: all further images fail at once.
        """
        try:
            return self._send(instance)
        finally:
            instance.dataset.close()

    def close(self) -> None:
        """Release the association, if there is one."""
        if self._assoc:
            self._assoc.release()
            self._assoc = None

    def abort(self) -> None:
        """Abort the association, if there is one."""
        if self._assoc:
            self._assoc.abort()
            self._assoc = None

    def _send(self, instance: SOPInstance) -> StoreResult:
        reason = ""
        for is_resend in (False, True):
            if self._gone:
                break
            try:
                assoc = self._associate(_context_of(instance))
            except AssociationError as exc:
                self._gone = str(exc)
                break
            try:
                return self._store(assoc, instance, is_resend)
            except AssociationError as exc:
                reason = str(exc)
                self._note_loss(reason)
        return StoreResult(False, self._gone or reason)

    def _associate(self, wanted: Context) -> StorageAssociation:
        """Return an association in which `wanted` was proposed, a new one if need be."""
        contexts = self._plan.include(wanted)
        current = self._assoc
        if current and wanted in current.proposed and (current.is_usable or not current.accepted):
            return current
        self.close()
        self._assoc = self._open(contexts)
        return self._assoc

    @backoff.on_exception(
        backoff.expo, TransientRejectionError, max_time=lambda: REJECTION_PATIENCE, logger=None
    )
    def _open(self, contexts: Sequence[Context]) -> StorageAssociation:
        """Open an association; a server may be slow to forget the one that was released."""
        return StorageAssociation(self._peer, contexts)

    def _store(
        self, assoc: StorageAssociation, instance: SOPInstance, is_resend: bool
    ) -> StoreResult:
        """Send an image as it is or, where it must be, converted."""
        wanted = _context_of(instance)
        context = choose(wanted, assoc.accepted)
        if context is None:
            return StoreResult(False, f"the server does not accept {_describe(wanted)}")
        if context == wanted:
            return self._request(assoc, instance, context, is_resend)
        converted = self._convert(instance, context.transfer_syntax)
        if isinstance(converted, Unreadable):
            return StoreResult(False, converted.reason)
        try:
            result = self._request(assoc, converted, context, is_resend)
        finally:
            converted.dataset.close()
        change = f"the server takes {_describe(wanted)} only as {_name(context.transfer_syntax)}"
        return replace(result, remark="; ".join(filter(None, (change, result.remark))))

    def _request(
        self, assoc: StorageAssociation, instance: SOPInstance, context: Context, is_resend: bool
    ) -> StoreResult:
        try:
            response = assoc.send_c_store(instance, context)
        except OSError as exc:
            self._assoc = None
            return StoreResult(False, f"the image could not be read: {exc.strerror or exc}")
        self._trouble_since = None
        return _judge(response, instance.identifying, is_resend)

    def _note_loss(self, reason: str) -> None:
        """Forget the lost association; give the server up if this goes on too long."""
        self._assoc = None
        self._trouble_since = self._trouble_since or monotonic()
        if monotonic() - self._trouble_since > PATIENCE:
            self._gone = f"the server was given up: {reason}"


def _judge(response: StoreResponse, identifying: frozenset[str], is_resend: bool) -> StoreResult:
    """Tell by the status whether the image was stored (PS3.4 B.2.3, PS3.7 annex C)."""
    category = code_to_category(response.status)
    is_there = is_resend and response.status == _DUPLICATE_SOP_INSTANCE
    if category == STATUS_SUCCESS or is_there:
        return StoreResult(True)
    _, meaning = STORAGE_SERVICE_CLASS_STATUS.get(response.status, ("", "of unknown meaning"))
    remark = f"status 0x{response.status:04X} {meaning}"
    if response.offending_elements:
        remark += f", offending elements {' '.join(response.offending_elements)}"
    if response.error_comment:
        quotes = any(word in response.error_comment.lower() for word in identifying)
        comment = "withheld as it may name the patient" if quotes else response.error_comment
        remark += f", error comment {comment}"
    return StoreResult(category == STATUS_WARNING, remark)


def _context_of(instance: SOPInstance) -> Context:
    return Context(instance.sop_class_uid, instance.transfer_syntax_uid)


def _describe(context: Context) -> str:
    return f"{_name(context.abstract_syntax)} in {_name(context.transfer_syntax)}"


def _name(uid: str) -> str:
    return UID(uid).name
