"""Associations with a peer: requests and their responses, one after the other.

The thread that asks reads and writes the connection itself. `Protocol` decides what may come when.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from math import inf
from ssl import SSLContext, SSLError
from threading import Lock
from time import monotonic

from ..dicom.types import SOPInstance
from ..errors import ConfigError
from ..reasons import Kind, Reason
from ..retry import CLOCK, MonotonicClock
from . import dimse
from .connection import Connection, addresses
from .contexts import Context
from .dimse import Buffer, StoreResponse
from .errors import (
    AssociationError,
    LostAnswerError,
    NoAnswerError,
    NoConnectionError,
    NoHandshakeError,
    TLSError,
    TransientRejectionError,
)
from .protocol import (
    MAX_ANSWER,
    RELEASE_RESPONSE,
    Accepted,
    Ended,
    Event,
    Message,
    Protocol,
    Rejected,
    ReleaseRequested,
    State,
)
from .statuses import is_failure
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .tls_errors import TLS_ONLY, describe, explain
from .types import PeerAE, TLSSession

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
_TRANSIENT = 2
_CONGESTION = 3
"""The source of a rejection by a provider that is congested or at its limit."""
_MAX_REPORTS = 16
_MAX_EVENTS = 10_000
"""Messages that nobody asked for; a peer that sends more breaks the protocol."""

# It quotes values that break the rules, such as a UID, in what it logs.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)


class _LostError(Exception):
    """Nothing more can be written."""


def resolve(peer: PeerAE, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
    """Check that the peer's host name means an address.

    Raises ConfigError where it does not.
    """
    try:
        addresses(peer.host, peer.port, timeouts.resolve)
    except (OSError, UnicodeError) as exc:
        allowed = "a host name that can be resolved, or an IPv4 or IPv6 address"
        raise ConfigError("destination", peer.host, allowed) from exc


class StorageAssociation:
    """An association with a peer; one thread at a time uses it, and any may abort it.

    The mutable state is the connection, that of the protocol, events that nobody took yet, and
    the event reports among them. Whoever uses the association holds `_in_use`, and whoever
    writes `_writing` as well.
    """

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
        self._ssl_context = ssl_context
        self.proposed = tuple(contexts)
        self.accepted: frozenset[Context] = frozenset()
        self.opened_at = -inf
        self.implementation = ""
        self.longest_pdu = 0
        self._requests = 0
        self._ids: Mapping[Context, int] = {}
        self._protocol = Protocol(peer, contexts)
        self._connection = Connection(timeouts)
        self._events: deque[Event] = deque()
        self._new_reports: deque[Message] = deque()
        self._reports: deque[Message] = deque()
        self._tls_failure: OSError | None = None
        self._in_use = Lock()
        self._writing = Lock()
        self._is_aborted = False
        self._is_torn = False

    def open(self) -> None:
        """Connect and negotiate.

        `accepted` holds the contexts that the peer accepts, which may be none; `opened_at`
        is when it was begun, on the `clock`. Raises AssociationError if
        the association is refused for good, and TemporaryError if it is refused for the
        time being (PS3.8 9.3.4) or if there is no connection.
        """
        self.opened_at = self._clock.now()
        with self._using():
            self._connect()
            self._negotiate()

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent: the peer neither left nor wants to."""
        if not self._in_use.acquire(blocking=False):
            return False
        try:
            return self._is_ready()
        finally:
            self._in_use.release()

    @property
    def tls(self) -> TLSSession | None:
        """What was negotiated, where TLS is used."""
        return describe(self._connection.tls) if self._connection.tls else None

    def send_c_store(
        self, instance: SOPInstance, context: Context, response_timeout: float | None = None
    ) -> StoreResponse:
        """Send an image in an accepted context, and return the peer's response.

        `instance` must be encoded in the context's transfer syntax. The response may take
        `response_timeout` seconds, that of the timeouts unless it is given. Raises
        AssociationError if the association is lost, a LostAnswerError if the peer may have
        stored the image nevertheless, and OSError if the dataset cannot be read. The
        association is aborted then.
        """
        request = dimse.c_store_request(
            self._next_message_id(), self._ids[context], instance, self._max_pdu_to_send()
        )
        timeout = self._timeouts.response if response_timeout is None else response_timeout
        try:
            with self._using():
                answer = self._ask(request, dimse.C_STORE_RQ, timeout, skips_pending=True)
        except LostAnswerError as exc:
            if exc.reason.kind is not Kind.NO_ANSWER:
                raise
            detail = f"{exc.reason.detail}; it may have stored the image"
            raise LostAnswerError(Reason(Kind.NO_ANSWER, detail)) from exc
        return dimse.store_response(answer.command)

    def send_c_echo(self, context: Context) -> int:
        """Verify the association in an accepted context, and return the status (PS3.7 9.1.5).

        Raises AssociationError if the association is lost, which is aborted then.
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
    ) -> Message:
        """Send a request other than C-STORE, and return the first response to it.

        `command` gets a message ID. Raises AssociationError if the association is lost, which
        is aborted then.
        """
        numbered = {**command, dimse.MESSAGE_ID: self._next_message_id()}
        request = dimse.message(self._ids[context], numbered, dataset, self._max_pdu_to_send())
        with self._using():
            return self._ask(request, int(command[dimse.COMMAND_FIELD]), timeout)

    def next_response(self, command_field: int, timeout: float) -> Message:
        """Return the next response to the latest request, which has that command field.

        Raises AssociationError as `ask` does.
        """
        with self._using():
            return self._response(command_field, timeout)

    def reported(self, timeout: float) -> Message | None:
        """Return the next N-EVENT-REPORT of the peer, None if none comes in time.

        It has been answered (PS3.7 10.1.1). Raises AssociationError if the association is lost,
        which is aborted then.
        """
        with self._using():
            wait = _Wait(self._connection, timeout)
            self._wait_for(lambda: bool(self._reports) or self._wants_to_end(), wait)
            if not self._reports and self._wants_to_end():
                raise AssociationError(Reason(Kind.CONNECTION_LOST, "before a report"))
            return self._reports.popleft() if self._reports else None

    def release(self) -> None:
        """End the association in good order, or abort it if the peer does not answer."""
        with suppress(_LostError), self._in_use:
            if self._is_ready():
                self._answer_reports()
                self._write([self._protocol.release()])
                wait = _Wait(self._connection, self._timeouts.release)
                while isinstance(event := self._next_event(wait), Message):
                    pass
            else:
                event = self._events.popleft() if self._events else None
            if isinstance(event, ReleaseRequested):
                # The peer wants it as well, or wanted it first (PS3.8 7.2.2).
                self._write([RELEASE_RESPONSE])
                self._connection.finish_writing()
                self._wait_for_end()
        self.abort()

    def abort(self) -> None:
        """End the association at once, if it has not ended yet."""
        self._is_aborted = True
        is_told = False
        if self._writing.acquire(timeout=self._timeouts.abort):
            try:
                was_requested = self._protocol.state is State.REQUESTED
                if (pdu := self._protocol.abort()) and not self._is_torn:
                    with suppress(OSError):
                        is_told = not self._connection.write([pdu]) and not was_requested
                        self._connection.finish_writing()
            finally:
                self._writing.release()
        if not self._in_use.acquire(blocking=False):
            # The thread that uses it closes it.
            self._connection.cut()
            return
        try:
            if is_told:
                self._wait_for_end()
            self._connection.close()
        finally:
            self._in_use.release()

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Have the block use the association, which is aborted if that fails."""
        try:
            with self._in_use:
                yield
        except BaseException:
            self.abort()
            raise

    def _connect(self) -> None:
        peer = self._peer
        try:
            self._connection.open(peer.host, peer.port)
        except (OSError, UnicodeError) as exc:
            reason = getattr(exc, "strerror", None) or exc
            detail = f"cannot connect to {self._where}: {reason}"
            raise NoConnectionError(Reason(Kind.NO_CONNECTION, detail)) from exc
        if self._ssl_context:
            try:
                self._connection.secure(self._ssl_context, peer.host)
            except OSError as exc:
                raise self._tls_error(exc) from exc

    def _negotiate(self) -> None:
        event: Event | None = None
        with suppress(_LostError):
            self._write([self._protocol.request()])
            event = self._next_event(_Wait(self._connection, self._timeouts.associate))
        match event:
            case Accepted():
                self._ids = {context: number for number, context in event.contexts.items()}
                self.accepted = frozenset(self._ids)
                self.longest_pdu = event.max_pdu
                self.implementation = event.implementation
            case Rejected():
                raise self._rejection(event)
            case _ if self._tls_failure:
                raise self._tls_error(self._tls_failure)
            case _ if self._protocol.speaks_tls and not self._ssl_context:
                raise TLSError(self._where, TLS_ONLY)
            case _:
                did_not = "did not answer the association request as a DICOM server does"
                raise NoAnswerError(Reason(Kind.NO_ASSOCIATION, f"{self._where} {did_not}"))

    @property
    def _where(self) -> str:
        return f"{self._peer.host} port {self._peer.port}"

    def _tls_error(self, error: OSError) -> TLSError:
        failure = explain(error)
        return (TLSError if failure.is_final else NoHandshakeError)(self._where, failure)

    def _rejection(self, rejected: Rejected) -> AssociationError:
        """Return an error that says in one line why there is no association (PS3.8 9.3.4)."""
        key = rejected.source, rejected.reason
        cause = REJECTED.get(key, NO_REASON)
        cause = cause.format(calling=self._peer.calling_ae, called=self._peer.called_ae)
        detail = f"{self._where} rejected the association: {cause}"
        reason = Reason(_REJECTION_KINDS.get(key, Kind.REJECTED), detail)
        if rejected.result == _TRANSIENT or rejected.source == _CONGESTION:
            return TransientRejectionError(reason)
        return AssociationError(reason)

    def _max_pdu_to_send(self) -> int:
        """Return the peer's limit (PS3.8 D.1), within reason, and even."""
        limit = self.longest_pdu or MAX_PDU
        return min(max(limit, _MIN_PDU), MAX_PDU) & ~1

    @property
    def _message_id(self) -> int:
        return dimse.message_id(self._requests)

    def _next_message_id(self) -> int:
        self._requests += 1
        return self._message_id

    def _is_ready(self) -> bool:
        if self._is_aborted or self._protocol.state is not State.ESTABLISHED:
            return False
        self._listen(0)
        with suppress(_LostError):
            self._answer_reports()
        while self._events and self._is_late(self._events[0]):
            self._events.popleft()
        return self._protocol.state is State.ESTABLISHED and not self._events

    def _is_late(self, event: Event) -> bool:
        """Tell whether it answers a request of this association, which may have an answer."""
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
        skips_pending: bool = False,
    ) -> Message:
        """Write a request, and return the response."""
        try:
            for index, buffers in enumerate(request):
                if index:
                    self._listen(0)
                self._write(buffers)
        except _LostError:
            lost = AssociationError(Reason(Kind.CONNECTION_LOST, "in the middle of a request"))
            try:
                answer = self._response(command_field, 0)
            except AssociationError:
                raise lost from None
            # A peer that has not read all of an image cannot have stored it.
            if is_failure(dimse.number(answer.command, dimse.STATUS) or 0):
                return answer
            raise lost from None
        return self._response(command_field, timeout, skips_pending=skips_pending)

    def _response(
        self, command_field: int, timeout: float, *, skips_pending: bool = False
    ) -> Message:
        """Wait for the response to the latest request; late answers to others are dropped."""
        wait = _Wait(self._connection, timeout)
        while True:
            event = self._next_event(wait)
            if event is None:
                raise LostAnswerError(Reason(Kind.NO_ANSWER, f"{timeout:.0f} s"))
            if not isinstance(event, Message):
                before = "before the answer to a request"
                raise LostAnswerError(Reason(Kind.CONNECTION_LOST, before))
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
                raise LostAnswerError(Reason(Kind.WRONG_ANSWER))
            if not (skips_pending and status in dimse.PENDING):
                return event

    def _wants_to_end(self) -> bool:
        """Tell whether the association has ended, or the peer wants to release it."""
        return (
            self._is_aborted
            or self._protocol.is_over
            or any(isinstance(event, ReleaseRequested | Ended) for event in self._events)
        )

    def _next_event(self, wait: "_Wait") -> Event | None:
        """Wait for what the peer says next, None where it says nothing in time."""
        self._wait_for(lambda: bool(self._events), wait)
        if self._events:
            return self._events.popleft()
        return Ended() if self._protocol.is_over or self._is_aborted else None

    def _wait_for(self, is_done: Callable[[], bool], wait: "_Wait") -> None:
        """Listen until the condition holds, the association has ended, or time is over."""
        while not (is_done() or self._protocol.is_over or self._is_aborted):
            seconds = wait.remaining()
            if seconds <= 0:
                return
            self._listen(min(seconds, self._timeouts.tick))
            if self._new_reports:
                with suppress(_LostError):
                    self._answer_reports()

    def _wait_for_end(self) -> None:
        """Read what is still to come, within reason, before the peer closes the connection."""
        deadline = monotonic() + self._timeouts.abort
        size = 0
        with suppress(OSError, ValueError):
            while (seconds := deadline - monotonic()) > 0 and size < MAX_ANSWER:
                if self._connection.wait(seconds):
                    data = self._connection.read()
                    if data == b"":
                        return
                    size += len(data or b"")

    def _listen(self, seconds: float) -> None:
        """Take what was received, which is waited for; stop at the first event."""
        if self._protocol.is_over:
            return
        try:
            has_come = self._connection.wait(seconds)
            while has_come and (data := self._connection.read()) is not None:
                self._take(data)
                has_come = bool(data) and not self._events
        except (OSError, ValueError) as exc:
            self._tls_failure = exc if isinstance(exc, SSLError) else None
            self._take(b"")

    def _take(self, data: bytes) -> None:
        for event in self._protocol.receive(data):
            if isinstance(event, Message) and dimse.is_event_report(event.command):
                self._new_reports.append(event)
            else:
                self._events.append(event)
        is_flood = len(self._new_reports) + len(self._reports) > _MAX_REPORTS
        if is_flood or len(self._events) > _MAX_EVENTS:
            self._protocol.state = State.BROKEN

    def _answer_reports(self) -> None:
        """Answer event reports (PS3.7 10.3.1)."""
        while self._new_reports and self._protocol.state is State.ESTABLISHED:
            report = self._new_reports.popleft()
            self._reports.append(report)
            response = dimse.event_report_response(report.command)
            for buffers in dimse.message(report.context_id, response, b"", self._max_pdu_to_send()):
                self._write(buffers)

    def _write(self, buffers: Sequence[Buffer]) -> None:
        """Write all; raises _LostError if that fails, or if the peer reads nothing for long."""
        with self._writing:
            if self._wants_to_end():
                raise _LostError
            try:
                rest = self._connection.write(buffers)
                if rest:
                    self._is_torn = True
                    self._write_rest(rest)
                    self._is_torn = False
            except (OSError, ValueError) as exc:
                # What the peer said last tells more than that it has gone.
                self._listen(0)
                if isinstance(exc, SSLError):
                    self._tls_failure = self._tls_failure or exc
                raise _LostError from exc

    def _write_rest(self, rest: Sequence[Buffer]) -> None:
        """Write as the peer reads, and hear what it says meanwhile."""
        in_flight = self._connection.unacknowledged
        deadline = monotonic() + self._timeouts.write
        while rest:
            seconds = min(self._timeouts.tick, deadline - monotonic())
            if seconds <= 0:
                raise _LostError
            self._connection.wait(seconds, to_write=True)
            self._listen(0)
            if self._wants_to_end():
                raise _LostError
            size = sum(map(len, rest))
            rest = self._connection.write(rest)
            unacknowledged = self._connection.unacknowledged
            if sum(map(len, rest)) < size or unacknowledged < in_flight:
                deadline = monotonic() + self._timeouts.write
            in_flight = unacknowledged


class _Wait:
    """A wait for the peer, which begins when what was written has reached it.

    The mutable state is the deadline, and how much is on its way.
    """

    def __init__(self, connection: Connection, timeout: float) -> None:
        """Wait for `timeout` seconds."""
        self._connection = connection
        self._timeout = timeout
        self._deadline = monotonic() + timeout
        self._in_flight: int | None = None
        self._is_first = True

    def remaining(self) -> float:
        """Return how many seconds are left; a short wait does without asking the system."""
        if self._is_first:
            self._is_first = False
            return self._timeout
        in_flight = self._connection.unacknowledged
        if in_flight != self._in_flight:
            self._in_flight = in_flight
            self._deadline = monotonic() + self._timeout
        return self._deadline - monotonic()
