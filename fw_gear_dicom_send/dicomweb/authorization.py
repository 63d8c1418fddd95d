"""Authorization of requests: fixed header fields, or tokens from an authorization server."""

import json
import logging
import time
from collections import deque
from contextlib import closing
from threading import Lock
from urllib.parse import urlencode

from ..delivery.sender import RequestError
from ..network.identity import without_identity
from ..network.transport import Transport
from ..network.types import IdentityType, UserIdentity
from ..reasons import Kind, Reason
from ..retry import is_temporary_status
from ..values import frozen, replace
from .credentials import (
    LIFETIME,
    NO_CREDENTIALS,
    Credentials,
    FixedHeaders,
    TokenSource,
    header_value,
)
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


class TokenError(RequestError):
    """The authorization server gave no token. If it `is_final`, a retry would fail too."""

    def __init__(self, reason: Reason, *, is_final: bool) -> None:
        """Say whether to retry."""
        self.is_final = is_final
        super().__init__(reason)


@frozen
class _Token:
    """A token, its end on the monotonic clock, and its number."""

    value: str
    ends: float
    number: int


class Authorization:
    """Header fields for all requests of a run. Any thread may use it.

    The mutable state is the latest tokens, which change under the lock.
    """

    def __init__(self, credentials: Credentials, transport: Transport) -> None:
        """Request tokens as `transport` does, without its rate limit, and over TLS for https."""
        self._credentials = credentials
        self._transport = replace(transport, throttle=None)
        self._token: _Token | None = None
        # An answer may quote a token that another thread has replaced meanwhile.
        self._latest = deque[str](maxlen=4)
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
        if not text:
            return text
        for secret in (*self._credentials.secrets, *self._latest):
            text = without_identity(text, UserIdentity(IdentityType.USERNAME, secret.encode()))
        return text

    def _renewed(self, source: TokenSource, number: int) -> _Token:
        """Return a token that is newer than the one of this number."""
        with self._lock:
            if self._token is None or self._token.number <= number:
                self._token = self._requested(source, number + 1)
                self._latest.append(self._token.value)
            return self._token

    def _requested(self, source: TokenSource, number: int) -> _Token:
        """Send the form, and return the token. A redirect is not followed: the form is secret."""
        begun = time.monotonic()
        route = Route.to(source.url, self._transport)
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
            value = header_value(found["access_token"])
            seconds = float(found.get("expires_in", LIFETIME))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _refused("the answer has no token", is_final=True) from None
        log.debug("Got token %d, which is valid for %.0f s", number, seconds)
        return _Token(value, begun + seconds - min(_SPARE_TIME, seconds / 2), number)


def _refused(why: str, *, is_final: bool) -> TokenError:
    reason = Reason(Kind.NOT_AUTHORIZED, f"the authorization server gave no token, {why}")
    return TokenError(reason, is_final=is_final)
