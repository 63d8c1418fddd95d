"""Connections to a peer: TLS, timeouts and rate limit of all, and how one is opened."""

from dataclasses import dataclass
from ssl import SSLCertVerificationError

from ..errors import ConfigError
from ..reasons import Kind, Reason
from .connection import Connection, addresses
from .errors import NoConnectionError, NoHandshakeError, TLSError
from .throttle import Throttle
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .tls import TLSContext
from .tls_errors import explain, is_untrusted
from .types import PeerAE


@dataclass(frozen=True)
class Transport:
    """TLS, timeouts and rate limit of all connections to a peer.

    Without `tls_context`, connections are unencrypted; `profile` is its name in PS3.15 annex B.
    `throttle` limits the rate of all connections together.
    """

    tls_context: TLSContext | None = None
    timeouts: Timeouts = DEFAULT_TIMEOUTS
    throttle: Throttle | None = None
    profile: str = ""

    def connect(self, connection: Connection, peer: PeerAE) -> None:
        """Connect with one TLS context after another, until the peer is trusted.

        Raises NoConnectionError and TLSError.
        """
        _open(connection, peer)
        if not self.tls_context:
            return
        refusals: list[OSError] = []
        for context in self.tls_context.contexts:
            if refusals:
                connection.close()
                _open(connection, peer)
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

    def tls_error(self, connection: Connection, peer: PeerAE, error: OSError) -> TLSError:
        """Return the error with the cause of a failed handshake."""
        context = self.tls_context
        failure = explain(
            error,
            shows_certificate=context is None or context.shows_certificate,
            is_agreed=connection.is_agreed,
        )
        return (TLSError if failure.is_final else NoHandshakeError)(peer.where, failure)


DEFAULT_TRANSPORT = Transport()


def resolve(peer: PeerAE, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
    """Check that the peer's host name can be resolved. Raises ConfigError if not."""
    try:
        addresses(peer.host, peer.port, timeouts.resolve)
    except (OSError, UnicodeError) as exc:
        allowed = "a host name that can be resolved, or an IPv4 or IPv6 address"
        raise ConfigError("destination", peer.host, allowed) from exc


def _open(connection: Connection, peer: PeerAE) -> None:
    try:
        connection.open(peer.host, peer.port)
    except (OSError, UnicodeError) as exc:
        detail = f"cannot connect to {peer.where}: {getattr(exc, 'strerror', None) or exc}"
        raise NoConnectionError(Reason(Kind.NO_CONNECTION, detail)) from exc
