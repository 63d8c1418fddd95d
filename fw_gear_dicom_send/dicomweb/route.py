"""Route to a server: directly, or through the proxy that the environment names.

The variables are `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`.
"""

import os
from base64 import b64encode
from typing import Self
from urllib.parse import unquote, urlsplit

from .. import __version__
from ..errors import ConfigError
from ..network.connection import Connection
from ..network.errors import NoConnectionError
from ..network.transport import Place, Transport, open_directly
from ..reasons import Kind, Reason
from ..retry import CLOCK, MonotonicClock
from ..server_url import ServerURL
from ..values import field, frozen, replace
from .errors import LostError
from .exchange import HTTPConnection
from .messages import Headers, Request


@frozen
class Proxy:
    """HTTP proxy. `headers` have its credentials, if any."""

    host: str
    port: int
    headers: Headers = field(default=(), repr=False)

    @property
    def where(self) -> str:
        """Host and port, for people."""
        return f"the proxy {self.host} port {self.port}"


@frozen
class Route:
    """Route to the server at `url`, through `proxy` if there is one."""

    url: ServerURL
    transport: Transport
    proxy: Proxy | None = None

    @classmethod
    def to(cls, url: ServerURL, transport: Transport) -> Self:
        """Return the route in this environment, with TLS if the URL has https.

        Raises ConfigError for an unusable proxy.
        """
        own = transport if url.is_secure else replace(transport, tls_context=None)
        return cls(url, own, _proxy_for(url))

    def connection(self, clock: MonotonicClock = CLOCK) -> HTTPConnection:
        """Return a connection that is not open yet."""
        opener = self._open_by_proxy if self.proxy else None
        return HTTPConnection(self.url, self.transport, clock, opener)

    @property
    def headers(self) -> Headers:
        """Header fields of each request."""
        own = (
            ("Host", self.url.netloc),
            ("User-Agent", f"dicom-send/{__version__}"),
            # Without it, a server may compress its answers (RFC 9110 12.5.3).
            ("Accept-Encoding", "identity"),
        )
        return (*own, *self.proxy.headers) if self._forwards and self.proxy else own

    def target(self, path: str) -> str:
        """Return the target of a request: a path, or a URL for a proxy (RFC 9112 3.2.2)."""
        path = path or "/"
        return f"http://{self.url.netloc}{path}" if self._forwards else path

    @property
    def _forwards(self) -> bool:
        """Whether a proxy reads the requests."""
        return self.proxy is not None and not self.url.is_secure

    def _open_by_proxy(self, connection: Connection, server: Place) -> None:
        """Connect to the proxy, and for TLS through its tunnel (RFC 9110 9.3.6)."""
        proxy = self.proxy
        assert proxy  # noqa: S101  (else this is not called)
        open_directly(connection, proxy)
        if self._forwards:
            return
        host = f"[{server.host}]" if ":" in server.host else server.host
        target = f"{host}:{server.port}"
        request = Request("CONNECT", target, (("Host", target), *proxy.headers))
        try:
            tunnel = HTTPConnection.over(connection, server, self.transport)
            response = tunnel.exchange(request, self.transport.timeouts.associate)
            why = "" if response.is_success else response.words
        except LostError as exc:
            why = exc.reason.text
        if why:
            detail = f"{proxy.where} does not connect to {server.where}: {why}"
            raise NoConnectionError(Reason(Kind.NO_CONNECTION, detail))


def _proxy_for(server: ServerURL) -> Proxy | None:
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    # urllib takes long to import, and few environments name a proxy.
    from urllib.request import getproxies, proxy_bypass

    known = getproxies()
    found = known.get(server.scheme) or known.get("all")
    if not found or proxy_bypass(server.netloc):
        return None
    found = found if "://" in found else f"http://{found}"
    try:
        proxy = urlsplit(found)
        is_valid = proxy.scheme == "http" and proxy.hostname and proxy.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        scheme = found.partition("://")[0]
        raise ConfigError(f"{server.scheme}_proxy", scheme, "a proxy http://host:port")
    headers: Headers = ()
    if proxy.username is not None:
        pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        headers = (("Proxy-Authorization", f"Basic {b64encode(pair.encode()).decode()}"),)
    return Proxy(proxy.hostname or "", proxy.port or 80, headers)
