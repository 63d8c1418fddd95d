"""Association with a peer: requests and their responses, one after another.

The requesting thread itself reads and writes the connection. `Protocol` is the state machine.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from threading import Lock

from ..dicom.types import SOPInstance
from ..reasons import Kind, Reason
from ..retry import CLOCK, MonotonicClock
from ..values import replace
from . import dimse
from .contexts import Context
from .dimse import Buffer, StoreResponse
from .errors import AssociationError, LostAnswerError, NoAnswerError, TLSError
from .identity import without_identity
from .pdus import Message
from .protocol import Accepted, Ended, Event, Protocol, Rejected
from .rejections import cause_of, rejection
from .statuses import category_of
from .throttle import MAX_PIECE
from .tls_errors import TLS_ONLY, describe
from .trace import Trace
from .transport import DEFAULT_TRANSPORT, Transport
from .types import PeerAE, TLSSession
from .upper_layer import LostError, UpperLayer
from .waits import Wait

MAX_USELESS_ANSWERS = 1000
"""Maximum number of answers to a request that bring nothing new."""

# pynetdicom quotes invalid values, such as UIDs, in its log.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


class StorageAssociation:
    """Association with a peer. One thread at a time may use it, and any thread may abort it.

    The mutable state is the state of the upper layer, the numbers of requests and of `images`, and
    the wait for the response to the latest request. The thread that uses the association holds
    `_in_use`.
    """

    def __init__(
        self,
        peer: PeerAE,
        contexts: Sequence[Context],
        transport: Transport = DEFAULT_TRANSPORT,
        clock: MonotonicClock = CLOCK,
        study: str = "",
    ) -> None:
        """Prepare to propose `contexts` to `peer`, for one `study` or, if empty, for all."""
        self.study = study
        self._throttle = transport.throttle
        self._transport = transport
        self._clock = clock
        self._peer = peer
        self._timeouts = transport.timeouts
        self.proposed = tuple(contexts)
        self.accepted: frozenset[Context] = frozenset()
        self.results: Mapping[Context, int] = {}
        self.opened_at = self.answered_at = -inf
        self.implementation = self.class_uid = ""
        self.confirms_identity: bool | None = None
        self.max_pdu_length = 0
        self._requests = 0
        self.images = 0
        self._ids: Mapping[Context, int] = {}
        self._layer = UpperLayer(Protocol(peer, contexts), transport.timeouts)
        self._wait = Wait(self._layer.connection, 0)
        self._in_use = Lock()
        self._trace = Trace()

    def open(self) -> None:
        """Connect and negotiate.

        This sets `accepted` to the contexts that the peer accepts, if any, and `opened_at` to the
        start time on the `clock`. Raises AssociationError if the peer permanently rejects the
        association, and TemporaryError if it rejects it temporarily (PS3.8 9.3.4) or if the
        connection fails.
        """
        self.opened_at = self._clock.now()
        with self._using():
            self._transport.connect(self._layer.connection, self._peer)
            self._negotiate()

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent: the peer neither ended the association nor wants to."""
        if not self._in_use.acquire(blocking=False):
            return False
        try:
            return self._layer.is_ready(self._is_late)
        finally:
            self._in_use.release()

    @property
    def number(self) -> int:
        """Number of the association in this process, for the log."""
        return self._trace.number

    @property
    def tls(self) -> TLSSession | None:
        """The TLS session, None without TLS."""
        connection = self._layer.connection.tls
        return describe(connection) if connection else None

    def send_c_store(
        self, instance: SOPInstance, context: Context, response_timeout: float | None = None
    ) -> StoreResponse:
        """Send an image in an accepted context, and return the peer's response.

        `instance` must be encoded in the context's transfer syntax. `response_timeout`, in
        seconds, overrides the one of the timeouts. Raises AssociationError if the association is
        lost, LostAnswerError if the peer may still have stored the image, and OSError if the
        dataset cannot be read. The association is then aborted.
        """
        self.images += 1
        request = dimse.c_store_request(
            self._next_message_id(),
            self._ids[context],
            instance,
            self._layer.max_pdu,
            max_write=self._throttle.piece if self._throttle else MAX_PIECE,
        )
        timeout = self._timeouts.response if response_timeout is None else response_timeout
        try:
            with self._using():
                answer = self._ask(request, dimse.C_STORE_RQ, timeout)
        except LostAnswerError as exc:
            if exc.reason.kind is not Kind.NO_ANSWER:
                raise
            detail = f"{exc.reason.detail}; it may have stored the image"
            raise LostAnswerError(Reason(Kind.NO_ANSWER, detail)) from exc
        response = dimse.store_response(answer.command)
        comment = without_identity(response.error_comment, self._peer.identity)
        return replace(response, error_comment=comment) if comment else response

    def send_c_echo(self, context: Context) -> int:
        """Verify the association in an accepted context, and return the status (PS3.7 9.1.5).

        Raises AssociationError if the association is lost, and aborts it.
        """
        answer = self.ask(
            context,
            {
                dimse.AFFECTED_SOP_CLASS_UID: context.abstract_syntax,
                dimse.COMMAND_FIELD: dimse.C_ECHO_RQ,
                dimse.COMMAND_DATA_SET_TYPE: dimse.NO_DATASET,
            },
            timeout=self._timeouts.echo,
        )
        return dimse.number(answer.command, dimse.STATUS) or 0

    def ask(
        self,
        context: Context,
        command: Mapping[int, int | str],
        dataset: bytes = b"",
        *,
        timeout: float,
        takes_pending: bool = False,
    ) -> Message:
        """Send a request other than C-STORE, and return the response.

        With `takes_pending`, this is the first response, and `next_response` returns the others.
        A message ID is added to `command`. The peer has `timeout` seconds for all responses.
        Raises AssociationError if the association is lost, and aborts it.
        """
        numbered = {**command, dimse.MESSAGE_ID: self._next_message_id()}
        request = dimse.message(self._ids[context], numbered, dataset, self._layer.max_pdu)
        with self._using():
            command_field = int(command[dimse.COMMAND_FIELD])
            return self._ask(request, command_field, timeout, takes_pending=takes_pending)

    def next_response(self, command_field: int) -> Message:
        """Return the next response to the latest request, whose command field is `command_field`.

        Raises AssociationError as `ask` does.
        """
        with self._using():
            return self._response(command_field, takes_pending=True)

    def reported(self, timeout: float) -> Message | None:
        """Return the next N-EVENT-REPORT of the peer, None after the timeout.

        The report was already answered (PS3.7 10.1.1). Raises AssociationError if the association
        is lost, and aborts it.
        """
        with self._using():
            layer = self._layer
            wait = Wait(layer.connection, timeout)
            layer.wait_for(lambda: bool(layer.reports) or layer.wants_to_end, wait)
            if not layer.reports and layer.wants_to_end:
                raise AssociationError(Reason(Kind.CONNECTION_LOST, "before a report"))
            return layer.reports.popleft() if layer.reports else None

    def release(self) -> None:
        """Release the association, or abort it if the peer does not answer."""
        with self._in_use:
            self._layer.release(self._is_late)
        self.abort()

    def abort(self) -> None:
        """End the association immediately, unless it has already ended."""
        may_answer = self._layer.abort()
        self._trace.ended(self._layer.ending)
        if not self._in_use.acquire(blocking=False):
            # The thread that uses the association closes it.
            self._layer.connection.cut()
            return
        try:
            if may_answer:
                self._layer.wait_for_end()
            self._layer.connection.close()
        finally:
            self._in_use.release()

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Reserve the association for the block. It is aborted if the block raises."""
        try:
            with self._in_use:
                yield
        except BaseException as exc:
            # The messages of other errors may quote datasets.
            is_own = isinstance(exc, AssociationError)
            self._trace.failed(str(exc) if is_own else type(exc).__name__)
            self.abort()
            raise

    def _negotiate(self) -> None:
        layer = self._layer
        self._trace.requested(self._peer, self.proposed, layer.connection.tls)
        match event := layer.request(self._timeouts.associate):
            case Accepted():
                self._ids = {context: number for number, context in event.contexts.items()}
                self.accepted = frozenset(self._ids)
                self.results = event.results
                self.max_pdu_length = event.max_pdu
                layer.limit_pdus(event.max_pdu, self._throttle.piece if self._throttle else 0)
                self.implementation, self.class_uid = event.implementation, event.class_uid
                if self._peer.identity:
                    self.confirms_identity = event.confirms_identity
                self._trace.accepted(event, self.proposed, layer.max_pdu)
            case Rejected():
                self._trace.rejected(event, cause_of(event, self._peer))
                raise rejection(event, self._peer)
            case _ if layer.tls_failure:
                raise self._transport.tls_error(layer.connection, self._peer, layer.tls_failure)
            case _ if layer.speaks_tls and not self._transport.tls_context:
                raise TLSError(self._peer.where, TLS_ONLY)
            case _:
                detail = f"{self._peer.where} sent no valid answer to the association request"
                reason = Reason(Kind.NO_ASSOCIATION, detail)
                raise NoAnswerError(reason, is_unexplained=layer.wants_to_end)

    @property
    def _message_id(self) -> int:
        return dimse.message_id(self._requests)

    def _next_message_id(self) -> int:
        self._requests += 1
        return self._message_id

    def _is_late(self, event: Event) -> bool:
        """Return whether an event is the answer to any request of this association."""
        if not isinstance(event, Message):
            return False
        answered = dimse.number(event.command, dimse.MESSAGE_ID_BEING_RESPONDED_TO)
        return dimse.is_response(event.command) and answered in dimse.ids_of(self._requests)

    def _ask(
        self,
        request: Iterable[Sequence[Buffer]],
        command_field: int,
        timeout: float,
        *,
        takes_pending: bool = False,
    ) -> Message:
        """Write a request, and return the response."""
        try:
            for index, buffers in enumerate(request):
                if index:
                    self._layer.listen(0)
                if self._throttle:
                    self._throttle.wait(sum(map(len, buffers)), lambda: self._layer.wants_to_end)
                self._layer.write(buffers)
        except LostError:
            lost = AssociationError(Reason(Kind.CONNECTION_LOST, "during a request"))
            self._wait = Wait(self._layer.connection, 0)
            try:
                answer = self._response(command_field)
            except AssociationError:
                raise lost from None
            # A peer that did not read an image completely cannot have stored it.
            if category_of(dimse.number(answer.command, dimse.STATUS) or 0) == "Failure":
                return answer
            raise lost from None
        self._wait = Wait(self._layer.connection, timeout)
        return self._response(command_field, takes_pending=takes_pending)

    def _response(self, command_field: int, *, takes_pending: bool = False) -> Message:
        """Wait for the response to the latest request.

        Late answers to others are dropped, and pending ones without `takes_pending`.
        """
        for _ in range(MAX_USELESS_ANSWERS):
            event = self._layer.next_event(self._wait)
            if event is None:
                raise self._unanswered(Reason(Kind.NO_ANSWER, f"{self._wait.timeout:.0f} s"))
            if not isinstance(event, Message):
                reason = Reason(Kind.CONNECTION_LOST, "before the answer to a request")
                if isinstance(event, Ended) and event.is_abort:
                    self._layer.wait_for_end()
                raise self._unanswered(reason)
            command = event.command
            status = dimse.number(command, dimse.STATUS)
            answered = dimse.number(command, dimse.MESSAGE_ID_BEING_RESPONDED_TO)
            if self._is_late(event) and answered != self._message_id:
                continue
            if (
                dimse.number(command, dimse.COMMAND_FIELD) != command_field | dimse.RESPONSE
                or answered != self._message_id
                or status is None
            ):
                break
            self.answered_at = self._clock.now()
            if takes_pending or status not in dimse.PENDING:
                return event
        raise self._unanswered(Reason(Kind.WRONG_ANSWER))

    def _unanswered(self, reason: Reason) -> AssociationError:
        """Return the error for a request without a valid response.

        A peer that did not read the whole request cannot have carried it out. If this side ends
        the association, neither the acknowledgement nor a reset shows that.
        """
        layer = self._layer
        is_read = not (layer.is_reset or layer.connection.unacknowledged)
        is_whole = layer.is_aborted or is_read
        return (LostAnswerError if is_whole else AssociationError)(reason)
