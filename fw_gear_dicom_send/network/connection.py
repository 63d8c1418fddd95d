"""One TCP or TLS connection without delays, in which all waits are bounded.

Only one thread at a time may call the methods, except `cut`. POSIX is not required: options and
calls that the system lacks are skipped.
"""

import importlib
import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from queue import Empty, SimpleQueue
from struct import Struct
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from .dimse import Buffer
from .timeouts import Timeouts
from .watchdog import WATCHDOG

if TYPE_CHECKING:
    from ssl import SSLContext, SSLSocket

_MAX_READ = 1 << 16
_MAX_SILENT = 4
"""Maximum number of addresses of a host that do not answer in time."""
_KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
"""Seconds without traffic before a probe, seconds between probes, and number of failed probes.

A NAT may drop a connection that is idle for a few minutes.
"""
_INT = Struct("i")

Address = tuple[socket.AddressFamily, Any]
"""An address family and an address of it."""


def addresses(host: str, port: int, timeout: float) -> list[Address]:
    """Return the IPv4 and IPv6 addresses of a host.

    Raises OSError if the host has no address, TimeoutError if it is not resolved within `timeout`
    seconds, and UnicodeError if the host name is invalid.
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
    # For text, Python imports the codec of internationalized names.
    name = host.encode() if host.isascii() else host
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


class Connection:
    """Non-blocking socket for IPv4 and IPv6. All waiting is done in `wait`.

    The mutable state is the socket, whether it was cut, and when the current call of OpenSSL must
    have ended.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        """Start without a connection."""
        self.timeouts = timeouts
        self._socket: socket.socket | None = None
        self._poll = select.poll() if hasattr(select, "poll") else None
        self._tls: SSLSocket | None = None
        self._would_block: tuple[type[OSError], ...] = (BlockingIOError,)
        self._is_cut = False
        self._call_end = inf

    def open(self, host: str, port: int) -> None:
        """Connect to the first address of the host that answers.

        Raises OSError or UnicodeError.
        """
        error: OSError | None = None
        found = addresses(host, port, self.timeouts.resolve)
        deadline = monotonic() + _MAX_SILENT * self.timeouts.connect
        for family, address in found:
            seconds = min(self.timeouts.connect, deadline - monotonic())
            if seconds <= 0:
                break
            try:
                self._socket = connection = socket.socket(family, socket.SOCK_STREAM)
                self._set_options(connection)
                connection.settimeout(seconds)
                connection.connect(address)
            except OSError as exc:
                error = exc
                self.close()
            else:
                self._become_ready(connection)
                return
        raise error or OSError("the host has no address")

    def adopt(self, connection: socket.socket) -> None:
        """Use a connection that the peer has opened."""
        self._socket = connection
        self._set_options(connection)
        self._become_ready(connection)

    def secure(self, ssl_context: "SSLContext", host: str | None = None) -> None:
        """Do the TLS handshake with `host`, or as a server with a peer that has connected.

        Raises SSLError if TLS fails, and other OSErrors.
        """
        from ssl import SSLWantReadError, SSLWantWriteError

        self._would_block = (BlockingIOError, SSLWantReadError, SSLWantWriteError)
        plain = self._connected()
        # In a handshake, Python applies the timeout to the whole, not to each read.
        plain.settimeout(self.timeouts.connect)
        self._socket = self._tls = ssl_context.wrap_socket(
            plain,
            server_side=host is None,
            server_hostname=host,
            do_handshake_on_connect=False,
        )
        if self._is_cut:  # perhaps while neither socket had the descriptor
            raise OSError("the connection was cut")
        WATCHDOG.add(self)
        self._call_end = monotonic() + self.timeouts.connect
        self._tls.do_handshake()
        self._call_end = inf
        self._become_ready(self._tls)

    @property
    def is_late(self) -> bool:
        """Whether a call of OpenSSL takes longer than the timeout of a handshake."""
        return monotonic() > self._call_end

    @property
    def tls(self) -> "SSLSocket | None":
        """The TLS socket, None without TLS."""
        return self._tls

    @property
    def is_agreed(self) -> bool:
        """Whether both sides agreed on a TLS cipher suite, an early step of the handshake."""
        return bool(self._tls and self._tls.cipher())

    def wait(self, seconds: float, *, to_write: bool = False) -> bool:
        """Wait for data to read; return whether it arrived in time.

        With `to_write`, it also returns true as soon as data can be written. Raises OSError.
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
        """Return the received data as `receive` does, and acknowledge it immediately."""
        data = self.receive()
        if data is not None:
            self.acknowledge()
        return data

    def receive(self) -> bytes | None:
        """Return the received data, empty at the end of the stream, None if none has arrived.

        Raises OSError.
        """
        if self._tls:
            self._call_end = monotonic() + self.timeouts.connect
        try:
            return self._connected().recv(_MAX_READ)
        except self._would_block:
            return None
        finally:
            self._call_end = inf

    def write(self, buffers: Sequence[Buffer]) -> Sequence[Buffer]:
        """Write as much as the system accepts without waiting, and return the rest.

        Raises OSError.
        """
        connection = self._connected()
        try:
            if self._tls or not hasattr(connection, "sendmsg"):
                # A TLS record must be continued with the data that it was started with.
                buffers = buffers if len(buffers) == 1 else [b"".join(buffers)]
                written = connection.send(buffers[0])
            else:
                written = connection.sendmsg(buffers)
        except self._would_block:
            return buffers
        return _rest(buffers, written)

    @property
    def unacknowledged(self) -> int:
        """Written bytes that the peer has not acknowledged, 0 if unknown."""
        try:
            fcntl, termios = map(importlib.import_module, ("fcntl", "termios"))
            size = fcntl.ioctl(self._connected(), termios.TIOCOUTQ, _INT.pack(0))
        except (ImportError, OSError, ValueError):
            return 0
        return int(_INT.unpack(size)[0])

    def finish_writing(self) -> None:
        """Signal the end of the written data to the peer."""
        with suppress(OSError):
            socket.socket.shutdown(self._connected(), socket.SHUT_WR)

    def cut(self) -> None:
        """End the connection immediately, and wake the waiting thread. Any thread may call this."""
        self._is_cut = True
        if connection := self._socket:
            with suppress(OSError):
                # SSLSocket.shutdown would remove the TLS state that the other thread uses.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        WATCHDOG.discard(self)
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
        self.acknowledge()

    def _set_options(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        options = {**_KEEP_ALIVE, "TCP_USER_TIMEOUT": int(1000 * self.timeouts.acknowledge)}
        for name, value in options.items():
            if option := getattr(socket, name, None):
                with suppress(OSError):
                    connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def acknowledge(self) -> None:
        """Prevent 40 ms waits of a peer with Nagle's algorithm for our delayed ACK.

        The kernel resets the option, so it is set again after a read. Linux only.
        """
        if option := getattr(socket, "TCP_QUICKACK", None):
            with suppress(OSError):
                self._connected().setsockopt(socket.IPPROTO_TCP, option, 1)


def _rest(buffers: Sequence[Buffer], written: int) -> Sequence[Buffer]:
    """Return the data after the first `written` bytes."""
    if written == sum(map(len, buffers)):
        return ()
    for index, buffer in enumerate(buffers):
        if written < len(buffer):
            return [memoryview(buffer)[written:], *buffers[index + 1 :]]
        written -= len(buffer)
    return ()
