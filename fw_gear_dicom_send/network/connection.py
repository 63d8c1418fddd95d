"""Connections as pynetdicom's upper layer uses them, without its stalls and endless waits.

pynetdicom's own sockets are IPv4 only, have no TCP_NODELAY, leave acknowledgements
to the kernel's delay and wait for ever once connected; its provider queue takes a
whole image before the first fragment is written; its upper layer looks for work a
thousand times a second.
"""

import fcntl
import queue
import select
import socket
import termios
from contextlib import suppress
from dataclasses import dataclass
from ssl import SSLContext, SSLError, SSLSocket, SSLWantReadError, SSLWantWriteError
from struct import Struct
from typing import cast

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_P_ABORT
from pynetdicom.transport import T_CONNECT, AssociationSocket

CONNECT_TIMEOUT = 15.0
"""Seconds to wait for a TCP connection, for each address of the host."""
WRITE_TIMEOUT = 60.0
"""Seconds after which a peer that reads nothing is given up."""

_QUEUED_DATA = 4
_LARGEST_READ = 1 << 16
_LONGEST_PDU = 1 << 20
_PDU_TYPES = range(0x01, 0x08)
_HEADER = Struct(">BxL")
_INT = Struct("i")
_TICK = 0.5
_TLS_ALERT = b"\x15\x03"


@dataclass(frozen=True)
class DataPDUs:
    """P-DATA-TF PDUs, one after the other, as they go on the wire (PS3.8 9.3.5)."""

    encoded: bytes


class ConnectionLostError(Exception):
    """The connection ended while there was something to send."""


class LowLatencySocket(AssociationSocket):
    """A socket for IPv4 and IPv6 that neither delays nor waits for ever.

    `error` is why there is no connection, `tls_error` why there is no TLS; `speaks_tls` tells
    whether the peer answered by an alert of TLS (RFC 8446 5.1, 6) where none was asked for.
    """

    error: OSError | None = None
    tls_error: OSError | None = None
    speaks_tls = False

    def __init__(self, assoc: Association, ssl_context: SSLContext | None = None) -> None:
        """Connect `assoc`, by TLS where there is a context for it."""
        super().__init__(assoc)
        self._ssl_context = ssl_context
        self._received = bytearray()
        self._has_ended = False

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect to the address in `primitive`, and tell the upper layer the outcome."""
        if self.socket:
            self.socket.close()
        try:
            self.socket = socket.create_connection(primitive.address, CONNECT_TIMEOUT)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._acknowledge_at_once()
            if self._ssl_context:
                self.socket = self._secured(self.socket, self._ssl_context, primitive.address[0])
            self.socket.settimeout(WRITE_TIMEOUT)
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
        if cast(UpperLayer, self.assoc.dul).wait(self.socket if self._is_connected else None):
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
        is_pdu = kind in _PDU_TYPES and length <= _LONGEST_PDU
        return not is_pdu or len(self._received) >= _HEADER.size + length

    def _receive(self) -> None:
        """Take what has come, without waiting for more: under TLS that may be nothing."""
        if not self.socket:
            return
        self.socket.settimeout(0)
        try:
            while not self._has_ended and len(self._received) <= _LONGEST_PDU:
                data = self.socket.recv(_LARGEST_READ)
                self._has_ended = not data
                self._received += data
        except (BlockingIOError, SSLWantReadError, SSLWantWriteError):
            self._acknowledge_at_once()
        except OSError as exc:
            self._has_ended = True
            if isinstance(exc, SSLError):
                self.tls_error = exc
        finally:
            self.socket.settimeout(WRITE_TIMEOUT)
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


class ProviderQueue(queue.Queue):  # type: ignore[type-arg]
    """Takes a little data at a time, and none once the upper layer has ended."""

    def __init__(self, dul: "UpperLayer") -> None:
        """Queue for `dul`."""
        super().__init__(_QUEUED_DATA)
        self._dul = dul

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        """Add data when there is room for it, anything else at once.

        Raises ConnectionLostError where nobody is left to take data.
        """
        if not isinstance(item, DataPDUs):
            with self.mutex:
                self._put(item)
                self.unfinished_tasks += 1
                self.not_empty.notify()
            self._dul.wake()
            return
        is_added = False
        while not is_added:
            if not self._dul.is_alive():
                raise ConnectionLostError
            with suppress(queue.Full):
                super().put(item, block, _TICK if timeout is None else timeout)
                is_added = True
        self._dul.wake()

    def next(self) -> DataPDUs | None:
        """Return the head of the queue without taking it, if it is data."""
        head = self.queue[0] if self.queue else None
        return head if isinstance(head, DataPDUs) else None


class UpperLayer(DULServiceProvider):
    """pynetdicom's upper layer, whose thread outlives neither the process nor the connection.

    Between events it waits for the next one, in `wait`.
    """

    def __init__(self, assoc: Association) -> None:
        """Serve `assoc`."""
        super().__init__(assoc)
        self.daemon = True
        self.to_provider_queue = self.data = ProviderQueue(self)
        self._run_loop_delay = 0
        self._is_waiting = False

    def start(self) -> None:
        """Start the thread.

        Raises OSError where the process can open no more files.
        """
        self._alarm, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        super().start()

    def run_reactor(self) -> None:
        """Run until the association ends, and close the connection.

        Whoever waits for the peer learns of it, also where pynetdicom lets an error of
        the peer end the thread by an exception.
        """
        try:
            with suppress(Exception):
                super().run_reactor()
        finally:
            self.to_user_queue.put(A_P_ABORT())
            self.assoc.dimse.msg_queue.put((None, None))
            if self.socket:
                self.socket.close()
                self.socket._ready.set()
            self._alarm.close()
            self._waker.close()

    def _process_recv_primitive(self) -> bool:
        """Write data at once, if there is some: pynetdicom's state machine takes long for it.

        While an association lasts, data leaves its state as it is (PS3.8 9.2.3, DT-1),
        else nobody takes it. What the peer says meanwhile is read first.
        """
        data = self.data.next()
        if not data:
            return super()._process_recv_primitive()
        if self.event_queue.queue or not self.socket or self.socket.ready:
            return False
        self.data.get(block=False)
        if self.state_machine.current_state == "Sta6":
            self.socket.send(data.encoded)
        return True

    def wait(self, connection: socket.socket | None) -> bool:
        """Wait until `connection` can be read, which is told, or until `wake`."""
        if isinstance(connection, SSLSocket) and connection.pending():
            return True
        self._is_waiting = True
        is_busy = self._kill_thread or self.to_provider_queue.queue or self.event_queue.queue
        is_leaving = self.state_machine.current_state == "Sta13"
        sources = [self._alarm, connection] if connection else [self._alarm]
        try:
            timeout = 0 if is_busy or is_leaving else _TICK
            readable, _, _ = select.select(sources, [], [], timeout)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")
            return False
        finally:
            self._is_waiting = False
        if self._alarm in readable:
            self._alarm.recv(_LARGEST_READ)
        return connection in readable

    def wake(self) -> None:
        """End the wait, as there is something to do."""
        if self._is_waiting:
            with suppress(OSError):
                self._waker.send(b"\0")

    def kill_dul(self) -> None:
        """End the thread."""
        super().kill_dul()
        self.wake()

    def stop_dul(self) -> bool:
        """End the thread, if the association has ended; tell whether it has."""
        has_ended = self.state_machine.current_state == "Sta1"
        if has_ended:
            self.kill_dul()
            self.join()
        return has_ended
