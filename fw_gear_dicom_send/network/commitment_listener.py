"""Listener for storage commitment reports on associations of the server (PS3.4 J.3.3)."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from ssl import SSLError
from threading import Condition, Thread
from typing import Self

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dsutils import decode

from ..errors import ConfigError
from .acceptor import Acceptor
from .pdus import RELEASE_RESPONSE, Message
from .protocol import ReleaseRequested, Requested, State
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .tls import make_acceptor_context
from .types import PeerAE, TLSConfig
from .upper_layer import LostError, UpperLayer
from .waits import Wait

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 8
"""Maximum simultaneous connections. A further one closes the oldest."""
MAX_REFUSALS_LOGGED = 10
"""Maximum number of rejected associations and reports with a line in the log each."""
_SUCCESS, _PROCESSING_FAILURE = 0x0000, 0x0110
_PAUSE = 0.1
"""Seconds to wait when the limit of open files is reached."""


class CommitmentListener:
    """Listener that accepts only the expected reports of the peer.

    It identifies the peer by the AE titles of both sides and the Transaction UID, because its
    address may be that of a NAT. The mutable state is the connections with their threads, the
    oldest first, the reports of the expected transactions, None until they arrive, the number of
    rejections, and whether it is closed. The lock of the condition guards it.
    """

    def __init__(
        self,
        port: int,
        peer: PeerAE,
        tls: TLSConfig | None = None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        """Prepare to listen on `port` of all addresses of this computer, over TLS with `tls`."""
        self.port = port
        self._peer = peer
        self._tls = tls
        self._timeouts = timeouts
        self._visits: dict[UpperLayer, Thread] = {}
        self._reports: dict[str, Dataset | None] = {}
        self._refusals = 0
        self._is_closed = False
        self._changed = Condition()

    def __enter__(self) -> Self:
        """Listen. Raises ConfigError if the port, the key or a certificate cannot be used."""
        self._ssl_context = make_acceptor_context(self._tls) if self._tls else None
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
            self._changed.notify_all()
        self._thread.join()
        self._server.close()
        with self._changed:
            visits = dict(self._visits)
        for layer in visits:
            layer.connection.cut()
        for thread in visits.values():
            thread.join()

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
            self._receive(connection)

    def _receive(self, connection: socket.socket) -> None:
        """Serve a connection on a thread, and cut the oldest one if there are too many."""
        acceptor = Acceptor(self._peer)
        layer = UpperLayer(acceptor, self._timeouts, lambda report: self._take(report, acceptor))
        layer.connection.adopt(connection)
        thread = Thread(target=self._serve, args=(layer, acceptor), daemon=True)
        with self._changed:
            self._visits[layer] = thread
            excess = list(self._visits)[:-MAX_CONNECTIONS]
        for oldest in excess:
            oldest.connection.cut()
        try:
            thread.start()
        except RuntimeError:  # the limit of threads is reached
            self._end(layer)

    def _serve(self, layer: UpperLayer, acceptor: Acceptor) -> None:
        try:
            if self._ssl_context:
                layer.connection.secure(self._ssl_context)
            self._converse(layer)
            if acceptor.state is State.BROKEN:
                self._log_refusal(
                    "Association rejected: it violates the protocol, or is not for storage "
                    "commitment"
                )
        except SSLError as exc:
            self._log_refusal(f"TLS handshake failed: {exc.reason or exc.strerror}")
        except (OSError, LostError):
            pass  # the peer ended the connection
        finally:
            layer.abort()
            self._end(layer)

    def _converse(self, layer: UpperLayer) -> None:
        """Answer an association request, and reports until the association ends."""
        wait = Wait(layer.connection, self._timeouts.commitment)
        event = layer.next_event(wait)
        if isinstance(event, Requested):
            layer.answer(event.answer)
            if event.refusal:
                self._log_refusal(f"Association rejected: {event.refusal}")
                layer.wait_for_end()
                return
            event = layer.next_event(wait)
        if isinstance(event, ReleaseRequested):
            layer.answer(RELEASE_RESPONSE)
            layer.wait_for_end()

    def _end(self, layer: UpperLayer) -> None:
        layer.connection.close()
        with self._changed:
            del self._visits[layer]

    def _take(self, report: Message, acceptor: Acceptor) -> int:
        """Keep an expected report; return the status of the response (PS3.7 10.1.1)."""
        dataset, uid = self._decoded(report, acceptor.transfer_syntaxes[report.context_id])
        with self._changed:
            is_expected = uid in self._reports
            if is_expected:
                self._reports[uid] = dataset
                self._changed.notify_all()
        if not is_expected:
            self._log_refusal("Report rejected: its transaction is unknown, or has ended")
        return _SUCCESS if is_expected else _PROCESSING_FAILURE

    def _decoded(self, report: Message, transfer_syntax: str) -> tuple[Dataset | None, str]:
        """Return the dataset of a report with its Transaction UID, empty if it is invalid."""
        with self._changed:
            expected = tuple(self._reports)
        # Only reports that can be expected are decoded.
        if not any(uid.encode("ascii") in report.dataset for uid in expected):
            return None, ""
        try:
            is_implicit = UID(transfer_syntax).is_implicit_VR
            dataset = decode(BytesIO(report.dataset), is_implicit, True)
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
