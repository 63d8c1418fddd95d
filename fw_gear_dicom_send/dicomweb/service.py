"""DICOMweb service of one server: requests with credentials over pooled connections."""

from collections.abc import Callable
from math import inf

from ..network.transport import Transport
from ..reasons import Kind, Reason
from ..retry import MonotonicClock, RetryBudget, RetryPolicy
from ..server_url import ServerURL
from ..values import frozen
from .authorization import Authorization, TokenError
from .errors import ClosedError, LostError
from .exchange import HTTPConnection
from .messages import Body, Headers, Request, Response
from .pool import ConnectionPool
from .route import Route

_EXPECTATION_FAILED = 417
_REFUSED = (401, 403)


@frozen
class Exchange:
    """A request with its response, and the number of the connection that had it.

    `was_carried_out` means that the server may have carried the request out before, too.
    """

    response: Response
    connection: int
    was_carried_out: bool = False


class WebService:
    """Requests to one server. Any thread may use it.

    The mutable state is the pool, what the check found (the path after a redirect, and whether the
    server answers queries), and whether the server can refuse a large request before its body.
    """

    def __init__(
        self,
        url: ServerURL,
        authorization: Authorization,
        *,
        number: int,
        budget: RetryBudget,
        transport: Transport,
        policy: RetryPolicy,
    ) -> None:
        """Prepare up to `number` connections to the server at `url`.

        Raises ConfigError for an unusable proxy.
        """
        self.url = url
        self.path = url.path
        self.transport = transport
        self.policy = policy
        self.clock: MonotonicClock = policy.clock
        self.retry_time = budget.seconds
        self._authorization = authorization
        self._route = Route.to(url, transport)
        self._takes_expect = True
        self.can_query = False
        """Whether the check found that the server answers queries."""
        self.pool = ConnectionPool(
            self.new_connection, number, budget, policy, transport.timeouts.limit
        )

    def new_connection(self) -> HTTPConnection:
        """Return a connection outside of the pool, which is not open yet."""
        return self._route.connection(self.clock)

    @property
    def has_credentials(self) -> bool:
        """Whether requests have credentials."""
        return self._authorization.has_credentials

    def send(
        self,
        method: str,
        resource: str,
        *,
        headers: Headers = (),
        body: Callable[[], Body] | None = None,
        take: Callable[[Response, bytes], None] | None = None,
        timeout: float,
        opened_after: float = -inf,
    ) -> Exchange:
        """Send a request for a resource below the base URL, and return its response.

        `body` is called when a connection is free. A connection that an idle server closed is
        replaced at once. If the server refuses the credentials, a new token is tried once. Raises
        ClosedError, LostError, TLSError, TokenError, or OSError if the body cannot be read.
        """
        was_refreshed = was_carried_out = False
        try:
            while True:
                credentials, number = self._authorization.headers()
                target = self._route.target(f"{self.path}{resource}")
                fields = (*self._route.headers, *credentials, *headers)
                try:
                    with self.pool.connection(opened_after) as connection:
                        request = Request(method, target, fields, body and body(), take)
                        response = connection.exchange(request, timeout, expects=self._takes_expect)
                except LostError as exc:
                    if not exc.was_idle:
                        raise
                    was_carried_out = was_carried_out or exc.is_whole
                    opened_after = self.clock.now()
                    continue
                if response.status == _EXPECTATION_FAILED and self._takes_expect:
                    self._takes_expect = False
                elif response.status not in _REFUSED or was_refreshed:
                    return Exchange(response, connection.number, was_carried_out)
                else:
                    was_refreshed = True
                    if not self._authorization.refresh(number):
                        return Exchange(response, connection.number)
        except TokenError as exc:
            if not exc.is_final:
                raise
            self.pool.give_up(exc.reason)
            raise ClosedError(exc.reason) from None

    def hide(self, text: str) -> str:
        """Return a text of the server, or that it is withheld because it may quote a secret."""
        return self._authorization.hide(text)

    def refuse(self, response: Response) -> Reason:
        """Give the server up, because it refuses the credentials; return the reason."""
        reason = Reason(Kind.NOT_AUTHORIZED, response.words, f"HTTP {response.status}")
        self.pool.give_up(reason)
        return reason
