"""Checks that a server accepts images by STOW-RS, before anything is downloaded.

Nothing is stored: the first request is a query, and the second a store request without an image.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

from ..delivery.sender import RequestError
from ..errors import ServerError
from ..network.errors import NoConnectionError, TLSError
from ..network.tls import log_session
from ..network.types import TLSSession
from ..reasons import Kind, Reason
from ..retry import Retry, RetryPolicy
from ..server_url import ServerURL, without_secrets
from ..text import printable
from ..values import frozen, replace
from .answers import BUSY, NO_SERVICE
from .authorization import TokenError
from .errors import ClosedError
from .messages import Body, Response
from .request import ACCEPT, CONTENT_TYPE, EMPTY_BODY
from .service import WebService

log = logging.getLogger(__name__)

MIN_DISTANCE = 0.003
"""Minimum seconds for a request without an image to a distant server."""
_MAX_MEASUREMENTS = 3
_MAX_REDIRECTS = 5
_STUDIES = "/studies"
_WRONG_BASE = "check the path of the URL: it must be the base of the DICOMweb service"
_WRONG_SCHEME = "check that {destination} is the URL of a DICOMweb server, and http or https"
_CREDENTIALS = "check {authorization}, and the permissions on the server"


@frozen
class WebServer:
    """Properties of a DICOMweb server.

    `product` is its header Server. `query` is the answer to a query, and `store` the one to a store
    request without an image, which took `store_seconds`.
    """

    product: str
    tls: TLSSession | None
    query: Response
    store: Response
    store_seconds: float


def check(service: WebService, policy: RetryPolicy) -> WebServer:
    """Query one study, and send a store request without an image; log the TLS session.

    `policy` is for a server that is busy. A redirect to another path of the server is followed
    from now on. Raises ServerError, whose message says what to check.
    """
    if service.url.path.endswith(_STUDIES):
        raise _error(service, f"the URL ends with {_STUDIES}", _WRONG_BASE)
    retry = Retry(policy)
    with _explained(service):
        session = _session(service)
        query = _query(service, retry)
        store, seconds = _ask(service, retry, _STUDIES, EMPTY_BODY)
    _judge(service, query, store)
    service.can_query = query.is_success
    product = printable(service.hide(query.headers.get("server", ""))[:100])
    return WebServer(product, session, query, store, seconds)


def is_distant(service: WebService, server: WebServer, policy: RetryPolicy) -> bool:
    """Return whether requests take so long that several images should share one.

    The shortest of several requests counts, with all that is between: network, proxies, gateways.
    Raises ServerError.
    """
    seconds = server.store_seconds
    for _ in range(_MAX_MEASUREMENTS - 1):
        if seconds < MIN_DISTANCE:
            break
        with _explained(service):
            seconds = min(seconds, _ask(service, Retry(policy), _STUDIES, EMPTY_BODY)[1])
    return seconds >= MIN_DISTANCE


def _session(service: WebService) -> TLSSession | None:
    """Open the first connection of the pool, and return its TLS session, which is logged.

    The pool itself would retry a failed connection for long.
    """
    connection = service.new_connection()
    try:
        connection.open()
    except BaseException:
        connection.close()
        raise
    service.pool.adopt(connection)
    session = connection.tls
    if session:
        log_session(session)
    return session


def _query(service: WebService, retry: Retry) -> Response:
    """Query one study, and follow redirects on the same server."""
    for _ in range(_MAX_REDIRECTS):
        query, _ = _ask(service, retry, f"{_STUDIES}?limit=1")
        if not query.is_redirect:
            return query
        service.path = _redirected(service, query)
    raise _error(service, "the server redirects in a circle", _WRONG_BASE)


def _redirected(service: WebService, response: Response) -> str:
    """Return the path of the server after a redirect on the same server."""
    location = response.headers.get("location", "").split("?", 1)[0]
    base = replace(service.url, path=service.path)
    try:
        found = ServerURL.of(urljoin(f"{base}{_STUDIES}", location))
    except ValueError:
        found = None
    where = service.hide(str(found)) if found else "an invalid URL"
    if not found or found.origin != service.url.origin:
        advice = (
            "set {destination} to the URL of the server itself, as no credential goes elsewhere"
        )
        raise _error(service, f"the server redirects to {where}", advice)
    if not found.path.endswith(_STUDIES):
        raise _error(service, f"the server redirects to {where}", _WRONG_BASE)
    return found.path.removesuffix(_STUDIES)


def _ask(
    service: WebService, retry: Retry, resource: str, body: Body | None = None
) -> tuple[Response, float]:
    """Send a query, or a store request with a body, until the server is not busy.

    Return the response, and its seconds.
    """
    headers = (("Accept", ACCEPT), ("Content-Type", CONTENT_TYPE))
    while True:
        begun = service.clock.now()
        response = service.send(
            "POST" if body else "GET",
            resource,
            headers=headers if body else headers[:1],
            body=(lambda: body) if body else None,
            timeout=service.transport.timeouts.find,
        ).response
        if response.status not in BUSY:
            return response, service.clock.now() - begun
        wait = retry.wait_time(response.retry_after())
        if wait is None:
            raise _error(service, f"the server is busy ({response.words})", "try again later")
        log.warning("The server is busy (%s). Retrying in %.0f s", response.words, wait)
        service.pool.wait(wait)


def _judge(service: WebService, query: Response, store: Response) -> None:
    """Raise ServerError if the server does not store images."""
    title = f": {service.hide(store.title)}" if store.title else ""
    if store.status in (401, 403):
        what = "has no permission to store" if query.is_success else "is refused"
        reason = f"the user or token {what} ({store.words})"
        if not service.has_credentials:
            reason = f"the server requires credentials ({store.words})"
        raise _error(service, reason, _CREDENTIALS)
    if store.status in NO_SERVICE:
        if query.status in NO_SERVICE:
            raise _error(service, f"there is no DICOMweb service ({store.words})", _WRONG_BASE)
        advice = f"{_WRONG_BASE}, with STOW-RS enabled"
        raise _error(service, f"the server does not store by STOW-RS ({store.words})", advice)
    if store.is_redirect:
        where = service.hide(without_secrets(store.headers.get("location", "")))[:200]
        raise _error(service, f"the server redirects store requests to {where}", _WRONG_BASE)
    if store.status == query.status == 400 and store.title and not service.url.is_secure:
        # So nginx and Apache answer at a port with TLS.
        raise _error(
            service, f"the server refuses all requests ({store.words}{title})", _WRONG_SCHEME
        )
    if store.status >= 500:
        raise _error(service, f"the server fails ({store.words}{title})", "look in its log")


@contextmanager
def _explained(service: WebService) -> Iterator[None]:
    """Turn the error of a server that gives no answer into a ServerError."""
    try:
        yield
    except RequestError as exc:
        match exc:
            case TLSError():
                advice = exc.advice
            case NoConnectionError():
                advice = "check {destination}, that the server runs, and that no firewall blocks it"
            case TokenError() | ClosedError(reason=Reason(kind=Kind.NOT_AUTHORIZED)):
                advice = _CREDENTIALS
            case _:
                advice = _WRONG_SCHEME
        raise _error(service, str(exc), advice) from exc


def _error(service: WebService, problem: str, advice: str) -> ServerError:
    return ServerError(f"{service.url}: {problem}", advice)
