"""One TCP or TLS connection: it neither delays data nor waits for ever.

All but `cut` is called by one thread at a time. Nothing here is POSIX-only: where the system
lacks an option or a call, the connection does without it.
"""

import importlib
import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from ssl import SSLContext, SSLSocket, SSLWantReadError, SSLWantWriteError
from struct import Struct
from threading import Thread
from typing import Any

from .dimse import Buffer
from .timeouts import Timeouts

_MAX_READ = 1 << 16
_KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
"""Seconds without traffic before a probe, seconds between probes, and unanswered probes.

A NAT may forget a connection that is idle for a few minutes.
"""
_INT = Struct("i")
_WOULD_BLOCK = (BlockingIOError, SSLWantReadError, SSLWantWriteError)

Address = tuple[socket.AddressFamily, Any]
"""An address family, and an address in it."""


def addresses(host: str, port: int, timeout: float) -> list[Address]:
    """Return the IPv4 and IPv6 addresses of a host.

    Raises OSError if it has none, or if none is known after `timeout` seconds, and UnicodeError
    if the host cannot be a name.
    """
    with suppress(socket.gaierror):
        return _resolved(host, port, socket.AI_NUMERICHOST)
    outcome: SimpleQueue[list[Address] | OSError | UnicodeError] = SimpleQueue()

    def look_up() -> None:
        try:
            outcome.put(_resolved(host, port))
        except (OSError, UnicodeError) as exc:
            outcome.put(exc)

    # getaddrinfo has no timeout.
    Thread(target=look_up, daemon=True).start()
    try:
        found = outcome.get(timeout=timeout)
    except Empty:
        raise TimeoutError(f"the name was not resolved in {timeout:.0f} s") from None
    if isinstance(found, Exception):
        raise found
    return found


def _resolved(host: str, port: int, flags: int = 0) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


class Connection:
    """A socket for IPv4 and IPv6 that never blocks; `wait` is where time passes.

    The mutable state is the socket.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        """Be not connected yet."""
        self._timeouts = timeouts
        self._socket: socket.socket | None = None
        self._poll = select.poll() if hasattr(select, "poll") else None
        self._tls: SSLSocket | None = None

    def open(self, host: str, port: int) -> None:
        """Connect to the first address of the host that answers.

        Raises OSError or UnicodeError.
        """
        error: OSError | None = None
        for family, address in addresses(host, port, self._timeouts.resolve):
            try:
                self._socket = connection = socket.socket(family, socket.SOCK_STREAM)
                self._set_options(connection)
                connection.settimeout(self._timeouts.connect)
                connection.connect(address)
            except OSError as exc:
                error = exc
                self.close()
            else:
                self._become_ready(connection)
                return
        raise error or OSError("the host has no address")

    def secure(self, ssl_context: SSLContext, host: str) -> None:
        """Do the TLS handshake. Raises OSError, which is an SSLError where TLS fails."""
        plain = self._connected()
        plain.settimeout(self._timeouts.connect)
        self._socket = self._tls = ssl_context.wrap_socket(
            plain, server_hostname=host, do_handshake_on_connect=False
        )
        self._tls.do_handshake()
        self._become_ready(self._tls)

    @property
    def tls(self) -> SSLSocket | None:
        """The TLS socket, None without TLS."""
        return self._tls

    @property
    def is_agreed(self) -> bool:
        """Whether both sides have agreed on a cipher suite of TLS, which comes first."""
        return bool(self._tls and self._tls.cipher())

    def wait(self, seconds: float, *, to_write: bool = False) -> bool:
        """Wait for data, or until data can be written as well; return whether either is so.

        Raises OSError.
        """
        connection = self._connected()
        if self._tls and self._tls.pending():
            return True
        if not self._poll:
            writable = [connection] if to_write else []
            return any(select.select([connection], writable, [], max(0.0, seconds)))
        if not to_write:
            return bool(self._poll.poll(max(0.0, 1000 * seconds)))
        self._poll.modify(connection, select.POLLIN | select.POLLOUT)
        try:
            return bool(self._poll.poll(max(0.0, 1000 * seconds)))
        finally:
            self._poll.modify(connection, select.POLLIN)

    def read(self) -> bytes | None:
        """Return the received data, empty at the end, None if there is none yet.

        Raises OSError.
        """
        try:
            data = self._connected().recv(_MAX_READ)
        except _WOULD_BLOCK:
            return None
        self._acknowledge_at_once()
        return data

    def write(self, buffers: Sequence[Buffer]) -> Sequence[Buffer]:
        """Write what the system takes at once, and return the rest. Raises OSError."""
        connection = self._connected()
        try:
            if self._tls or not hasattr(connection, "sendmsg"):
                # A TLS record that was begun has to be continued with the same data.
                buffers = buffers if len(buffers) == 1 else [b"".join(buffers)]
                written = connection.send(buffers[0])
            else:
                written = connection.sendmsg(buffers)
        except _WOULD_BLOCK:
            return buffers
        return _rest(buffers, written)

    @property
    def unacknowledged(self) -> int:
        """Bytes that were written and have not reached the peer, 0 where that is not known."""
        try:
            fcntl, termios = map(importlib.import_module, ("fcntl", "termios"))
            size = fcntl.ioctl(self._connected(), termios.TIOCOUTQ, _INT.pack(0))
        except (ImportError, OSError, ValueError):
            return 0
        return int(_INT.unpack(size)[0])

    def finish_writing(self) -> None:
        """Tell the peer that nothing more is written."""
        with suppress(OSError):
            socket.socket.shutdown(self._connected(), socket.SHUT_WR)

    def cut(self) -> None:
        """End the connection at once, which wakes the thread that waits; from any thread."""
        if connection := self._socket:
            with suppress(OSError):
                # An SSLSocket's own method takes the TLS state from under the other thread.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        if connection := self._socket:
            self._socket = self._tls = None
            connection.close()

    def _connected(self) -> socket.socket:
        if not self._socket:
            raise OSError("the connection is closed")
        return self._socket

    def _become_ready(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if self._poll:
            self._poll.register(connection, select.POLLIN)
        self._acknowledge_at_once()

    def _set_options(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        options = {**_KEEP_ALIVE, "TCP_USER_TIMEOUT": int(1000 * self._timeouts.acknowledge)}
        for name, value in options.items():
            if option := getattr(socket, name, None):
                with suppress(OSError):
                    connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def _acknowledge_at_once(self) -> None:
        """Keep a peer with Nagle's algorithm from waiting 40 ms for our delayed ACK.

        The kernel forgets it, so that it is set again after each read. Linux only.
        """
        if option := getattr(socket, "TCP_QUICKACK", None):
            with suppress(OSError):
                self._connected().setsockopt(socket.IPPROTO_TCP, option, 1)


def _rest(buffers: Sequence[Buffer], written: int) -> Sequence[Buffer]:
    """Return what comes after the first `written` bytes."""
    for index, buffer in enumerate(buffers):
        if written < len(buffer):
            return [memoryview(buffer)[written:], *buffers[index + 1 :]]
        written -= len(buffer)
    return ()
