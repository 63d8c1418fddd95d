"""Associations made with pynetdicom, and C-STORE requests over them.

pynetdicom's association reactor can take a C-STORE response off the queue before
the sender sees it, who then waits in vain. So the reactor's thread is never
started: requests are made here, and go by pynetdicom's upper layer.
"""

import logging
import queue
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from ssl import SSLContext, SSLSocket
from time import monotonic
from typing import Any, TypeVar

from pydicom import config as pydicom_config
from pydicom.tag import Tag
from pydicom.uid import UID
from pynetdicom import _config
from pynetdicom._globals import MODE_REQUESTOR
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_ECHO_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_STORE, N_ACTION
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import A_ABORT, A_ASSOCIATE, A_P_ABORT, A_RELEASE
from pynetdicom.presentation import PresentationContext, build_context

from ..dicom.types import SOPInstance
from ..errors import ConfigError
from ..reasons import Kind, Reason
from ..retry import CLOCK, MonotonicClock
from ..text import printable
from .connection import LowLatencySocket
from .contexts import Context
from .dimse import c_store_request, message_ids
from .errors import (
    AssociationError,
    NoAnswerError,
    NoConnectionError,
    NoHandshakeError,
    TLSError,
    TransientRejectionError,
)
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .tls_errors import TLS_ONLY, describe, explain
from .types import PeerAE, TLSSession
from .upper_layer import ConnectionLostError, DataPDUs, UpperLayer

MAX_PDU = 1 << 18
"""Bytes of a PDU that is sent, after its header, where the peer allows more."""
REJECTED = {
    (1, 3): "it does not know the calling AE title {calling!r}",
    (1, 7): "it does not know the called AE title {called!r}",
    (1, 2): "it does not support the DICOM application context",
    (2, 2): "it does not support this version of the protocol",
    (3, 1): "it is temporarily congested",
    (3, 2): "its limit of associations is reached",
}
"""What a rejection means, by source and reason (PS3.8 9.3.4)."""
NO_REASON = "it gives no reason"

_REJECTION_KINDS = {(1, 3): Kind.UNKNOWN_CALLING_AE, (1, 7): Kind.UNKNOWN_CALLED_AE}
_MIN_PDU = 16
_MAX_WRITE = 1 << 18
_ACCEPTED, _TRANSIENT = 0, 2

_Message = TypeVar("_Message", C_ECHO, C_FIND, C_STORE, N_ACTION)

# Both libraries quote values that break the rules, such as a UID, in what they log.
_config.LOG_HANDLER_LEVEL = "none"
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
# A server may call its implementation whatever it likes; our AE titles are checked by config.
_config.VALIDATORS["AE"] = lambda _: (True, "")
_config.CODECS = ("ascii", "latin-1")


@dataclass(frozen=True)
class StoreResponse:
    """What a peer says to a C-STORE request (PS3.7 9.1.1, C.4)."""

    status: int
    offending_elements: tuple[str, ...]
    error_comment: str


def resolve(peer: PeerAE) -> None:
    """Check that the peer's host name means an address.

    Raises ConfigError where it does not.
    """
    try:
        socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        allowed = "a host name that can be resolved, or an IPv4 or IPv6 address"
        raise ConfigError("destination", peer.host, allowed) from exc


