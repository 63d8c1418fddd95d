"""Listens for storage commitment reports on associations that the server opens (PS3.4 J.3.3)."""

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
"""Connections at once; for a further one the oldest is closed."""
MAX_REFUSALS_LOGGED = 10
"""Associations and reports that are refused, of which each has a line in the log."""
_MAX_BYTES = 8 << 20
"""Bytes that are read of one connection."""
_RECEIVED = 1 << 16
_SUCCESS, _PROCESSING_FAILURE = 0x0000, 0x0110
_PAUSE = 0.1
"""Seconds to wait where the machine gives no further connection or thread."""


class CommitmentListener:
    """Takes reports of transactions that are expected, from the peer alone; refuses all else.

    The peer is known by the AE titles of both sides and the Transaction UID, as its address may
    be that of a NAT. The mutable state is the connections, the oldest first, the reports of the
    transactions that are expected, each None until it comes, how much was refused, and whether it
    is closed; it is changed with the lock of the condition.
    """

    def __init__(
        self, port: int, own_ae: str, peer_ae: str, timeouts: Timeouts = DEFAULT_TIMEOUTS
    ) -> None:
        """Be about to listen on `port` of all addresses of this computer."""
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
        """Listen; raise ConfigError where that cannot be done."""
        has_both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if has_both else socket.AF_INET
        try:
            self._server = socket.create_server(
                ("", self.port), family=family, dualstack_ipv6=has_both
            )
        except OSError as exc:
            allowed = f"a port that can be listened on: {exc.strerror}"
            raise ConfigError("commit_port", self.port, allowed) from exc
        self._server.settimeout(self._timeouts.tick)
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Close all connections, and listen no more."""
        with self._changed:
            self._is_closed = True
            connections = tuple(self._connections)
        for connection in connections:
            _cut(connection)
        self._thread.join()
        self._server.close()

    @contextmanager
    def expecting(self, transaction_uid: str) -> Iterator[None]:
        """Take the report of a transaction as long as the block runs."""
        with self._changed:
            self._reports[transaction_uid] = None
        try:
            yield
        finally:
            with self._changed:
                del self._reports[transaction_uid]

    def report(self, transaction_uid: str, timeout: float) -> Dataset | None:
        """Wait for the report of a transaction that is expected; None if it does not come."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._reports[transaction_uid]), timeout)
            return self._reports[transaction_uid]

    def _listen(self) -> None:
        while not self._is_closed:
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                continue
            except OSError:  # there are as many open files as there may be
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
            except RuntimeError:  # there are as many threads as there may be
                self._end(connection)

    def _serve(self, connection: socket.socket) -> None:
        acceptor = Acceptor(self._own_ae, self._peer_ae)
        try:
            with suppress(OSError):
                self._converse(connection, acceptor)
        finally:
            self._end(connection)

    def _converse(self, connection: socket.socket, acceptor: Acceptor) -> None:
        """Read and answer until one side ends it, or it takes too long or too much."""
        end, size = monotonic() + self._timeouts.commitment, 0
        while not (acceptor.is_over or self._is_closed) and size <= _MAX_BYTES:
            connection.settimeout(max(end - monotonic(), 0.001))
            data = connection.recv(_RECEIVED)
            if not data:
                return
            size += len(data)
            for report in acceptor.receive(data):
                acceptor.answer(report, _SUCCESS if self._take(report) else _PROCESSING_FAILURE)
            if acceptor.refusal:
                self._tell_refusal(f"An association was refused: {acceptor.refusal}")
            answers = bytes(acceptor.answers)
            acceptor.answers.clear()
            connection.sendall(answers)

    def _take(self, report: Report) -> bool:
        """Keep a report that is expected, and tell whether it is."""
        dataset, uid = self._decoded(report)
        with self._changed:
            is_expected = uid in self._reports
            if is_expected:
                self._reports[uid] = dataset
                self._changed.notify_all()
        if not is_expected:
            self._tell_refusal("A report was refused: its transaction is not known, or over")
        return is_expected

    def _decoded(self, report: Report) -> tuple[Dataset | None, str]:
        """Return the dataset of a report with its Transaction UID, empty where it is no report."""
        encoded = report.message.dataset
        with self._changed:
            expected = tuple(self._reports)
        # What cannot be expected is not worth the time to decode it.
        if not any(uid.encode("ascii") in encoded for uid in expected):
            return None, ""
        try:
            is_implicit = UID(report.transfer_syntax).is_implicit_VR
            dataset = decode(BytesIO(encoded), is_implicit, True)
            return dataset, str(dataset.get("TransactionUID", ""))
        except Exception:
            # pydicom raises anything for bytes that are no dataset.
            return None, ""

    def _tell_refusal(self, text: str) -> None:
        """Log what was refused, unless that was done often."""
        with self._changed:
            self._refusals += 1
            number = self._refusals
        if number <= MAX_REFUSALS_LOGGED:
            end = ". Further ones are not logged" if number == MAX_REFUSALS_LOGGED else ""
            log.warning("Port %d: %s%s", self.port, text, end)

    def _end(self, connection: socket.socket) -> None:
        connection.close()
        with self._changed, suppress(ValueError):
            self._connections.remove(connection)


def _cut(connection: socket.socket) -> None:
    """End a connection that another thread uses."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
