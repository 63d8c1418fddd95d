"""Checks that a server accepts images by STOW-RS, before anything is downloaded.

Nothing is stored: the first request is a query, and the second a store request without an image.
"""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from time import monotonic
from urllib.parse import urljoin

from ..delivery.sender import RequestError
from ..errors import ServerError
from ..network.errors import NoConnectionError, TLSError
from ..network.tls import log_session
from ..network.types import TLSSession
from ..reasons import Kind, Reason
from ..retry import Retry, RetryPolicy
from ..server_url import ServerURL
from .answers import BUSY, NO_SERVICE
from .authorization import TokenError
from .errors import ClosedError
from .messages import Body, Response
from .request import ACCEPT, CONTENT_TYPE, EMPTY_BODY
from .service import WebService

log = logging.getLogger(__name__)

_MAX_REDIRECTS = 5
_STUDIES = "/studies"
_WRONG_BASE = "check the path of the URL: it must be the base of the DICOMweb service"
_CREDENTIALS = "check {authorization}, and the permissions on the server"


@dataclass(frozen=True)
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
    retry = Retry(policy)
    with _explained(service):
        session = _session(service)
        while True:
            query = _query(service)
            begun = monotonic()
            store = _ask(service, _STUDIES, EMPTY_BODY)
            seconds = monotonic() - begun
            busy = next((one for one in (query, store) if one.status in BUSY), None)
            if not busy:
                break
            wait = retry.wait_time(busy.retry_after())
            if wait is None:
                raise _error(service, f"the server is busy ({busy.words})", "try again later")
            log.warning("The server is busy (%s). Retrying in %.0f s", busy.words, wait)
            service.pool.wait(wait)
    _judge(service, query, store)
    service.can_query = query.is_success
    product = service.hide(query.headers.get("server", ""))[:100]
    return WebServer(product, session, query, store, seconds)


def _session(service: WebService) -> TLSSession | None:
    """Open a connection, and return its TLS session, which is logged."""
    with closing(service.new_connection()) as connection:
        connection.open()
        session = connection.tls
    if session:
        log_session(session)
    return session


def _query(service: WebService) -> Response:
    """Query one study, and follow redirects on the same server."""
    for _ in range(_MAX_REDIRECTS):
        query = _ask(service, f"{_STUDIES}?limit=1")
        if not query.is_redirect:
            return query
        service.path = _redirected(service, query)
    raise _error(service, "the server redirects in a circle", _WRONG_BASE)


def _redirected(service: WebService, response: Response) -> str:
    """Return the path of the server after a redirect on the same server."""
    location = response.headers.get("location", "")
    found = ServerURL.of(urljoin(f"{service.url}{_STUDIES}", location.split("?", 1)[0]))
    if not found or found.origin != service.url.origin:
        where = str(found) if found else "an invalid URL"
        advice = (
            "set {destination} to the URL of the server itself, as no credential goes elsewhere"
        )
        raise _error(service, f"the server redirects to {where}", advice)
    if not found.path.endswith(_STUDIES):
        raise _error(service, f"the server redirects to {found}", _WRONG_BASE)
    return found.path.removesuffix(_STUDIES)


def _ask(service: WebService, resource: str, body: Body | None = None) -> Response:
    """Send a query, or a store request with a body."""
    headers = (("Accept", ACCEPT), ("Content-Type", CONTENT_TYPE))
    return service.send(
        "POST" if body else "GET",
        resource,
        headers=headers if body else headers[:1],
        body=(lambda: body) if body else None,
        timeout=service.transport.timeouts.find,
    ).response


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
        advice = "have STOW-RS enabled on the server, or use another server"
        raise _error(service, f"the server does not store by STOW-RS ({store.words})", advice)
    if store.is_redirect:
        where = service.hide(store.headers.get("location", ""))[:200]
        raise _error(service, f"the server redirects store requests to {where}", _WRONG_BASE)
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
                advice = (
                    "check that {destination} is the URL of a DICOMweb server, and http or https"
                )
        raise _error(service, str(exc), advice) from exc


def _error(service: WebService, problem: str, advice: str) -> ServerError:
    return ServerError(f"{service.url}: {problem}", advice)
