"""Acceptor side of an association for storage commitment reports, without I/O.

PS3.4 J.3.3 allows the peer to open it. It proposes the SOP class in the role of an SCP.
"""

from collections.abc import Iterator

from ..dicom.uids import STORAGE_COMMITMENT
from . import dimse, pdus
from .contexts import FALLBACK_SYNTAXES, MAX_CONTEXTS
from .pdus import Message, ProtocolError, associate_pdu, item, items, name_of, pdu
from .protocol import Event, Protocol, Requested, State
from .types import PeerAE

_MAX_REPORTS = 16
"""Maximum number of reports over one association; each request has one report."""
_MAX_BYTES = 8 << 20
"""Maximum bytes of the PDUs of one association."""
_ACCEPTED, _NO_ABSTRACT_SYNTAX, _NO_TRANSFER_SYNTAX = 0, 3, 4
_AS_SCP = f"\0{chr(len(STORAGE_COMMITMENT))}{STORAGE_COMMITMENT}\0\1"
_PERMANENT = 1
_NO_PROTOCOL_VERSION, _NO_APPLICATION_CONTEXT = (2, 2), (1, 2)
_UNKNOWN_CALLING_AE, _UNKNOWN_CALLED_AE = (1, 3), (1, 7)


class Acceptor(Protocol):
    """State machine of an association that the peer opens. It only accepts reports.

    The mutable state is also `transfer_syntaxes` of the accepted contexts by their IDs, and the
    numbers of reports and bytes.
    """

    expected = (pdus.ASSOCIATE_RQ, pdus.P_DATA_TF, pdus.RELEASE_RQ, pdus.A_ABORT)

    def __init__(self, peer: PeerAE) -> None:
        """Accept associations only between the AE titles of `peer`."""
        super().__init__(peer, ())
        self.transfer_syntaxes: dict[int, str] = {}
        self._reports = self._size = 0

    def _events(self, kind: int, body: bytes) -> Iterator[Event]:
        self._size += pdus.PDU_HEADER.size + len(body)
        if self._size > _MAX_BYTES:
            raise ProtocolError
        if kind == pdus.ASSOCIATE_RQ and self.state is State.IDLE:
            yield self._requested(body)
            return
        for event in super()._events(kind, body):
            if isinstance(event, Message):
                self._check(event)
            yield event

    def _check(self, message: Message) -> None:
        """Raise ProtocolError for a message that is no report, and for too many reports."""
        sop_class = dimse.text(message.command, dimse.AFFECTED_SOP_CLASS_UID)
        is_report = dimse.is_event_report(message.command) and sop_class == STORAGE_COMMITMENT
        self._reports += 1
        is_accepted = message.context_id in self.transfer_syntaxes
        if not (is_accepted and is_report) or self._reports > _MAX_REPORTS:
            raise ProtocolError

    def _requested(self, body: bytes) -> Requested:
        """Decode and answer an A-ASSOCIATE-RQ (PS3.8 9.3.2, 9.3.3)."""
        if len(body) < pdus.FIXED_FIELDS:
            raise ProtocolError
        version, called, calling = pdus.REQUEST_FIELDS.unpack_from(body)
        answered, role, application, proposed = bytearray(), b"", "", 0
        for kind, value in items(body[pdus.FIXED_FIELDS :]):
            if kind == pdus.APPLICATION_CONTEXT_ITEM:
                application = name_of(value)
            elif kind == pdus.CONTEXT_ITEM:
                proposed += 1
                if proposed > MAX_CONTEXTS:
                    raise ProtocolError
                result, syntax = _chosen(value[4:])
                if result == _ACCEPTED:
                    self.transfer_syntaxes[value[0]] = syntax
                chosen = bytes((value[0], 0, result, 0)) + item(pdus.TRANSFER_SYNTAX, syntax)
                answered += item(pdus.CONTEXT_RESULT, chosen)
            elif kind == pdus.USER_INFORMATION:
                role = _role(value)
        peer = self._peer
        if not version & pdus.PROTOCOL_VERSION:
            return self._rejection(_NO_PROTOCOL_VERSION, "unsupported protocol version")
        if application != pdus.APPLICATION_CONTEXT:
            return self._rejection(_NO_APPLICATION_CONTEXT, "unsupported application context")
        if (name := name_of(called)) != peer.calling_ae:
            cause = f"called AE title {name!r}, not {peer.calling_ae!r}"
            return self._rejection(_UNKNOWN_CALLED_AE, cause)
        if (name := name_of(calling)) != peer.called_ae:
            cause = f"calling AE title {name!r}, not {peer.called_ae!r}"
            return self._rejection(_UNKNOWN_CALLING_AE, cause)
        self.state = State.ESTABLISHED
        titles = (peer.calling_ae, peer.called_ae)
        return Requested(associate_pdu(pdus.ASSOCIATE_AC, *titles, bytes(answered), role=role))

    def _rejection(self, source_and_reason: tuple[int, int], cause: str) -> Requested:
        self.state = State.ENDED
        return Requested(pdu(pdus.ASSOCIATE_RJ, bytes((0, _PERMANENT, *source_and_reason))), cause)


def _chosen(proposed: bytes) -> tuple[int, str]:
    """Return the result of a proposed context, and the accepted transfer syntax."""
    sop_class, syntaxes = "", []
    for kind, value in items(proposed):
        if kind == pdus.ABSTRACT_SYNTAX:
            sop_class = name_of(value)
        elif kind == pdus.TRANSFER_SYNTAX:
            syntaxes.append(name_of(value))
    if sop_class != STORAGE_COMMITMENT:
        return _NO_ABSTRACT_SYNTAX, FALLBACK_SYNTAXES[-1]
    syntax = next((one for one in FALLBACK_SYNTAXES if one in syntaxes), None)
    return (_ACCEPTED, syntax) if syntax else (_NO_TRANSFER_SYNTAX, FALLBACK_SYNTAXES[-1])


def _role(user_information: bytes) -> bytes:
    """Return the answer to a proposed role. The peer may be an SCP (PS3.7 D.3.3.4)."""
    for kind, value in items(user_information):
        uid = value[2 : 2 + int.from_bytes(value[:2], "big")]
        if kind == pdus.ROLE_SELECTION and name_of(uid) == STORAGE_COMMITMENT:
            return item(pdus.ROLE_SELECTION, _AS_SCP)
    return b""
