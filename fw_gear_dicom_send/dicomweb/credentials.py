"""Credentials for a DICOMweb server, read from a JSON file.

No message quotes the file: even a key of it may be a misplaced password.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..server_url import ServerURL
from .messages import Headers

MAX_FILE = 1 << 20
MAX_VALUE = 16_000
"""Maximum characters of a value: servers limit the head of a request."""
ALLOWED = (
    "a JSON file with username and password; token; token_url, client_id and client_secret, and "
    "scope if it is needed; headers; or a service-account key of Google"
)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OWN_HEADERS = {"accept", "connection", "content-type", "expect", "host"}
_OWN_HEADERS |= {"content-length", "transfer-encoding"}


@dataclass(frozen=True)
class FixedHeaders:
    """Header fields that authorize each request. `secrets` must not appear in any text."""

    headers: Headers = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class ClientCredentials:
    """Client that gets tokens from an authorization server (RFC 6749 4.4)."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must not appear in any text."""
        return (self.client_secret,)


@dataclass(frozen=True)
class ServiceAccount:
    """Service account of Google, which signs its requests for tokens (RFC 7523 2.1)."""

    token_url: str
    client_email: str
    private_key: str = field(repr=False)
    private_key_id: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that must not appear in any text."""
        return (self.private_key,)


Credentials = FixedHeaders | ClientCredentials | ServiceAccount
NO_CREDENTIALS = FixedHeaders()


def read(path: Path, *, is_open: bool = False) -> Credentials:
    """Return the credentials in a JSON file. Raises ConfigError if they are invalid.

    Tokens are requested over TLS only, unless it `is_open` that secrets travel without it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        found = _credentials(data) if len(data) <= MAX_FILE else None
    except (OSError, ValueError, RecursionError):
        found = None
    if found is None:
        # Raised here, this error is not chained to json's error, which quotes the file.
        raise ConfigError("authorization", path.name, ALLOWED)
    if not isinstance(found, FixedHeaders):
        url = ServerURL.of(found.token_url)
        if not (url and (url.is_secure or is_open)):
            raise ConfigError("authorization", path.name, "a token_url https://host/path")
    return found


def _credentials(data: bytes) -> Credentials | None:
    """Return the credentials in JSON data. Returns None or raises ValueError if it is invalid."""
    found = json.loads(data.decode("utf-8-sig"))
    if not isinstance(found, dict):
        return None
    if found.get("type") == "service_account":
        names = ("token_uri", "client_email", "private_key")
        url, email, key = (_text(found.get(name)) for name in names)
        return ServiceAccount(url, email, key, str(found.get("private_key_id", "")))
    make = _FORMS.get(frozenset(found))
    return make(found) if make else None


def _basic(found: Mapping[str, Any]) -> Credentials:
    pair = f"{_text(found['username'])}:{_text(found['password'])}"
    value = f"Basic {b64encode(pair.encode()).decode()}"
    return FixedHeaders((("Authorization", value),), (pair, _text(found["password"])))


def _bearer(found: Mapping[str, Any]) -> Credentials:
    token = header_value(found["token"])
    return FixedHeaders((("Authorization", f"Bearer {token}"),), (token,))


def _headers(found: Mapping[str, Any]) -> Credentials | None:
    headers = found["headers"]
    if not isinstance(headers, dict) or not headers:
        return None
    fields = tuple((_name(name), header_value(value)) for name, value in headers.items())
    return FixedHeaders(fields, tuple(value for _, value in fields))


def _client(found: Mapping[str, Any]) -> Credentials:
    return ClientCredentials(**{name: _text(value) for name, value in found.items()})


_CLIENT = frozenset(("token_url", "client_id", "client_secret"))
_FORMS: Mapping[frozenset[str], Callable[[Mapping[str, Any]], Credentials | None]] = {
    frozenset(("username", "password")): _basic,
    frozenset(("token",)): _bearer,
    frozenset(("headers",)): _headers,
    _CLIENT: _client,
    _CLIENT | {"scope"}: _client,
}


def _text(given: Any) -> str:
    if not isinstance(given, str) or not 0 < len(given.strip()) <= MAX_VALUE:
        raise ValueError
    return given.strip()


def header_value(given: Any) -> str:
    """Return the value of a header field (RFC 9110 5.5). Raises ValueError if it is none."""
    text = _text(given)
    if not (text.isascii() and text.isprintable()):
        raise ValueError
    return text


def _name(given: Any) -> str:
    """Return the name of a header field that is not the program's own (RFC 9110 5.1)."""
    if not _NAME.fullmatch(given) or given.lower() in _OWN_HEADERS:
        raise ValueError
    return str(given)
