"""The upper layer of one association: its protocol over its connection (PS3.8 9).

The thread that uses the association waits, reads and writes here.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from ssl import SSLError
from threading import Lock
from time import monotonic

from . import dimse
from .connection import Connection
from .contexts import Context
from .dimse import Buffer
from .protocol import (
    MAX_ANSWER,
    RELEASE_RESPONSE,
    Ended,
    Event,
    Message,
    Protocol,
    ReleaseRequested,
    State,
)
from .timeouts import Timeouts
from .types import PeerAE

MAX_PDU = 1 << 18
"""Bytes of a PDU that is sent, after its header, where the peer allows more."""
_MIN_PDU = 16
_MAX_REPORTS = 16
_MAX_EVENTS = 10_000
"""Messages that nobody asked for; a peer that sends more breaks the protocol."""


class LostError(Exception):
    """Nothing more can be written."""


class Wait:
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


class UpperLayer:
    """Writes what the protocol allows, and takes what the peer says.

    All but `abort` is called by one thread at a time. The mutable state is that of the protocol
    and the connection, events that nobody took yet, and the event reports among them. Whoever
    writes holds `_writing`.
    """

    def __init__(self, peer: PeerAE, contexts: Sequence[Context], timeouts: Timeouts) -> None:
        """Be about to connect to `peer`, and to propose `contexts`."""
        self.connection = Connection(timeouts)
        self.reports: deque[Message] = deque()
        self.tls_failure: OSError | None = None
        self.max_pdu = MAX_PDU
        self._protocol = Protocol(peer, contexts)
        self._timeouts = timeouts
        self._events: deque[Event] = deque()
        self._new_reports: deque[Message] = deque()
        self._writing = Lock()
        self._is_aborted = False
        self._is_torn = False

    @property
    def speaks_tls(self) -> bool:
        """Whether the peer answered by an alert of TLS."""
        return self._protocol.speaks_tls

    @property
    def ending(self) -> str:
        """How the association ended, in words for a log; empty where it has not."""
        return self._protocol.ending

    @property
    def wants_to_end(self) -> bool:
        """Whether the association has ended, or the peer wants to release it."""
        return (
            self._is_aborted
            or self._protocol.is_over
            or any(isinstance(event, ReleaseRequested | Ended) for event in self._events)
        )

    def limit_pdus(self, limit: int, own_limit: int = 0) -> None:
        """Keep to the peer's limit in bytes (PS3.8 D.1) and to ours, within reason; 0 is none."""
        lower = min(limit or MAX_PDU, own_limit or MAX_PDU)
        self.max_pdu = min(max(lower, _MIN_PDU), MAX_PDU) & ~1

    def request(self, timeout: float) -> Event | None:
        """Request the association; return the peer's answer, None if there is none in time."""
        with suppress(LostError):
            self.write([self._protocol.request()])
            return self.next_event(Wait(self.connection, timeout))
        return None

    def is_ready(self, is_late: Callable[[Event], bool]) -> bool:
        """Tell whether a request can be written; answers that come too late are dropped."""
        if self._is_aborted or self._protocol.state is not State.ESTABLISHED:
            return False
        self.listen(0)
        with suppress(LostError):
            self._answer_reports()
        while self._events and is_late(self._events[0]):
            self._events.popleft()
        return self._protocol.state is State.ESTABLISHED and not self._events

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Write all; raises LostError if that fails, or if the peer reads nothing for long."""
        with self._writing:
            if self.wants_to_end:
                raise LostError
            try:
                rest = self.connection.write(buffers)
                if rest:
                    self._is_torn = True
                    self._write_rest(rest)
                    self._is_torn = False
            except (OSError, ValueError) as exc:
                # What the peer said last tells more than that it has gone.
                self.listen(0)
                if isinstance(exc, SSLError):
                    self.tls_failure = self.tls_failure or exc
                raise LostError from exc

    def next_event(self, wait: Wait) -> Event | None:
        """Wait for what the peer says next, None where it says nothing in time."""
        self.wait_for(lambda: bool(self._events), wait)
        if self._events:
            return self._events.popleft()
        return Ended() if self._protocol.is_over or self._is_aborted else None

    def wait_for(self, is_done: Callable[[], bool], wait: Wait) -> None:
        """Listen until the condition holds, the association has ended, or time is over."""
        while not (is_done() or self._protocol.is_over or self._is_aborted):
            seconds = wait.remaining()
            if seconds <= 0:
                return
            self.listen(min(seconds, self._timeouts.tick))
            if self._new_reports:
                with suppress(LostError):
                    self._answer_reports()

    def listen(self, seconds: float) -> None:
        """Take what was received, which is waited for; stop at the first event."""
        if self._protocol.is_over:
            return
        try:
            has_come = self.connection.wait(seconds)
            while has_come and (data := self.connection.read()) is not None:
                self._take(data)
                has_come = bool(data) and not self._events
        except (OSError, ValueError) as exc:
            self.tls_failure = exc if isinstance(exc, SSLError) else None
            self._protocol.note_ending(f"the connection fails: {getattr(exc, 'strerror', exc)}")
            self._take(b"")

    def release(self, is_late: Callable[[Event], bool]) -> None:
        """Release the association, or answer that the peer releases it (PS3.8 7.2)."""
        with suppress(LostError):
            if self.is_ready(is_late):
                self.write([self._protocol.release()])
                wait = Wait(self.connection, self._timeouts.release)
                while isinstance(event := self.next_event(wait), Message):
                    pass
                if event is None:
                    self._protocol.note_ending("the server does not answer a release")
            else:
                event = self._events.popleft() if self._events else None
            if isinstance(event, ReleaseRequested):
                # The peer wants it as well, or wanted it first (PS3.8 7.2.2).
                self.write([RELEASE_RESPONSE])
                self.connection.finish_writing()
                self.wait_for_end()

    def abort(self) -> bool:
        """Abort the association; return whether the peer is told, and may answer that."""
        self._is_aborted = True
        is_told = False
        if self._writing.acquire(timeout=self._timeouts.abort):
            try:
                was_requested = self._protocol.state is State.REQUESTED
                if (pdu := self._protocol.abort()) and not self._is_torn:
                    with suppress(OSError):
                        is_told = not self.connection.write([pdu]) and not was_requested
                        self.connection.finish_writing()
            finally:
                self._writing.release()
        return is_told

    def wait_for_end(self) -> None:
        """Read what is still to come, within reason, before the peer closes the connection."""
        deadline = monotonic() + self._timeouts.abort
        size = 0
        with suppress(OSError, ValueError):
            while (seconds := deadline - monotonic()) > 0 and size < MAX_ANSWER:
                if self.connection.wait(seconds):
                    data = self.connection.read()
                    if data == b"":
                        return
                    size += len(data or b"")

    def _take(self, data: bytes) -> None:
        for event in self._protocol.receive(data):
            if isinstance(event, Message) and dimse.is_event_report(event.command):
                self._new_reports.append(event)
            else:
                self._events.append(event)
        is_flood = len(self._new_reports) + len(self.reports) > _MAX_REPORTS
        if is_flood or len(self._events) > _MAX_EVENTS:
            self._protocol.break_off("the server sends more than it is asked for")

    def _answer_reports(self) -> None:
        """Answer event reports (PS3.7 10.3.1)."""
        while self._new_reports and self._protocol.state is State.ESTABLISHED:
            report = self._new_reports.popleft()
            self.reports.append(report)
            response = dimse.event_report_response(report.command)
            for buffers in dimse.message(report.context_id, response, b"", self.max_pdu):
                self.write(buffers)

    def _write_rest(self, rest: Sequence[Buffer]) -> None:
        """Write as the peer reads, and hear what it says meanwhile."""
        in_flight = self.connection.unacknowledged
        deadline = monotonic() + self._timeouts.write
        while rest:
            seconds = min(self._timeouts.tick, deadline - monotonic())
            if seconds <= 0:
                raise LostError
            self.connection.wait(seconds, to_write=True)
            self.listen(0)
            if self.wants_to_end:
                raise LostError
            size = sum(map(len, rest))
            rest = self.connection.write(rest)
            unacknowledged = self.connection.unacknowledged
            if sum(map(len, rest)) < size or unacknowledged < in_flight:
                deadline = monotonic() + self._timeouts.write
            in_flight = unacknowledged
