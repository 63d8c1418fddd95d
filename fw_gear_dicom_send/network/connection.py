"""A TCP or TLS connection as pynetdicom's upper layer uses it, without stalls and endless waits.

pynetdicom's own sockets are IPv4 only, have no TCP_NODELAY, leave acknowledgements
to the kernel's delay and wait for ever once connected.
"""

import fcntl
import socket
import termios
from contextlib import suppress
from ssl import SSLContext, SSLError, SSLSocket, SSLWantReadError, SSLWantWriteError
from struct import Struct
from typing import TYPE_CHECKING, cast

from pynetdicom.association import Association
from pynetdicom.transport import T_CONNECT, AssociationSocket

from .timeouts import Timeouts

if TYPE_CHECKING:
    from .upper_layer import UpperLayer

_MAX_READ = 1 << 16
_MAX_PDU = 1 << 20
_PDU_TYPES = range(0x01, 0x08)
_HEADER = Struct(">BxL")
_INT = Struct("i")
_TLS_ALERT = b"\x15\x03"


class LowLatencySocket(AssociationSocket):
    """A socket for IPv4 and IPv6 that neither delays nor waits for ever.

    `error` is why there is no connection, `tls_error` why there is no TLS; `speaks_tls` tells
    whether the peer answered by an alert of TLS (RFC 8446 5.1, 6) where none was asked for.
    """

    error: OSError | None = None
    tls_error: OSError | None = None
    speaks_tls = False

    def __init__(
        self, assoc: Association, ssl_context: SSLContext | None, timeouts: Timeouts
    ) -> None:
        """Connect `assoc`, over TLS where there is a context for it."""
        super().__init__(assoc)
        self._timeouts = timeouts
        self._ssl_context = ssl_context
        self._received = bytearray()
        self._has_ended = False

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect to the address in `primitive`, and tell the upper layer the outcome."""
        if self.socket:
            self.socket.close()
        try:
            self.socket = socket.create_connection(primitive.address, self._timeouts.connect)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._acknowledge_at_once()
            if self._ssl_context:
                self.socket = self._secured(self.socket, self._ssl_context, primitive.address[0])
            self.socket.settimeout(self._timeouts.write)
            self._is_connected = True
            primitive.result = "Evt2"
        except OSError as exc:
            self.error = exc
            if self.socket:
                self.socket.close()
            self.socket = None
            primitive.result = "Evt17"
        self.provider_queue.put(primitive)
        self._ready.set()

    def _secured(self, plain: socket.socket, ssl_context: SSLContext, host: str) -> SSLSocket:
        try:
            return ssl_context.wrap_socket(plain, server_hostname=host)
        except OSError as exc:
            self.tls_error = exc
            raise

    def close(self) -> None:
        """Close the connection.

        That there was one stays known: pynetdicom looks for the answer to the association
        request only then, and may come to it late.
        """
        was_connected = self._is_connected
        super().close()
        self._is_connected = was_connected

    def cut(self) -> None:
        """End the connection at once, which wakes whoever reads or writes."""
        if open_socket := self.socket:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    @property
    def ready(self) -> bool:
        """Whether there is a PDU to read, or the end; waits for that, or for something to send."""
        if self._is_readable():
            return True
        if cast("UpperLayer", self.assoc.dul).wait(self.socket if self._is_connected else None):
            self._receive()
        return self._is_readable()

    def recv(self, nr_bytes: int) -> bytearray:
        """Return the next `nr_bytes` that were received, fewer where the connection has ended."""
        data = self._received[:nr_bytes]
        del self._received[:nr_bytes]
        return data

    def _is_readable(self) -> bool:
        """Tell whether a whole PDU is there, or what cannot be one (PS3.8 9.3.1)."""
        if self._has_ended or len(self._received) < _HEADER.size:
            return self._has_ended
        kind, length = _HEADER.unpack_from(self._received)
        is_pdu = kind in _PDU_TYPES and length <= _MAX_PDU
        return not is_pdu or len(self._received) >= _HEADER.size + length

    def _receive(self) -> None:
        """Take what has come, without waiting for more: under TLS that may be nothing."""
        if not self.socket:
            return
        self.socket.settimeout(0)
        try:
            while not self._has_ended and len(self._received) <= _MAX_PDU:
                data = self.socket.recv(_MAX_READ)
                self._has_ended = not data
                self._received += data
        except (BlockingIOError, SSLWantReadError, SSLWantWriteError):
            self._acknowledge_at_once()
        except OSError as exc:
            self._has_ended = True
            if isinstance(exc, SSLError):
                self.tls_error = exc
        finally:
            self.socket.settimeout(self._timeouts.write)
        if not self._ssl_context and self._received.startswith(_TLS_ALERT):
            self.speaks_tls = True

    def send(self, bytestream: bytes) -> None:
        """Write all; tell the upper layer if that fails, or if the peer reads nothing for long."""
        left = memoryview(bytestream)
        on_its_way = self.unacknowledged
        try:
            while self.socket and left:
                try:
                    left = left[self.socket.send(left) :]
                except TimeoutError:
                    # The kernel asks for more only when much of its buffer is free again.
                    if self.unacknowledged >= on_its_way:
                        raise
                on_its_way = self.unacknowledged
        except OSError:
            self.event_queue.put("Evt17")

    @property
    def unacknowledged(self) -> int:
        """Bytes that were written and have not reached the peer, 0 where that is not known."""
        try:
            size = fcntl.ioctl(cast(socket.socket, self.socket), termios.TIOCOUTQ, _INT.pack(0))
        except (AttributeError, OSError, TypeError, ValueError):
            return 0
        return int(_INT.unpack(size)[0])

    def _acknowledge_at_once(self) -> None:
        """Keep a peer with Nagle's algorithm from waiting 40 ms for our delayed ACK.

        The kernel forgets it, so that it is set anew after each read. Linux only.
        """
        if self.socket and hasattr(socket, "TCP_QUICKACK"):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
