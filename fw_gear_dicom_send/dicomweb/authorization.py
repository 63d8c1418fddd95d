"""Authorization of requests: fixed header fields, or tokens from an authorization server."""

import json
import logging
import time
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from urllib.parse import urlencode

from ..network.errors import AssociationError
from ..network.identity import without_identity
from ..network.transport import Transport
from ..network.types import IdentityType, UserIdentity
from ..reasons import Kind, Reason
from ..retry import is_temporary_status
from ..server_url import ServerURL
from .credentials import (
    NO_CREDENTIALS,
    ClientCredentials,
    Credentials,
    FixedHeaders,
    ServiceAccount,
    header_value,
)
from .errors import WebError
from .messages import Headers, Request, Response, TextBody
from .route import Route

log = logging.getLogger(__name__)

SCOPE_OF_GOOGLE = "https://www.googleapis.com/auth/cloud-platform"
_LIFETIME = 3600
_SPARE_TIME = 60.0
"""Seconds before its end when a token is replaced."""


class TokenError(WebError):
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

    The mutable state is the latest tokens, which change under the lock.
    """

    def __init__(self, credentials: Credentials, transport: Transport) -> None:
        """Request tokens over `transport`, without its rate limit.

        Raises ConfigError for an unusable proxy.
        """
        self._credentials = credentials
        self._timeouts = transport.timeouts
        self._route: Route | None = None
        if url := ServerURL.of(getattr(credentials, "token_url", "")):
            self._route = Route.to(url, replace(transport, throttle=None))
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

        Raises TokenError.
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
        token = self._token
        if isinstance(self._credentials, FixedHeaders) or token is None:
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

    def _renewed(self, account: ClientCredentials | ServiceAccount, number: int) -> _Token:
        """Return a token that is newer than the one of this number."""
        with self._lock:
            if self._token is None or self._token.number <= number:
                self._token = self._requested(account, number + 1)
                self._latest.append(self._token.value)
            return self._token

    def _requested(self, account: ClientCredentials | ServiceAccount, number: int) -> _Token:
        begun = time.monotonic()
        try:
            response = self._post(_form(account))
        except (WebError, AssociationError) as exc:
            raise TokenError(exc.reason, is_final=False) from None
        except ValueError:
            raise _refused("the private key cannot be used", is_final=True) from None
        if not response.is_success:
            is_final = not is_temporary_status(response.status)
            raise _refused(response.words, is_final=is_final)
        try:
            found = json.loads(response.body)
            value = header_value(found["access_token"])
            seconds = float(found.get("expires_in", _LIFETIME))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _refused("the answer has no token", is_final=True) from None
        log.debug("Got token %d, which is valid for %.0f s", number, seconds)
        spare = min(_SPARE_TIME, seconds / 2)
        return _Token(value, begun + seconds - spare, number)

    def _post(self, form: Mapping[str, str]) -> Response:
        """Send a form, and return the response. A redirect is not followed: the form is secret."""
        route = self._route
        if not route:
            raise ValueError
        headers = (
            *route.headers,
            ("Accept", "application/json"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Connection", "close"),
        )
        body = TextBody(urlencode(form).encode())
        request = Request("POST", route.target(route.url.path), headers, body)
        connection = route.connection()
        try:
            connection.open()
            return connection.exchange(request, self._timeouts.associate)
        finally:
            connection.close()


def _refused(why: str, *, is_final: bool) -> TokenError:
    return TokenError(
        Reason(Kind.NOT_AUTHORIZED, f"the authorization server gave no token, {why}"),
        is_final=is_final,
    )


def _form(account: ClientCredentials | ServiceAccount) -> dict[str, str]:
    """Return the form that requests a token. Raises ValueError for an invalid key."""
    if isinstance(account, ServiceAccount):
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": assertion(account),
        }
    form = {
        "grant_type": "client_credentials",
        "client_id": account.client_id,
        "client_secret": account.client_secret,
    }
    return form | ({"scope": account.scope} if account.scope else {})


def assertion(account: ServiceAccount, now: Callable[[], float] = time.time) -> str:
    """Return a JSON Web Token that the account has signed (RFC 7515 3, RFC 7518 3.3).

    Raises ValueError for a key that is no RSA key in PEM.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    header = {"alg": "RS256", "typ": "JWT"}
    if account.private_key_id:
        header["kid"] = account.private_key_id
    begun = int(now())
    claims = {
        "iss": account.client_email,
        "scope": SCOPE_OF_GOOGLE,
        "aud": account.token_url,
        "iat": begun,
        "exp": begun + _LIFETIME,
    }
    signed = b".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    try:
        key = load_pem_private_key(account.private_key.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as exc:
        raise ValueError from exc
    if not isinstance(key, RSAPrivateKey):
        raise ValueError
    return (signed + b"." + _encoded(key.sign(signed, PKCS1v15(), SHA256()))).decode("ascii")


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
