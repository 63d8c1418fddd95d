"""Acceptor side of an association for storage commitment reports, without I/O.

PS3.4 J.3.3 allows the peer to open it. It proposes the SOP class in the role of an SCP.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from . import dimse
from .contexts import FALLBACK_SYNTAXES, MAX_CONTEXTS
from .protocol import (
    A_ABORT,
    ABORT,
    ABSTRACT_SYNTAX,
    APPLICATION_CONTEXT,
    APPLICATION_CONTEXT_ITEM,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    CONTEXT_ITEM,
    CONTEXT_RESULT,
    FIXED_FIELDS,
    MAX_RECEIVED_PDU,
    P_DATA_TF,
    PROTOCOL_VERSION,
    RELEASE_RESPONSE,
    RELEASE_RQ,
    REQUEST_FIELDS,
    ROLE_SELECTION,
    TRANSFER_SYNTAX,
    USER_INFORMATION,
    Message,
    MessageReader,
    ProtocolError,
    associate_pdu,
    encode_pdu,
    item,
    items,
    name_of,
    take_pdu,
)

_MAX_REPORTS = 16
"""Maximum number of reports over one association; each request has one report."""
_SOP_CLASS = str(StorageCommitmentPushModel)
_ACCEPTED, _NO_ABSTRACT_SYNTAX, _NO_TRANSFER_SYNTAX = 0, 3, 4
_AS_SCP = bytes((0, 1))
_PERMANENT = 1
_NO_PROTOCOL_VERSION, _NO_APPLICATION_CONTEXT = (2, 2), (1, 2)
_UNKNOWN_CALLING_AE, _UNKNOWN_CALLED_AE = (1, 3), (1, 7)


@dataclass(frozen=True)
class Report:
    """N-EVENT-REPORT of the peer, with the transfer syntax of its dataset."""

    message: Message
    transfer_syntax: str


class _RejectionError(Exception):
    """The requested association is not acceptable."""

    def __init__(self, cause: tuple[int, int], text: str) -> None:
        super().__init__(text)
        self.cause = cause


class Acceptor:
    """State machine that decodes received bytes and encodes answers. It only accepts reports.

    The mutable state is the bytes of incomplete PDUs, the accepted contexts (None before the
    association), the number of reports, `answers`, which the caller sends and clears, `is_over`,
    and `refusal`, the reason for a rejection or an abort.
    """

    def __init__(self, own_ae: str, peer_ae: str) -> None:
        """Accept associations only from `peer_ae` to `own_ae`."""
        self._own_ae = own_ae
        self._peer_ae = peer_ae
        self._received = bytearray()
        self._reader = MessageReader()
        self._contexts: dict[int, str] | None = None
        self._reports = 0
        self.answers = bytearray()
        self.is_over = False
        self.refusal = ""

    def receive(self, data: bytes) -> Iterator[Report]:
        """Decode received bytes, and yield the reports. The caller must answer each of them."""
        self._received += data
        try:
            while not self.is_over and (pdu := self._next_pdu()):
                yield from self._reports_in(*pdu)
        except _RejectionError as exc:
            self.answers += encode_pdu(ASSOCIATE_RJ, bytes((0, _PERMANENT, *exc.cause)))
            self.refusal = str(exc)
            self.is_over = True
        except (ProtocolError, IndexError, ValueError):
            self.answers += ABORT
            self.refusal = "it violates the protocol, or is not for storage commitment"
            self.is_over = True

    def answer(self, report: Report, status: int) -> None:
        """Answer a report (PS3.7 10.3.1)."""
        response = {**dimse.event_report_response(report.message.command), dimse.STATUS: status}
        writes = dimse.message(report.message.context_id, response, b"", MAX_RECEIVED_PDU)
        self.answers += b"".join(buffer for buffers in writes for buffer in buffers)

    def _next_pdu(self) -> tuple[int, bytes] | None:
        """Return the type and the body of the next PDU, None if it is incomplete."""
        expected = ASSOCIATE_RQ if self._contexts is None else P_DATA_TF
        return take_pdu(self._received, (expected, RELEASE_RQ, A_ABORT))

    def _reports_in(self, kind: int, body: bytes) -> Iterator[Report]:
        if kind == ASSOCIATE_RQ:
            self._accept(body)
        elif kind == P_DATA_TF:
            yield from map(self._report, self._reader.messages(body))
        else:
            self.answers += RELEASE_RESPONSE if kind == RELEASE_RQ else b""
            self.is_over = True

    def _report(self, message: Message) -> Report:
        command = message.command
        syntax = (self._contexts or {}).get(message.context_id)
        sop_class = dimse.text(command, dimse.AFFECTED_SOP_CLASS_UID)
        is_report = dimse.is_event_report(command) and sop_class == _SOP_CLASS
        self._reports += 1
        if not (syntax and is_report) or self._reports > _MAX_REPORTS:
            raise ProtocolError
        return Report(message, syntax)

    def _accept(self, body: bytes) -> None:
        """Answer an A-ASSOCIATE-RQ (PS3.8 9.3.2, 9.3.3)."""
        if len(body) < FIXED_FIELDS:
            raise ProtocolError
        version, called, calling = REQUEST_FIELDS.unpack_from(body)
        answered, role, contexts = bytearray(), b"", {}
        application, proposed = "", 0
        for kind, value in items(body[FIXED_FIELDS:]):
            if kind == APPLICATION_CONTEXT_ITEM:
                application = name_of(value)
            elif kind == CONTEXT_ITEM:
                proposed += 1
                if proposed > MAX_CONTEXTS:
                    raise ProtocolError
                result, syntax = _chosen(value[4:])
                if result == _ACCEPTED:
                    contexts[value[0]] = syntax
                answered += item(
                    CONTEXT_RESULT,
                    bytes((value[0], 0, result, 0)) + item(TRANSFER_SYNTAX, syntax.encode("ascii")),
                )
            elif kind == USER_INFORMATION:
                role = _role(value)
        if not version & PROTOCOL_VERSION:
            raise _RejectionError(_NO_PROTOCOL_VERSION, "unsupported protocol version")
        if application != APPLICATION_CONTEXT:
            raise _RejectionError(_NO_APPLICATION_CONTEXT, "unsupported application context")
        if name_of(called) != self._own_ae:
            raise _RejectionError(
                _UNKNOWN_CALLED_AE, f"called AE title {name_of(called)!r}, not {self._own_ae!r}"
            )
        if name_of(calling) != self._peer_ae:
            raise _RejectionError(
                _UNKNOWN_CALLING_AE, f"calling AE title {name_of(calling)!r}, not {self._peer_ae!r}"
            )
        self._contexts = contexts
        self.answers += associate_pdu(ASSOCIATE_AC, called, calling, bytes(answered), role=role)


def _chosen(proposed: bytes) -> tuple[int, str]:
    """Return the result of a proposed context, and the accepted transfer syntax."""
    sop_class, syntaxes = "", []
    for kind, value in items(proposed):
        if kind == ABSTRACT_SYNTAX:
            sop_class = name_of(value)
        elif kind == TRANSFER_SYNTAX:
            syntaxes.append(name_of(value))
    if sop_class != _SOP_CLASS:
        return _NO_ABSTRACT_SYNTAX, FALLBACK_SYNTAXES[-1]
    syntax = next((one for one in FALLBACK_SYNTAXES if one in syntaxes), None)
    return (_ACCEPTED, syntax) if syntax else (_NO_TRANSFER_SYNTAX, FALLBACK_SYNTAXES[-1])


def _role(user_information: bytes) -> bytes:
    """Return the answer to a proposed role. The peer may be an SCP (PS3.7 D.3.3.4)."""
    for kind, value in items(user_information):
        uid = value[2 : 2 + int.from_bytes(value[:2], "big")]
        if kind == ROLE_SELECTION and name_of(uid) == _SOP_CLASS:
            answer = _SOP_CLASS.encode("ascii")
            return item(ROLE_SELECTION, len(answer).to_bytes(2, "big") + answer + _AS_SCP)
    return b""
