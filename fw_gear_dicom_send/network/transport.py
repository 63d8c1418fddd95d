"""Connections to a peer: TLS, timeouts and rate limit of all, and how one is opened."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..reasons import Kind, Reason
from ..values import frozen
from .connection import Connection
from .errors import NoConnectionError, NoHandshakeError, TLSError
from .throttle import Throttle
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .tls_errors import explain, is_untrusted

if TYPE_CHECKING:
    from .tls import TLSContext


class Place(Protocol):
    """Host and port of a peer; `where` names both to people."""

    @property
    def host(self) -> str:
        """Host name or IP address."""

    @property
    def port(self) -> int:
        """Port."""

    @property
    def where(self) -> str:
        """Host and port, for people."""


@frozen
class Transport:
    """TLS, timeouts and rate limit of all connections to a peer.

    Without `tls_context`, connections are unencrypted. `throttle` limits the rate of all
    connections together.
    """

    tls_context: "TLSContext | None" = None
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    throttle: Throttle | None = None

    def connect(
        self,
        connection: Connection,
        peer: Place,
        open_connection: Callable[[Connection, Place], None] | None = None,
    ) -> None:
        """Connect with one TLS context after another, until the peer is trusted.

        `open_connection` opens each connection before TLS, by default to the peer itself. Raises
        NoConnectionError and TLSError.
        """
        open_connection = open_connection or open_directly
        open_connection(connection, peer)
        if not self.tls_context:
            return
        from ssl import SSLCertVerificationError

        refusals: list[OSError] = []
        for context in self.tls_context.contexts:
            if refusals:
                connection.close()
                open_connection(connection, peer)
            try:
                connection.secure(context, peer.host)
            except SSLCertVerificationError as exc:
                refusals.append(exc)
            except OSError as exc:
                raise self.tls_error(connection, peer, exc) from exc
            else:
                self.tls_context.prefer(context)
                return
        cause = min(refusals, key=is_untrusted)
        raise self.tls_error(connection, peer, cause) from cause

    def tls_error(self, connection: Connection, peer: Place, error: OSError) -> TLSError:
        """Return the error with the cause of a failed handshake."""
        context = self.tls_context
        failure = explain(
            error,
            shows_certificate=context is None or context.shows_certificate,
            is_agreed=connection.is_agreed,
        )
        return (TLSError if failure.is_final else NoHandshakeError)(peer.where, failure)


DEFAULT_TRANSPORT = Transport()


def open_directly(connection: Connection, peer: Place) -> None:
    """Open a connection to a peer. Raises NoConnectionError."""
    try:
        connection.open(peer.host, peer.port)
    except (OSError, UnicodeError) as exc:
        detail = f"cannot connect to {peer.where}: {getattr(exc, 'strerror', None) or exc}"
        raise NoConnectionError(Reason(Kind.NO_CONNECTION, detail)) from exc
