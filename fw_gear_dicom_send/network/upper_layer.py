"""Upper layer of one association: the protocol over its connection (PS3.8 9).

The thread that uses the association does all waiting, reading and writing.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from time import monotonic

from . import dimse
from .connection import Connection
from .dimse import Buffer
from .pdus import MAX_ANSWER, RELEASE_RESPONSE, Message
from .protocol import Ended, Event, Protocol, ReleaseRequested, State
from .timeouts import Timeouts
from .tls_errors import is_of_tls
from .waits import Wait, write_rest

MAX_PDU = 1 << 18
"""Maximum bytes after the header of a sent PDU, even if the peer allows more."""
_MIN_PDU = 16
_MAX_REPORTS = 16
_MAX_EVENTS = 10_000
"""Maximum number of unread messages. A peer that sends more violates the protocol."""
_MAX_UNREAD = 4 * MAX_ANSWER
"""Maximum bytes of unread datasets."""
_MAX_READS = 16
"""Maximum number of reads, of up to 64 KiB each, before the time is checked again."""


class LostError(Exception):
    """The association is lost, and nothing more can be written."""


class UpperLayer:
    """Upper layer that writes requests and reads the peer's events.

    Only one thread at a time may call the methods, except `abort`. The mutable state is the state
    of the protocol and the connection, the unread events, and the event reports. A writer holds
    `_writing`.
    """

    def __init__(
        self,
        protocol: Protocol,
        timeouts: Timeouts,
        take_report: Callable[[Message], int] | None = None,
    ) -> None:
        """Start without a connection.

        `take_report` gets event reports and returns the status of the response. Without it, they
        are accepted and kept in `reports`.
        """
        self.connection = Connection(timeouts)
        self.reports: deque[Message] = deque()
        self.tls_failure: OSError | None = None
        self.max_pdu = MAX_PDU
        self._protocol = protocol
        self._timeouts = timeouts
        self._events: deque[Event] = deque()
        self._take_report = take_report or self._keep
        self._unanswered: deque[tuple[Message, int]] = deque()
        self._writing = Lock()
        self._is_aborted = False
        self._is_torn = False
        self.is_reset = False
        """Whether the connection was reset: the peer closed it with unread data."""

    @property
    def speaks_tls(self) -> bool:
        """Whether the peer answered with a TLS alert."""
        return self._protocol.speaks_tls

    @property
    def ending(self) -> str:
        """How the association ended, as text for the log; empty before its end."""
        return self._protocol.ending

    @property
    def is_aborted(self) -> bool:
        """Whether this side has aborted the association."""
        return self._is_aborted

    @property
    def wants_to_end(self) -> bool:
        """Whether the association has ended, or the peer wants to release it."""
        return (
            self._is_aborted
            or self._protocol.is_over
            or any(isinstance(event, ReleaseRequested | Ended) for event in self._events)
        )

    def limit_pdus(self, limit: int, own_limit: int = 0) -> None:
        """Set the maximum PDU length from both limits in bytes (PS3.8 D.1); 0 means no limit."""
        lower = min(limit or MAX_PDU, own_limit or MAX_PDU)
        self.max_pdu = min(max(lower, _MIN_PDU), MAX_PDU) & ~1

    def request(self, timeout: float) -> Event | None:
        """Request the association; return the peer's answer, None after the timeout."""
        with suppress(LostError):
            self.write([self._protocol.request()])
            return self.next_event(Wait(self.connection, timeout))
        return None

    def is_ready(self, is_late: Callable[[Event], bool]) -> bool:
        """Return whether a request can be written. Late answers are dropped."""
        if self._is_aborted or self._protocol.state is not State.ESTABLISHED:
            return False
        self.listen(0)
        with suppress(LostError):
            self._answer_reports()
        while self._events and is_late(self._events[0]):
            self._events.popleft()
        return self._protocol.state is State.ESTABLISHED and not self._events

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Write all buffers. Raises LostError on failure, or if the peer stops reading."""
        with self._writing:
            if self.wants_to_end:
                raise LostError
            try:
                rest = self.connection.write(buffers)
                if rest:
                    self._is_torn = True
                    if not write_rest(self.connection, rest, self._is_writable):
                        raise LostError
                    self._is_torn = False
            except (OSError, ValueError) as exc:
                # The last data from the peer explains more than the failed write.
                self.listen(0)
                if is_of_tls(exc):
                    self.tls_failure = self.tls_failure or exc
                raise LostError from exc

    def next_event(self, wait: Wait) -> Event | None:
        """Wait for the next event of the peer, None after the timeout."""
        self.wait_for(lambda: bool(self._events), wait)
        if self._events:
            return self._events.popleft()
        return Ended() if self._protocol.is_over or self._is_aborted else None

    def wait_for(self, is_done: Callable[[], bool], wait: Wait) -> None:
        """Listen until `is_done`, until the association has ended, or until the timeout.

        When the time is over, data that has already arrived is read once more.
        """
        while not (wait.is_over or is_done() or self._protocol.is_over or self._is_aborted):
            seconds = wait.remaining()
            self.listen(max(0.0, min(seconds, self._timeouts.tick)))
            if self._unanswered:
                with suppress(LostError):
                    self._answer_reports()

    def answer(self, pdu: bytes) -> None:
        """Write an answer without waiting. Raises LostError if the peer does not read it."""
        with self._writing:
            self._write_at_once([pdu])

    def listen(self, seconds: float) -> None:
        """Wait up to `seconds` for data, and read it until the first event, up to 1 MiB."""
        if self._protocol.is_over:
            return
        try:
            reads = _MAX_READS if self.connection.wait(seconds) else 0
            while reads and (data := self.connection.read()) is not None:
                self._take(data)
                reads = reads - 1 if data and not self._events else 0
        except (OSError, ValueError) as exc:
            self.tls_failure = exc if is_of_tls(exc) else None
            self.is_reset = isinstance(exc, ConnectionResetError)
            self._protocol.note_ending(f"the connection failed: {getattr(exc, 'strerror', exc)}")
            self._take(b"")

    def release(self, is_late: Callable[[Event], bool]) -> None:
        """Release the association, or answer the peer's release request (PS3.8 7.2)."""
        with suppress(LostError):
            if self.is_ready(is_late):
                self.write([self._protocol.release()])
                wait = Wait(self.connection, self._timeouts.release)
                while isinstance(event := self.next_event(wait), Message):
                    pass
                if event is None:
                    self._protocol.note_ending("the server did not answer the release request")
            else:
                event = self._events.popleft() if self._events else None
            if isinstance(event, ReleaseRequested):
                # The peer requested a release too (PS3.8 7.2.2).
                self.write([RELEASE_RESPONSE])
                self.wait_for_end()

    def abort(self) -> bool:
        """Abort the association; return whether an A-ABORT was sent that the peer may answer."""
        self._is_aborted = True
        is_sent = False
        if self._writing.acquire(timeout=self._timeouts.abort):
            try:
                was_requested = self._protocol.state is State.REQUESTED
                if (pdu := self._protocol.abort()) and not self._is_torn:
                    with suppress(OSError):
                        is_sent = not self.connection.write([pdu]) and not was_requested
                        self.connection.finish_writing()
            finally:
                self._writing.release()
        return is_sent

    def wait_for_end(self) -> None:
        """Read and drop remaining data until the peer closes the connection, within limits."""
        self.connection.finish_writing()
        deadline = monotonic() + self._timeouts.abort
        size = 0
        try:
            while (seconds := deadline - monotonic()) > 0 and size < MAX_ANSWER:
                if self.connection.wait(seconds):
                    data = self.connection.read()
                    if data == b"":
                        return
                    size += len(data or b"")
        except (OSError, ValueError) as exc:
            self.is_reset = isinstance(exc, ConnectionResetError)

    def _take(self, data: bytes) -> None:
        for event in self._protocol.receive(data):
            if isinstance(event, Message) and dimse.is_event_report(event.command):
                self._unanswered.append((event, self._take_report(event)))
            else:
                self._events.append(event)
        is_flood = max(len(self._unanswered), len(self.reports)) > _MAX_REPORTS
        unread = sum(len(event.dataset) for event in self._events if isinstance(event, Message))
        if is_flood or len(self._events) > _MAX_EVENTS or unread > _MAX_UNREAD:
            self._protocol.break_off("the server sends too many unrequested messages")

    def _keep(self, report: Message) -> int:
        self.reports.append(report)
        return 0

    def _answer_reports(self) -> None:
        """Answer event reports (PS3.7 10.3.1), without waiting for a peer that does not read."""
        while self._unanswered and self._protocol.state is State.ESTABLISHED:
            report, status = self._unanswered.popleft()
            response = dimse.event_report_response(report.command, status)
            for buffers in dimse.message(report.context_id, response, b"", self.max_pdu):
                with self._writing:
                    self._write_at_once(buffers)

    def _write_at_once(self, buffers: Sequence[Buffer]) -> None:
        """Write all buffers without waiting. Raises LostError, and ends the association, if not."""
        try:
            if not self.connection.write(buffers):
                return
        except (OSError, ValueError) as exc:
            raise LostError from exc
        self._is_torn = True
        self._protocol.break_off("the server does not read the answers to its reports")
        raise LostError

    def _is_writable(self) -> bool:
        """Listen to the peer, and return whether it still takes data."""
        self.listen(0)
        return not self.wants_to_end
