"""Listener for storage commitment reports on associations of the server (PS3.4 J.3.3)."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from threading import Condition, Thread
from time import monotonic
from typing import Self

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dsutils import decode

from ..errors import ConfigError
from .acceptor import Acceptor, Report
from .timeouts import DEFAULT_TIMEOUTS, Timeouts

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 8
"""Maximum simultaneous connections. A further one closes the oldest."""
MAX_REFUSALS_LOGGED = 10
"""Maximum number of rejected associations and reports with a line in the log each."""
_MAX_BYTES = 8 << 20
"""Maximum bytes that are read from one connection."""
_RECEIVED = 1 << 16
_SUCCESS, _PROCESSING_FAILURE = 0x0000, 0x0110
_PAUSE = 0.1
"""Seconds to wait when the limit of connections or threads is reached."""


class CommitmentListener:
    """Listener that accepts only the expected reports of the peer.

    It identifies the peer by the AE titles of both sides and the Transaction UID, because its
    address may be that of a NAT. The mutable state is the connections, the oldest first, the
    reports of the expected transactions, None until they arrive, the number of rejections, and
    whether it is closed. The lock of the condition guards it.
    """

    def __init__(
        self, port: int, own_ae: str, peer_ae: str, timeouts: Timeouts = DEFAULT_TIMEOUTS
    ) -> None:
        """Prepare to listen on `port` of all addresses of this computer."""
        self.port = port
        self._own_ae = own_ae
        self._peer_ae = peer_ae
        self._timeouts = timeouts
        self._connections: list[socket.socket] = []
        self._reports: dict[str, Dataset | None] = {}
        self._refusals = 0
        self._is_closed = False
        self._changed = Condition()

    def __enter__(self) -> Self:
        """Listen. Raises ConfigError if the port cannot be used."""
        has_both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if has_both else socket.AF_INET
        try:
            self._server = socket.create_server(
                ("", self.port), family=family, dualstack_ipv6=has_both
            )
        except OSError as exc:
            allowed = f"a port that this computer can listen on ({exc.strerror})"
            raise ConfigError("commit_port", self.port, allowed) from exc
        self._server.settimeout(self._timeouts.tick)
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Close all connections, and stop listening."""
        with self._changed:
            self._is_closed = True
            connections = tuple(self._connections)
        for connection in connections:
            _cut(connection)
        self._thread.join()
        self._server.close()

    @contextmanager
    def expecting(self, transaction_uid: str) -> Iterator[None]:
        """Accept the report of a transaction while the block runs."""
        with self._changed:
            self._reports[transaction_uid] = None
        try:
            yield
        finally:
            with self._changed:
                del self._reports[transaction_uid]

    def report(self, transaction_uid: str, timeout: float) -> Dataset | None:
        """Wait for the report of an expected transaction; return None after the timeout."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._reports[transaction_uid]), timeout)
            return self._reports[transaction_uid]

    def _listen(self) -> None:
        while not self._is_closed:
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                continue
            except OSError:  # the limit of open files is reached
                with self._changed:
                    self._changed.wait_for(lambda: self._is_closed, _PAUSE)
                continue
            with self._changed:
                excess = self._connections[: len(self._connections) + 1 - MAX_CONNECTIONS]
                del self._connections[: len(excess)]
                self._connections.append(connection)
            for oldest in excess:
                _cut(oldest)
            try:
                Thread(target=self._serve, args=(connection,), daemon=True).start()
            except RuntimeError:  # the limit of threads is reached
                self._end(connection)

    def _serve(self, connection: socket.socket) -> None:
        acceptor = Acceptor(self._own_ae, self._peer_ae)
        try:
            with suppress(OSError):
                self._converse(connection, acceptor)
        finally:
            self._end(connection)

    def _converse(self, connection: socket.socket, acceptor: Acceptor) -> None:
        """Read and answer until one side ends the connection, or a limit is reached."""
        end, size = monotonic() + self._timeouts.commitment, 0
        while not (acceptor.is_over or self._is_closed) and size <= _MAX_BYTES:
            if (remaining := end - monotonic()) <= 0:
                return
            connection.settimeout(remaining)
            data = connection.recv(_RECEIVED)
            if not data:
                return
            size += len(data)
            for report in acceptor.receive(data):
                acceptor.answer(report, _SUCCESS if self._take(report) else _PROCESSING_FAILURE)
            if acceptor.refusal:
                self._log_refusal(f"Association rejected: {acceptor.refusal}")
            answers = bytes(acceptor.answers)
            acceptor.answers.clear()
            connection.sendall(answers)

    def _take(self, report: Report) -> bool:
        """Keep an expected report; return whether it was expected."""
        dataset, uid = self._decoded(report)
        with self._changed:
            is_expected = uid in self._reports
            if is_expected:
                self._reports[uid] = dataset
                self._changed.notify_all()
        if not is_expected:
            self._log_refusal("Report rejected: its transaction is unknown, or has ended")
        return is_expected

    def _decoded(self, report: Report) -> tuple[Dataset | None, str]:
        """Return the dataset of a report with its Transaction UID, empty if it is invalid."""
        encoded = report.message.dataset
        with self._changed:
            expected = tuple(self._reports)
        # Only reports that can be expected are decoded.
        if not any(uid.encode("ascii") in encoded for uid in expected):
            return None, ""
        try:
            is_implicit = UID(report.transfer_syntax).is_implicit_VR
            dataset = decode(BytesIO(encoded), is_implicit, True)
            return dataset, str(dataset.get("TransactionUID", ""))
        except Exception:
            # pydicom raises any exception for invalid bytes.
            return None, ""

    def _log_refusal(self, text: str) -> None:
        """Log a rejection, up to a maximum number."""
        with self._changed:
            self._refusals += 1
            number = self._refusals
        if number <= MAX_REFUSALS_LOGGED:
            end = ". Further rejections are not logged" if number == MAX_REFUSALS_LOGGED else ""
            log.warning("Port %d: %s%s", self.port, text, end)

    def _end(self, connection: socket.socket) -> None:
        connection.close()
        with self._changed, suppress(ValueError):
            self._connections.remove(connection)


def _cut(connection: socket.socket) -> None:
    """End a connection, also while another thread uses it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
