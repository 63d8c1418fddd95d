"""Time limit for calls of OpenSSL, which read handshake messages for as long as they arrive."""

from threading import Lock, Thread
from time import sleep
from typing import Protocol

_INTERVAL = 1.0
"""Seconds between checks."""


class Watched(Protocol):
    """A connection whose calls have a time limit."""

    @property
    def is_late(self) -> bool:
        """Whether the current call takes too long."""

    def cut(self) -> None:
        """End the connection, and so its current call."""


class Watchdog:
    """Thread that cuts connections whose current call takes too long.

    It runs while there are connections. The mutable state is these connections; the lock guards
    them.
    """

    def __init__(self) -> None:
        """Start without connections."""
        self._connections: set[Watched] = set()
        self._lock = Lock()

    def add(self, connection: Watched) -> None:
        """Watch a connection. Raises OSError if the limit of threads is reached."""
        with self._lock:
            if not self._connections:
                try:
                    Thread(target=self._run, daemon=True).start()
                except RuntimeError as exc:
                    raise OSError("the limit of threads is reached") from exc
            self._connections.add(connection)

    def discard(self, connection: Watched) -> None:
        """Stop watching a connection."""
        with self._lock:
            self._connections.discard(connection)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._connections:
                    return
                late = [connection for connection in self._connections if connection.is_late]
            for connection in late:
                connection.cut()
            sleep(_INTERVAL)


WATCHDOG = Watchdog()
