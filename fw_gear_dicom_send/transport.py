"""Connections as pynetdicom's upper layer uses them, without its stalls and endless waits.

pynetdicom's own sockets are IPv4 only, have no TCP_NODELAY, leave acknowledgements
to the kernel's delay and wait for ever once connected; its provider queue takes a
whole image before the first fragment is written.
"""

import queue
import socket
from contextlib import suppress

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_P_ABORT, P_DATA
from pynetdicom.transport import T_CONNECT, AssociationSocket

CONNECT_TIMEOUT = 15.0
"""Seconds to wait for a TCP connection, for each address of the host."""
WRITE_TIMEOUT = 60.0
"""Seconds after which a peer that reads nothing is given up."""

_QUEUED_PDUS = 8
_LARGEST_READ = 1 << 16
_TICK = 0.5


class ConnectionLostError(Exception):
    """The connection ended while there was something to send."""


class LowLatencySocket(AssociationSocket):
    """A socket for IPv4 and IPv6 that neither delays nor waits for ever."""

    error: OSError | None = None

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect to the address in `primitive`, and tell the upper layer the outcome."""
        if self.socket:
            self.socket.close()
        try:
            self.socket = socket.create_connection(primitive.address, CONNECT_TIMEOUT)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self.socket.settimeout(WRITE_TIMEOUT)
            self._acknowledge_at_once()
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

    def cut(self) -> None:
        """End the connection at once, which wakes whoever reads or writes."""
        if open_socket := self.socket:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def recv(self, nr_bytes: int) -> bytearray:
        """Read `nr_bytes`, fewer where the peer closes the connection before."""
        data = bytearray()
        while self.socket and len(data) < nr_bytes:
            received = self.socket.recv(min(nr_bytes - len(data), _LARGEST_READ))
            if not received:
                break
            self._acknowledge_at_once()
            data += received
        return data

    def _acknowledge_at_once(self) -> None:
        """Keep a peer with Nagle's algorithm from waiting 40 ms for our delayed ACK.

        The kernel forgets it, so that it is set anew after each read. Linux only.
        """
        if self.socket and hasattr(socket, "TCP_QUICKACK"):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class ProviderQueue(queue.Queue):  # type: ignore[type-arg]
    """Takes a few PDUs of data at a time, and none once the upper layer has ended."""

    def __init__(self, assoc: Association) -> None:
        """Queue for the upper layer of `assoc`."""
        super().__init__(_QUEUED_PDUS)
        self._assoc = assoc

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        """Add data when there is room for it, anything else at once.

        Raises ConnectionLostError where nobody is left to take data.
        """
        if not isinstance(item, P_DATA):
            with self.mutex:
                self._put(item)
                self.unfinished_tasks += 1
                self.not_empty.notify()
            return
        is_added = False
        while not is_added:
            if not self._assoc.dul.is_alive():
                raise ConnectionLostError
            with suppress(queue.Full):
                super().put(item, block, _TICK if timeout is None else timeout)
                is_added = True


class UpperLayer(DULServiceProvider):
    """pynetdicom's upper layer, whose thread outlives neither the process nor the connection."""

    def __init__(self, assoc: Association) -> None:
        """Serve `assoc`."""
        super().__init__(assoc)
        self.daemon = True
        self.to_provider_queue = ProviderQueue(assoc)

    def run_reactor(self) -> None:
        """Run until the association ends, and close the connection.

        pynetdicom lets some errors of the peer end the thread by an exception, of
        which nobody else would learn.
        """
        try:
            super().run_reactor()
        except Exception:
            self.to_user_queue.put(A_P_ABORT())
        finally:
            self.assoc.dimse.msg_queue.put((None, None))
            if self.socket:
                self.socket.close()
                self.socket._ready.set()
