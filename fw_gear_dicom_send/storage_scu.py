"""Sends images to a DICOM server by C-STORE (PS3.4 annex B)."""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from ssl import SSLContext
from time import monotonic

from pydicom.uid import UID
from pynetdicom._globals import STATUS_SUCCESS, STATUS_WARNING
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

from .association_pool import AssociationPool, NoAssociationError
from .models import PeerAE, SOPInstance, StoreResult, Unreadable
from .negotiation import Context, choose
from .upper_layer import AssociationError, StorageAssociation, StoreResponse

PATIENCE = 300.0
"""Seconds for which association after association may be lost without any success."""

_DUPLICATE_SOP_INSTANCE = 0x0111


class StorageSCU:
    """A Storage SCU that opens associations as the images need them."""

    def __init__(
        self,
        peer: PeerAE,
        convert: Callable[[SOPInstance, str], SOPInstance | Unreadable],
        associations: int = 1,
        ssl_context: SSLContext | None = None,
    ) -> None:
        """Send to `peer`, over no more than so many `associations` at once.

        `convert` changes an image's transfer syntax. With `ssl_context`, each association
        uses TLS.
        """
        self._convert = convert
        self._pool = AssociationPool(peer, associations, ssl_context)
        self._trouble_since: float | None = None

    def send(self, instance: SOPInstance) -> StoreResult:
        """Send one image, and close its dataset; to be called by several threads at once.

        An image that was in flight when the association was lost is sent once more, on
        a new one.
        A server that cannot be reached, or that goes on losing associations for
        `PATIENCE` seconds, is given up: all further images fail at once.
        """
        try:
            return self._send(instance)
        finally:
            instance.dataset.close()

    def close(self) -> None:
        """Release the associations."""
        self._pool.close()

    def abort(self) -> None:
        """Abort the associations, and what is sent over them."""
        self._pool.abort()

    def _send(self, instance: SOPInstance) -> StoreResult:
        reason, lost_at = "", -inf
        for is_resend in (False, True):
            try:
                with self._pool.association(_context_of(instance), lost_at) as assoc:
                    return self._store(assoc, instance, is_resend)
            except NoAssociationError as exc:
                return StoreResult(False, str(exc))
            except AssociationError as exc:
                reason, lost_at = str(exc), monotonic()
                self._note_loss(reason)
        return StoreResult(False, reason)

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
            return StoreResult(False, f"the image could not be read: {exc.strerror or exc}")
        self._trouble_since = None
        return _judge(response, instance.identifying, is_resend)

    def _note_loss(self, reason: str) -> None:
        """Give the server up if associations have been lost for too long."""
        since = self._trouble_since or monotonic()
        self._trouble_since = since
        if monotonic() - since > PATIENCE:
            self._pool.give_up(f"the server was given up: {reason}")


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
