"""Authorization of requests: fixed header fields, or tokens from an authorization server."""

import json
import logging
import time
from contextlib import closing
from dataclasses import dataclass, replace
from threading import Lock
from urllib.parse import urlencode

from ..delivery.sender import RequestError
from ..network.identity import without_identity
from ..network.tls import make_context
from ..network.transport import Transport
from ..network.types import IdentityType, TLSConfig, UserIdentity
from ..reasons import Kind, Reason
from ..retry import is_temporary_status
from .credentials import LIFETIME, NO_CREDENTIALS, Credentials, FixedHeaders, TokenSource
from .messages import Headers, Request, TextBody
from .route import Route

log = logging.getLogger(__name__)

_SPARE_TIME = 60.0
"""Seconds before its end when a token is replaced."""
_HEADERS = (
    ("Accept", "application/json"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Connection", "close"),
)
_TLS = TLSConfig(None, None, "BCP 195", require_peer_cert=True, check_hostname=True)


class TokenError(RequestError):
    """The authorization server gave no token. If it `is_final`, a retry would fail too."""

    def __init__(self, reason: Reason, *, is_final: bool) -> None:
        """Say whether to retry."""
        self.is_final = is_final
        super().__init__(reason)


@dataclass(frozen=True)
class _Token:
    """A token, its end on the monotonic clock, and its number."""

    value: str
    ends: float
    number: int


class Authorization:
    """Header fields for all requests of a run. Any thread may use it.

    The mutable state is the latest token, which changes under the lock.
    """

    def __init__(self, credentials: Credentials, transport: Transport) -> None:
        """Request tokens as `transport` does, without its rate limit, and over TLS for https."""
        self._credentials = credentials
        self._transport = replace(transport, throttle=None)
        self._token: _Token | None = None
        self._lock = Lock()

    @property
    def has_credentials(self) -> bool:
        """Whether there are credentials."""
        return self._credentials != NO_CREDENTIALS

    def headers(self) -> tuple[Headers, int]:
        """Return the header fields, and the number of their token, 0 without one.

        Raises TokenError, and ConfigError for an unusable proxy.
        """
        if isinstance(self._credentials, FixedHeaders):
            return self._credentials.headers, 0
        token = self._token
        if token is None or time.monotonic() > token.ends:
            token = self._renewed(self._credentials, token.number if token else 0)
        return (("Authorization", f"Bearer {token.value}"),), token.number

    def refresh(self, number: int) -> bool:
        """Replace the token of this number once for all threads; return whether there is a new one.

        Raises TokenError.
        """
        if isinstance(self._credentials, FixedHeaders):
            return False
        self._renewed(self._credentials, number)
        return True

    def hide(self, text: str) -> str:
        """Return a text of a server, or that it is withheld because it may quote a secret."""
        token = self._token.value if self._token else ""
        for secret in filter(None, (*self._credentials.secrets, token)):
            text = without_identity(text, UserIdentity(IdentityType.JWT, secret.encode()))
        return text

    def _renewed(self, source: TokenSource, number: int) -> _Token:
        """Return a token that is newer than the one of this number."""
        with self._lock:
            if self._token is None or self._token.number <= number:
                self._token = self._requested(source, number + 1)
            return self._token

    def _requested(self, source: TokenSource, number: int) -> _Token:
        """Send the form, and return the token. A redirect is not followed: the form is secret."""
        begun = time.monotonic()
        own = self._transport.tls_context or make_context(_TLS)
        context = own if source.url.is_secure else None
        route = Route.to(source.url, replace(self._transport, tls_context=context))
        headers = (*route.headers, *_HEADERS)
        body = TextBody(urlencode(source.form()).encode())
        request = Request("POST", route.target(source.target), headers, body)
        try:
            with closing(route.connection()) as connection:
                connection.open()
                response = connection.exchange(request, self._transport.timeouts.associate)
        except RequestError as exc:
            raise TokenError(exc.reason, is_final=False) from None
        if not response.is_success:
            raise _refused(response.words, is_final=not is_temporary_status(response.status))
        try:
            found = json.loads(response.body)
            value, seconds = str(found["access_token"]), float(found.get("expires_in", LIFETIME))
            if not (value.isascii() and value.isprintable()):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _refused("the answer has no token", is_final=True) from None
        log.debug("Got token %d, which is valid for %.0f s", number, seconds)
        return _Token(value, begun + seconds - min(_SPARE_TIME, seconds / 2), number)


def _refused(why: str, *, is_final: bool) -> TokenError:
    reason = Reason(Kind.NOT_AUTHORIZED, f"the authorization server gave no token, {why}")
    return TokenError(reason, is_final=is_final)