class StorageAssociation:
    """An association with a peer, for C-STORE requests one after the other."""

    def __init__(
        self,
        peer: PeerAE,
        contexts: Sequence[Context],
        ssl_context: SSLContext | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: MonotonicClock = CLOCK,
    ) -> None:
        """Prepare to propose `contexts` to `peer`, over TLS where there is a context for it."""
        self._clock = clock
        self._peer = peer
        self._timeouts = timeouts
        self.proposed = tuple(contexts)
        self.accepted: frozenset[Context] = frozenset()
        self.opened_at = -inf
        self._message_ids = message_ids()
        self._message_id = 0
        self._ids: dict[Context, int] = {}
        ae = ApplicationEntity(ae_title=peer.calling_ae)
        ae.acse_timeout = timeouts.associate
        self._assoc = Association(ae, MODE_REQUESTOR)
        self._dul = UpperLayer(self._assoc, timeouts)
        self._assoc.dul = self._dul
        self._socket = LowLatencySocket(self._assoc, ssl_context, timeouts)
        self._assoc.set_socket(self._socket)
        self._assoc.acceptor.ae_title = peer.called_ae
        self._assoc.acceptor.address = peer.host
        self._assoc.acceptor.port = peer.port
        self._assoc.requestor.address = "0.0.0.0"  # noqa: S104  (a field that no PDU carries)
        self._assoc.requestor.port = 0
        self._assoc.requestor.ae_title = ae.ae_title
        self._assoc.requestor.maximum_length = ae.maximum_pdu_size
        self._assoc.requestor.implementation_class_uid = ae.implementation_class_uid
        self._assoc.requestor.implementation_version_name = ae.implementation_version_name
        self._assoc.requestor.requested_contexts = list(_with_ids(contexts))

    def open(self) -> None:
        """Connect and negotiate.

        `accepted` holds the contexts that the peer accepts, which may be none; `opened_at`
        is when it was begun, on the `clock`. Raises AssociationError if
        the association is refused for good, and TemporaryError if it is refused for the
        time being (PS3.8 9.3.4) or if there is no connection.
        """
        self.opened_at = self._clock.now()
        try:
            self._negotiate()
        except BaseException:
            self.abort()
            raise

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent: the peer neither left nor wants to."""
        return (
            self._assoc.is_established
            and self._assoc.dul.is_alive()
            and self._assoc.dul.peek_next_pdu() is None
        )

    @property
    def implementation(self) -> str:
        """Version name of the peer's implementation, or its class UID (PS3.7 D.3.3.2)."""
        acceptor = self._assoc.acceptor
        name = (acceptor.implementation_version_name or "").strip()
        return printable(str(name or acceptor.implementation_class_uid or ""))

    @property
    def longest_pdu(self) -> int:
        """The longest PDU, in bytes, that the peer takes; 0 where it sets no limit (PS3.8 D.1)."""
        return self._assoc.acceptor.maximum_length or 0

    @property
    def tls(self) -> TLSSession | None:
        """What was negotiated, where TLS is used."""
        connection = self._socket.socket
        return describe(connection) if isinstance(connection, SSLSocket) else None

    def send_c_store(self, instance: SOPInstance, context: Context) -> StoreResponse:
        """Send an image in an accepted context, and return the peer's response.

        `instance` must be encoded in the context's transfer syntax. Raises
        AssociationError if the association is lost, which is aborted then, and
        OSError if the dataset cannot be read, with the same consequence.
        """
        message_id = self._next_message_id()
        context_id = self._ids[context]
        pdus = c_store_request(message_id, context_id, instance, self._largest_pdu())
        response = self._ask(_together(pdus), C_STORE, self._timeouts.response)
        return StoreResponse(
            response.Status or 0,
            _tags(response.OffendingElement),
            " ".join(str(response.ErrorComment or "").split()),
        )

    def send_c_echo(self, context: Context) -> int:
        """Verify the association in an accepted context, and return the status (PS3.7 9.1.5).

        Raises AssociationError if the association is lost, which is aborted then.
        """
        request = C_ECHO()
        request.MessageID = self._next_message_id()
        request.AffectedSOPClassUID = UID(context.abstract_syntax)
        pdus = self._pdus(C_ECHO_RQ(), request, context)
        return self._ask(pdus, C_ECHO, self._timeouts.echo).Status or 0

    def release(self) -> None:
        """End the association in good order, or abort it if the peer does not answer."""
        dul, acse = self._assoc.dul, self._assoc.acse
        answer = dul.peek_next_pdu()
        if self.is_usable:
            acse.send_release(is_response=False)
            answer = dul.receive_pdu(wait=True, timeout=self._timeouts.release)
        if isinstance(answer, A_RELEASE) and answer.result is None:
            # The peer wants it as well, or wanted it first (PS3.8 7.2.2).
            acse.send_release(is_response=True)
        if answer:
            dul.join(self._timeouts.release)
        self.abort()

    def abort(self) -> None:
        """End the association at once, if it has not ended yet."""
        dul = self._assoc.dul
        is_ending = isinstance(dul.peek_next_pdu(), A_ABORT | A_P_ABORT)
        if self._assoc.is_established and dul.is_alive() and not is_ending:
            self._assoc.acse.send_abort(0x00)
            dul.join(self._timeouts.abort)
        self._socket.cut()
        dul.kill_dul()
        if dul.is_alive():
            dul.join(self._timeouts.abort)

    def _negotiate(self) -> None:
        self._assoc.request()
        if self._assoc.is_established:
            for cx in self._assoc.accepted_contexts:
                if cx.transfer_syntax:
                    context = Context(str(cx.abstract_syntax), str(cx.transfer_syntax[0]))
                    self._ids[context] = cx.context_id or 0
            self.accepted = frozenset(self._ids)
            return
        answer = self._assoc.acceptor.primitive
        if not (isinstance(answer, A_ASSOCIATE) and answer.result == _ACCEPTED):
            raise self._refusal()

    def _largest_pdu(self) -> int:
        """Return the largest PDU to send: the peer's limit (PS3.8 D.1), within reason, even."""
        limit = self._assoc.acceptor.maximum_length or MAX_PDU
        return min(max(limit, _MIN_PDU), MAX_PDU) & ~1

    def _pdus(self, message: DIMSEMessage, request: _Message, context: Context) -> Iterator[bytes]:
        """Yield the PDUs of a request that pynetdicom encodes."""
        message.primitive_to_message(request)
        for primitive in message.encode_msg(self._ids[context], self._largest_pdu()):
            yield P_DATA_TF(primitive).encode()

    def _next_message_id(self) -> int:
        self._message_id = next(self._message_ids)
        return self._message_id

    def _ask(self, request: Iterable[bytes], kind: type[_Message], timeout: float) -> _Message:
        """Write a request, and return the response; abort the association if that fails."""
        try:
            for written in request:
                self._dul.data.put(DataPDUs(written))
            return self._response(kind, timeout)
        except ConnectionLostError as exc:
            self.abort()
            raise AssociationError(
                Reason(Kind.CONNECTION_LOST, "in the middle of a request")
            ) from exc
        except BaseException:
            self.abort()
            raise

    def _response(self, kind: type[_Message], timeout: float) -> _Message:
        """Wait for the response to the latest request.

        The time begins when the request has reached the peer, which may take long.
        """
        on_its_way, deadline = (0, 0), monotonic() + timeout
        while monotonic() < deadline:
            if on_its_way != (left := (self._dul.data.qsize(), self._socket.unacknowledged)):
                on_its_way, deadline = left, monotonic() + timeout
            try:
                _, response = self._assoc.dimse.msg_queue.get(timeout=self._timeouts.tick)
            except queue.Empty:
                if self.is_usable:
                    continue
                response = None
            if response is None:
                raise AssociationError(
                    Reason(Kind.CONNECTION_LOST, "before the answer to a request")
                )
            if (
                not isinstance(response, kind)
                or response.MessageIDBeingRespondedTo != self._message_id
                or response.Status is None
            ):
                raise AssociationError(Reason(Kind.WRONG_ANSWER))
            return response
        raise AssociationError(Reason(Kind.NO_ANSWER, f"{timeout:.0f}"))

    def _refusal(self) -> AssociationError:
        """Return an error that says in one line why there is no association (PS3.8 9.3.4)."""
        peer = self._peer
        where = f"{peer.host} port {peer.port}"
        if self._socket.tls_error:
            failure = explain(self._socket.tls_error)
            return (TLSError if failure.is_final else NoHandshakeError)(where, failure)
        if self._socket.speaks_tls:
            return TLSError(where, TLS_ONLY)
        if self._socket.error:
            reason = self._socket.error.strerror or self._socket.error
            detail = f"cannot connect to {where}: {reason}"
            return NoConnectionError(Reason(Kind.NO_CONNECTION, detail))
        answer = self._assoc.acceptor.primitive
        if self._assoc.is_rejected and isinstance(answer, A_ASSOCIATE):
            key = (answer.result_source or 0, answer.diagnostic or 0)
            reason = REJECTED.get(key, NO_REASON)
            reason = reason.format(calling=peer.calling_ae, called=peer.called_ae)
            detail = f"{where} rejected the association: {reason}"
            rejection = Reason(_REJECTION_KINDS.get(key, Kind.REJECTED), detail)
            is_transient = answer.result == _TRANSIENT
            return (TransientRejectionError if is_transient else AssociationError)(rejection)
        detail = f"{where} did not answer the association request as a DICOM server does"
        return NoAnswerError(Reason(Kind.NO_ASSOCIATION, detail))


def _together(pdus: Iterable[bytes]) -> Iterator[bytes]:
    """Yield PDUs as they go into one write each."""
    pending = bytearray()
    for pdu in pdus:
        if pending and len(pending) + len(pdu) > _MAX_WRITE:
            yield bytes(pending)
            pending.clear()
        pending += pdu
    yield bytes(pending)


def _with_ids(contexts: Iterable[Context]) -> Iterator[PresentationContext]:
    for number, context in enumerate(contexts):
        cx = build_context(context.abstract_syntax, context.transfer_syntax)
        cx.context_id = 2 * number + 1
        yield cx


def _tags(value: Any) -> tuple[str, ...]:
    """Return the tags in a value of VR AT: none, one or several."""
    return tuple(str(Tag(tag)) for tag in ([value] if isinstance(value, int) else value or ()))
