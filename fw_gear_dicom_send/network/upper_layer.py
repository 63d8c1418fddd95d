"""pynetdicom's upper layer (PS3.8), without its polling and its unbounded queue.

pynetdicom's provider queue takes a whole image before the first fragment is written, and its
upper layer looks for work a thousand times a second.
"""

import queue
import select
import socket
from contextlib import suppress
from dataclasses import dataclass
from ssl import SSLSocket

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_P_ABORT

from .timeouts import Timeouts

_QUEUED_DATA = 4
_MAX_READ = 1 << 16


@dataclass(frozen=True)
class DataPDUs:
    """P-DATA-TF PDUs, one after the other, as they go on the wire (PS3.8 9.3.5)."""

    encoded: bytes


class ConnectionLostError(Exception):
    """The connection ended while there was something to send."""


class ProviderQueue(queue.Queue):  # type: ignore[type-arg]
    """Takes a little data at a time, and none once the upper layer has ended."""

    def __init__(self, dul: "UpperLayer", tick: float) -> None:
        """Queue for `dul`, and look every `tick` seconds whether it has ended."""
        super().__init__(_QUEUED_DATA)
        self._dul = dul
        self._tick = tick

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
                super().put(item, block, self._tick if timeout is None else timeout)
                is_added = True
        self._dul.wake()

    def next(self) -> DataPDUs | None:
        """Return the head of the queue without taking it, if it is data."""
        head = self.queue[0] if self.queue else None
        return head if isinstance(head, DataPDUs) else None


class UpperLayer(DULServiceProvider):
    """pynetdicom's upper layer, whose thread outlives neither the process nor the connection.

    Between events it waits for the next one, in `wait`; `is_waiting` tells that it does.
    """

    def __init__(self, assoc: Association, timeouts: Timeouts) -> None:
        """Serve `assoc`."""
        super().__init__(assoc)
        self.daemon = True
        self._tick = timeouts.tick
        self.to_provider_queue = self.data = ProviderQueue(self, timeouts.tick)
        self._run_loop_delay = 0
        self.is_waiting = False

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
        self.is_waiting = True
        is_busy = self._kill_thread or self.to_provider_queue.queue or self.event_queue.queue
        is_leaving = self.state_machine.current_state == "Sta13"
        sources = [self._alarm, connection] if connection else [self._alarm]
        try:
            timeout = 0 if is_busy or is_leaving else self._tick
            readable, _, _ = select.select(sources, [], [], timeout)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")
            return False
        finally:
            self.is_waiting = False
        if self._alarm in readable:
            self._alarm.recv(_MAX_READ)
        return connection in readable

    def wake(self) -> None:
        """End the wait, as there is something to do."""
        if self.is_waiting:
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
