"""Base URL of a DICOMweb server (PS3.18 8.2)."""

import re
from typing import Self
from urllib.parse import SplitResult, urlsplit

from .values import frozen

_PORTS = {"http": 80, "https": 443}
_TEXT = re.compile(r"[!-~]{1,2000}")
"""A URL is ASCII without spaces (RFC 3986 2)."""
_PARTS = re.compile(r"^(\w+:[/\\]*)?(.*@)?(.*)$", re.DOTALL)
_USER = re.compile(r"((?:\bhttps?:|\b\w{2,}:[/\\])[/\\]*)[^\s/\\'\"]*@", re.IGNORECASE)
ALLOWED = "a URL http://host/path or https://host/path without user, query and fragment"


def is_url(text: object) -> bool:
    """Return whether a text is meant as a URL, valid or not."""
    return isinstance(text, str) and text.strip().lower().startswith(("http:", "https:"))


@frozen
class ServerURL:
    """Base URL of a server. `path` does not end with a slash."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Return the address in a URL, None if it is not a valid base URL."""
        found = _split(text.strip())
        if not found or found.query or found.fragment or "@" in found.netloc:
            return None
        try:
            port = _PORTS[found.scheme] if found.port is None else found.port
        except (KeyError, ValueError):
            return None
        host = found.hostname or ""
        return cls(found.scheme, host, port, found.path.rstrip("/")) if host and port else None

    def __str__(self) -> str:
        """Return the URL in its normal form, without a default port."""
        return f"{self.scheme}://{self.netloc}{self.path}"

    @property
    def netloc(self) -> str:
        """Value of the header Host (RFC 9110 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def where(self) -> str:
        """Host and port, for people."""
        return f"{self.host} port {self.port}"

    @property
    def is_secure(self) -> bool:
        """Whether connections use TLS."""
        return self.scheme == "https"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: no credential goes to another origin (RFC 9110 4.3.1)."""
        return self.scheme, self.host, self.port


def without_secrets(text: str) -> str:
    """Return a URL for messages, without user, query and fragment, even if it is invalid."""
    address = re.split("[?#]", text, maxsplit=1)[0]
    start, user, place = _PARTS.findall(address)[0]
    if ":" not in start + user:
        return address
    # A user that ends in what looks like the query hides all.
    return f"{start}{'...' if '@' in text and not user else place}"


def without_users(message: str) -> str:
    """Return a message without the users and passwords of the URLs in it."""
    return _USER.sub(r"\1", message)


def _split(text: str) -> SplitResult | None:
    try:
        return urlsplit(text) if _TEXT.fullmatch(text) else None
    except ValueError:
        return None
