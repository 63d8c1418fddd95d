"""HTTP/1.1 connection that the thread with a request reads and writes itself (RFC 9112).

h11 is the state machine, and does no I/O.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from math import inf
from ssl import SSLError
from threading import Lock

import h11

from ..network.connection import Connection
from ..network.throttle import MAX_PIECE
from ..network.tls_errors import describe
from ..network.transport import Place, Transport
from ..network.types import TLSSession
from ..network.waits import Wait, write_rest
from ..reasons import Kind, Reason
from ..retry import CLOCK, MonotonicClock
from .errors import LostError
from .messages import Body, Request, Response

MIN_EXPECT = 16 << 20
"""Minimum size of a body, in bytes, that waits for the server's consent (RFC 9110 10.1.1)."""
MAX_ANSWER = 4 << 20
"""Maximum bytes of the body of a response; more is not read."""
_MAX_HEAD = 1 << 16
_MAX_READS = 16
_EXPECT = ("Expect", "100-continue")


@dataclass(frozen=True)
class _Length:
    """Stand-in for a body that h11 need not see: h11 asks only for its length."""

    size: int

    def __len__(self) -> int:
        """Return the number of bytes."""
        return self.size


class HTTPConnection:
    """Kept-alive connection. One thread at a time may use it, and any thread may abort it.

    The mutable state is the connection, h11's state, and the response to the current request. The
    thread that uses the connection holds `_in_use`.
    """

    _numbers = count(1)

    def __init__(
        self,
        server: Place,
        transport: Transport,
        clock: MonotonicClock = CLOCK,
        open_connection: Callable[[Connection, Place], None] | None = None,
    ) -> None:
        """Prepare to connect to `server`, by `open_connection` if it needs a proxy."""
        self.number = next(self._numbers)
        self.opened_at = -inf
        self._server = server
        self._transport = transport
        self._timeouts = transport.timeouts
        self._clock = clock
        self._open_connection = open_connection
        self._connection = Connection(transport.timeouts)
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        self._in_use = Lock()
        self._requests = 0
        self._is_open = self._is_aborted = False
        self._begin(None)

    def open(self) -> None:
        """Connect. Raises NoConnectionError or TLSError."""
        self.opened_at = self._clock.now()
        self._transport.connect(self._connection, self._server, self._open_connection)
        self._is_open = True

    @classmethod
    def over(cls, connection: Connection, server: Place, transport: Transport) -> "HTTPConnection":
        """Return a connection over one that is open, such as to a proxy."""
        made = cls(server, transport)
        made._connection, made._is_open = connection, True
        return made

    @property
    def is_open(self) -> bool:
        """Whether the connection was opened, and not closed since."""
        return self._is_open

    @property
    def tls(self) -> TLSSession | None:
        """The TLS session, None without TLS."""
        return describe(self._connection.tls) if self._connection.tls else None

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent: the server has neither ended the connection nor spoken."""
        if not self._is_open or self._is_aborted or self._protocol.our_state is not h11.IDLE:
            return False
        try:
            data = self._connection.read() if self._connection.wait(0) else None
        except (OSError, ValueError):
            return False
        return data is None and not self._protocol.trailing_data[0]

    def exchange(self, request: Request, timeout: float, *, expects: bool = True) -> Response:
        """Send a request and return its response, of any status.

        The server has `timeout` seconds for the whole response. With `expects`, a large body waits
        for the server's consent. Raises LostError, TLSError, or OSError if the body cannot be read.
        The connection is then closed.
        """
        with self._in_use:
            try:
                return self._exchange(request, timeout, expects=expects)
            except BaseException:
                self._close()
                raise

    def abort(self) -> None:
        """End the connection immediately."""
        self._is_aborted = True
        self._connection.cut()

    def close(self) -> None:
        """Close the connection."""
        with self._in_use:
            self._close()

    def _close(self) -> None:
        self._is_open = False
        self._connection.close()

    def _begin(self, request: Request | None) -> None:
        """Start without a response."""
        self._request = request
        self._received = 0
        self._may_proceed = self._is_ended = self._is_done = self._is_reset = False
        self._is_written = False
        self._is_invalid = False
        self._response: Response | None = None
        self._body: list[bytes] = []
        self._body_size = 0
        self._failure: SSLError | None = None

    def _exchange(self, request: Request, timeout: float, *, expects: bool) -> Response:
        self._begin(request)
        self._requests += 1
        self._send(request, expects=expects)
        wait = Wait(self._connection, timeout if self._is_written or self._response else 0)
        while not (wait.is_over or self._is_over):
            self._listen(max(0.0, min(wait.remaining(), self._timeouts.tick)))
        response = self._response
        if not (response and self._is_done) or (response.is_success and not self._is_written):
            raise self._lost(timeout)
        # h11 knows whether either side wants to close the connection.
        states = {self._protocol.our_state, self._protocol.their_state}
        if states == {h11.DONE} and not response.is_cut:
            self._protocol.start_next_cycle()
        elif h11.SWITCHED_PROTOCOL not in states:  # as a tunnel does
            self._close()
        return response

    @property
    def _is_over(self) -> bool:
        return self._is_done or self._is_ended or self._is_aborted

    def _send(self, request: Request, *, expects: bool) -> None:
        """Write a request, unless the server answers before the end of its body."""
        body = request.body
        headers = [*request.headers]
        if body:
            headers.append(("Content-Length", str(body.size)))
        waits = bool(expects and body and body.size >= MIN_EXPECT)
        head = h11.Request(
            method=request.method,
            target=request.target,
            headers=[*headers, _EXPECT] if waits else headers,
        )
        pending = [self._protocol.send(head) or b""]
        if waits:
            if not self._write(pending):
                return
            pending = []
            wait = Wait(self._connection, self._timeouts.proceed)
            while not (wait.is_over or self._is_over or self._may_proceed or self._response):
                self._listen(max(0.0, min(wait.remaining(), self._timeouts.tick)))
        if self._write_body(body, pending):
            if body:
                self._protocol.send_with_data_passthrough(h11.Data(data=_Length(body.size)))  # type: ignore[arg-type]
            self._protocol.send(h11.EndOfMessage())
            self._is_written = True

    def _write_body(self, body: Body | None, pending: list[bytes]) -> bool:
        """Write the rest of a request in large pieces; return whether all is written."""
        throttle = self._transport.throttle
        piece = throttle.piece if throttle else MAX_PIECE
        size = sum(map(len, pending))
        for block in body.blocks() if body else ():
            pending.append(block)
            size += len(block)
            if size >= piece:
                if not self._write(pending):
                    return False
                pending, size = [], 0
        return not pending or self._write(pending)

    def _write(self, buffers: Sequence[bytes]) -> bool:
        """Write buffers; return whether all are written, and the server has not answered."""
        if throttle := self._transport.throttle:
            throttle.wait(sum(map(len, buffers)), lambda: self._is_over)
        if not self._is_writable():
            return False
        try:
            rest = self._connection.write(buffers)
            return not rest or write_rest(self._connection, rest, self._is_writable)
        except (OSError, ValueError):
            # The server may have answered before it closed the connection.
            self._listen(0)
            self._is_ended = True
            return False

    def _is_writable(self) -> bool:
        """Listen to the server, and return whether it still takes data."""
        self._listen(0)
        return not (self._is_over or self._response)

    def _listen(self, seconds: float) -> None:
        """Wait up to `seconds` for data, and read it up to the end of the response, or 1 MiB."""
        if self._is_ended or self._is_done:
            return
        try:
            reads = _MAX_READS if self._connection.wait(seconds) else 0
            while reads and (data := self._connection.read()) is not None:
                self._take(data)
                reads = 0 if self._is_ended or self._is_done else reads - 1
        except (OSError, ValueError) as exc:
            self._failure = exc if isinstance(exc, SSLError) else None
            self._is_reset = isinstance(exc, ConnectionResetError)
            self._take(b"")

    def _take(self, data: bytes) -> None:
        """Give received data to h11, and keep its events."""
        self._received += len(data)
        try:
            self._protocol.receive_data(data)
            while not self._is_done:
                event = self._protocol.next_event()
                match event:
                    case h11.InformationalResponse():
                        self._may_proceed = self._may_proceed or event.status_code == 100
                    case h11.Response():
                        self._response = Response(event.status_code, _headers(event))
                        if self._protocol.their_state is h11.SWITCHED_PROTOCOL:
                            self._finish()
                    case h11.Data():
                        self._keep(bytes(event.data))
                    case h11.EndOfMessage():
                        self._finish()
                    case _:
                        break
        except h11.RemoteProtocolError:
            self._is_invalid = bool(data)
            self._is_ended = True
        if not data:
            self._is_ended = True

    def _keep(self, data: bytes) -> None:
        """Keep a block of the body, up to the maximum size."""
        assert self._response  # noqa: S101  (h11 has data only after the head)
        self._body_size += len(data)
        if self._request and self._request.take and self._response.is_success:
            self._request.take(self._response, data)
        elif self._body_size > MAX_ANSWER:
            self._finish(is_cut=True)
        else:
            self._body.append(data)

    def _finish(self, *, is_cut: bool = False) -> None:
        """Conclude the response."""
        if self._response:
            head = self._response
            self._response = Response(head.status, head.headers, b"".join(self._body), is_cut)
            self._is_done = True

    def _lost(self, timeout: float) -> Exception:
        """Return the error for a request without a valid response.

        A server that did not read the whole request cannot have carried it out. If this side ends
        the connection, neither the acknowledgement nor a reset shows that.
        """
        if self._failure and not self._received and self._requests == 1:
            return self._transport.tls_error(self._connection, self._server, self._failure)
        is_read = not (self._is_reset or self._connection.unacknowledged)
        is_whole = self._is_written and (self._is_aborted or is_read)
        if self._is_invalid or self._is_done:
            return LostError(Reason(Kind.WRONG_ANSWER), is_whole=is_whole)
        if not (self._is_ended or self._is_aborted) and self._is_written:
            detail = f"{timeout:.0f} s"
            detail += "; it may have carried out the request" if is_whole else ""
            return LostError(Reason(Kind.NO_ANSWER, detail), is_whole=is_whole)
        was_idle = self._requests > 1 and not self._received and not self._is_aborted
        where = "before the answer to a request" if self._is_written else "during a request"
        reason = Reason(Kind.CONNECTION_LOST, where)
        return LostError(reason, is_whole=is_whole, was_idle=was_idle and self._is_ended)


def _headers(event: h11.Response) -> dict[str, str]:
    """Return header fields by name; the last one of a name counts."""
    return {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
