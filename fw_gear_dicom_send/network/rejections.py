"""Rejections of an association, in words (PS3.8 9.3.4)."""

from ..reasons import Kind, Reason
from .errors import AssociationError, TransientRejectionError
from .protocol import Rejected
from .types import PeerAE

REJECTED = {
    (1, 3): "it does not know the calling AE title {calling!r}",
    (1, 7): "it does not know the called AE title {called!r}",
    (1, 2): "it does not support the DICOM application context",
    (2, 2): "it does not support this version of the protocol",
    (3, 1): "it is temporarily congested",
    (3, 2): "its limit of associations is reached",
}
"""Meanings of rejections, by source and reason."""
NO_REASON = "it gives no reason"

_KINDS = {(1, 3): Kind.UNKNOWN_CALLING_AE, (1, 7): Kind.UNKNOWN_CALLED_AE}
_TRANSIENT = 2
_CONGESTION = 3
"""Source of a rejection by a service provider that is congested or at its limit."""


def cause_of(rejected: Rejected, peer: PeerAE) -> str:
    """Return the meaning of a rejection."""
    cause = REJECTED.get((rejected.source, rejected.reason), NO_REASON)
    return cause.format(calling=peer.calling_ae, called=peer.called_ae)


def rejection(rejected: Rejected, peer: PeerAE) -> AssociationError:
    """Return the error of a rejection, a TransientRejectionError if a retry may succeed."""
    is_congested = rejected.source == _CONGESTION
    detail = f"{peer.where} rejected the association: {cause_of(rejected, peer)}"
    if peer.identity and not is_congested:
        detail += "; it may not accept the user identity"
    kind = _KINDS.get((rejected.source, rejected.reason), Kind.REJECTED)
    if rejected.result == _TRANSIENT or is_congested:
        return TransientRejectionError(Reason(kind, detail))
    is_unexplained = (rejected.source, rejected.reason) not in REJECTED
    return AssociationError(Reason(kind, detail), is_unexplained=is_unexplained)
