"""HTTP/1.1 connection that the thread with a request reads and writes itself (RFC 9112)."""

from collections.abc import Callable, Sequence
from itertools import count
from math import inf
from ssl import SSLError
from threading import Lock

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
from .responses import InvalidResponseError, ResponseReader

MIN_EXPECT = 16 << 20
"""Minimum size of a body, in bytes, that waits for the server's consent (RFC 9110 10.1.1)."""
_MAX_READS = 16
_EXPECT = ("Expect", "100-continue")
_NO_REQUEST = Request("", "", ())


class HTTPConnection:
    """Kept-alive connection. One thread at a time may use it, and any thread may abort it.

    The mutable state is the connection, and what happened to the current request. The thread that
    uses the connection holds `_in_use`.
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
        self._in_use = Lock()
        self._requests = 0
        self._is_open = self._is_aborted = False
        self._begin(_NO_REQUEST)

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
        if not self._is_open or self._is_aborted:
            return False
        try:
            return not self._connection.wait(0) or self._connection.receive() is None
        except (OSError, ValueError):
            return False

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

    def _begin(self, request: Request) -> None:
        """Start without a response."""
        self._reader = ResponseReader(request)
        self._has_begun = self._has_received = False
        self._is_ended = self._is_reset = self._is_written = self._is_invalid = False
        self._failure: SSLError | None = None

    def _exchange(self, request: Request, timeout: float, *, expects: bool) -> Response:
        self._begin(request)
        self._requests += 1
        self._send(request, expects=expects)
        reader = self._reader
        wait = Wait(self._connection, timeout if self._is_written or reader.response else 0)
        while not (wait.is_over or self._is_over):
            self._listen(max(0.0, min(wait.remaining(), self._timeouts.tick)))
        response = reader.response
        if not (response and reader.is_done) or (response.is_success and not self._is_written):
            raise self._lost(timeout)
        if not (self._is_written and reader.is_reusable):
            self._close()
        return response

    @property
    def _is_over(self) -> bool:
        return self._reader.is_done or self._is_ended or self._is_aborted

    def _send(self, request: Request, *, expects: bool) -> None:
        """Write a request, unless the server answers before the end of its body."""
        body = request.body
        headers = [*request.headers]
        if body:
            headers.append(("Content-Length", str(body.size)))
        waits = bool(expects and body and body.size >= MIN_EXPECT)
        if waits:
            headers.append(_EXPECT)
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"{request.method} {request.target} HTTP/1.1\r\n{fields}\r\n".encode("ascii")
        pending = [head]
        if waits:
            if not self._write(pending):
                return
            pending = []
            wait, reader = Wait(self._connection, self._timeouts.proceed), self._reader
            while not (wait.is_over or self._is_over or reader.may_proceed or reader.response):
                self._listen(max(0.0, min(wait.remaining(), self._timeouts.tick)))
        self._is_written = self._write_body(body, pending)

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
        # A connection was tested before it was lent.
        if self._has_begun and not self._is_writable():
            return False
        self._has_begun = True
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
        return not (self._is_over or self._reader.response)

    def _listen(self, seconds: float) -> None:
        """Wait up to `seconds` for data, and read it up to the end of the response, or 1 MiB."""
        if self._is_ended or self._reader.is_done:
            return
        try:
            reads = _MAX_READS if self._connection.wait(seconds) else 0
            while reads and (data := self._connection.receive()) is not None:
                self._take(data)
                if self._is_ended or self._reader.is_done:
                    return
                self._connection.acknowledge()
                reads -= 1
        except (OSError, ValueError) as exc:
            self._failure = exc if isinstance(exc, SSLError) else None
            self._is_reset = isinstance(exc, ConnectionResetError)
            self._take(b"")

    def _take(self, data: bytes) -> None:
        """Read received data, which is empty at the end of the stream."""
        self._has_received = self._has_received or bool(data)
        try:
            self._reader.receive(data)
        except InvalidResponseError:
            self._is_invalid = True
        self._is_ended = self._is_invalid or not data

    def _lost(self, timeout: float) -> Exception:
        """Return the error for a request without a valid response.

        A server that did not read the whole request cannot have carried it out. If this side ends
        the connection, neither the acknowledgement nor a reset shows that.
        """
        if self._failure and not self._has_received and self._requests == 1:
            return self._transport.tls_error(self._connection, self._server, self._failure)
        is_read = not (self._is_reset or self._connection.unacknowledged)
        is_whole = self._is_written and (self._is_aborted or is_read)
        if self._is_invalid or self._reader.is_done:
            return LostError(Reason(Kind.WRONG_ANSWER), is_whole=is_whole)
        if not (self._is_ended or self._is_aborted) and self._is_written:
            detail = f"{timeout:.0f} s"
            detail += "; it may have carried out the request" if is_whole else ""
            return LostError(Reason(Kind.NO_ANSWER, detail), is_whole=is_whole)
        was_idle = self._requests > 1 and not self._has_received and not self._is_aborted
        where = "before the answer to a request" if self._is_written else "during a request"
        reason = Reason(Kind.CONNECTION_LOST, where)
        return LostError(reason, is_whole=is_whole, was_idle=was_idle and self._is_ended)
