"""Credentials for a DICOMweb server, read from a JSON file."""

import json
import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import ConfigError
from ..network.identity import read_secret
from ..server_url import ServerURL
from ..values import field, frozen
from .messages import Headers

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

MAX_VALUE = 16_000
"""Maximum characters of a value: servers limit the head of a request."""
ALLOWED = (
    "a JSON file with username and password; token; token_url, client_id and client_secret, and "
    "scope if it is needed; headers; or a service-account key of Google"
)
SCOPE_OF_GOOGLE = "https://www.googleapis.com/auth/cloud-platform"
LIFETIME = 3600
"""Seconds that a token is valid if nothing says otherwise."""
_CLIENT = {"token_url", "client_id", "client_secret"}
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OWN_HEADERS = {"accept", "connection", "content-type", "expect", "host"}
_OWN_HEADERS |= {"content-length", "transfer-encoding"}


@frozen
class FixedHeaders:
    """Header fields that authorize each request. `secrets` must not appear in any text."""

    headers: Headers = field(default=(), repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@frozen
class TokenSource:
    """Authorization server that gives a token for a form (RFC 6749 4.4, RFC 7523 2.1).

    `target` is the path of its URL, and `form` makes the form of a request. `secrets` must not
    appear in any text.
    """

    url: ServerURL
    target: str
    form: Callable[[], Mapping[str, str]] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


Credentials = FixedHeaders | TokenSource
NO_CREDENTIALS = FixedHeaders()


def read(path: Path, *, is_open: bool = False) -> Credentials:
    """Return the credentials in a JSON file. Raises ConfigError if they are invalid.

    Tokens are requested over TLS only, unless it `is_open` that secrets travel without it.
    """
    found: Credentials = read_secret(path, "authorization", ALLOWED, parsed)
    if isinstance(found, TokenSource) and not (is_open or found.url.is_secure):
        raise ConfigError("authorization", path.name, "a token_url https://host/path")
    return found


def parsed(found: Mapping[str, Any]) -> Credentials:
    """Return the credentials in a JSON object. Raises ValueError if it is invalid."""
    match found:
        case {"type": "service_account"}:
            return _service_account(found)
        case {"username": user, "password": password, **rest} if not rest:
            pair = f"{_text(user)}:{_text(password)}"
            value = f"Basic {b64encode(pair.encode()).decode()}"
            return FixedHeaders((("Authorization", value),), (pair, _text(password)))
        case {"token": token, **rest} if not rest:
            value = header_value(token)
            return FixedHeaders((("Authorization", f"Bearer {value}"),), (value,))
        case {"headers": dict(headers), **rest} if headers and not rest:
            fields = tuple((_name(name), header_value(value)) for name, value in headers.items())
            return FixedHeaders(fields, tuple(value for _, value in fields))
    if found.keys() - {"scope"} != _CLIENT:
        raise ValueError
    form = {name: _text(value) for name, value in found.items()}
    url = form.pop("token_url")
    form["grant_type"] = "client_credentials"
    return _source(url, lambda: form, form["client_secret"])


def _source(url: str, form: Callable[[], Mapping[str, str]], secret: str) -> TokenSource:
    if not (server := ServerURL.of(url)):
        raise ValueError
    return TokenSource(server, urlsplit(url).path, form, (secret,))


def _service_account(found: Mapping[str, Any]) -> TokenSource:
    """Return the source for a service account of Google, which signs its requests for tokens."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    names = ("token_uri", "client_email", "private_key")
    url, email, pem = (_text(found.get(name)) for name in names)
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm):
        raise ValueError from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError
    number = found.get("private_key_id")
    head = {"alg": "RS256", "typ": "JWT"} | ({"kid": str(number)} if number else {})
    claims = {"iss": email, "scope": SCOPE_OF_GOOGLE, "aud": url}
    return _source(url, partial(_signed_form, key, head, claims), pem)


def _signed_form(
    key: "RSAPrivateKey", head: Mapping[str, str], claims: Mapping[str, str]
) -> Mapping[str, str]:
    """Return a form with a signed JSON Web Token (RFC 7515 3, RFC 7518 3.3)."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    begun = int(time.time())
    parts = (head, {**claims, "iat": begun, "exp": begun + LIFETIME})
    signed = b".".join(_encoded(json.dumps(part).encode()) for part in parts)
    assertion = signed + b"." + _encoded(key.sign(signed, PKCS1v15(), SHA256()))
    grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return {"grant_type": grant_type, "assertion": assertion.decode("ascii")}


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _text(given: object) -> str:
    if not isinstance(given, str) or not 0 < len(given.strip()) <= MAX_VALUE:
        raise ValueError
    return given.strip()


def header_value(given: object) -> str:
    """Return the value of a header field (RFC 9110 5.5). Raises ValueError if it is none."""
    text = _text(given)
    if not (text.isascii() and text.isprintable()):
        raise ValueError
    return text


def _name(given: str) -> str:
    """Return the name of a header field that is not the program's own (RFC 9110 5.1)."""
    if not _NAME.fullmatch(given) or given.lower() in _OWN_HEADERS:
        raise ValueError
    return given
