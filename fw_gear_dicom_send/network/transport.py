"""Settings of the connections to a peer."""

from dataclasses import dataclass

from .throttle import Throttle
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .tls import TLSContext


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


DEFAULT_TRANSPORT = Transport()
