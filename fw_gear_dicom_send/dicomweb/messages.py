"""Requests and responses of HTTP (RFC 9110)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Protocol

from ..values import field, frozen
from .datasets import title

Headers = Sequence[tuple[str, str]]


class Body(Protocol):
    """Body of a request, with its exact length in bytes."""

    @property
    def size(self) -> int:
        """Number of bytes."""

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes. Raises OSError if they cannot be read."""


@frozen
class TextBody:
    """Body that is in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self.data)

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes."""
        yield self.data


@frozen
class Response:
    """Status, header fields by lower-case name, and body, which is cut if it `is_cut`."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_cut: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the request was carried out, at least in part."""
        return 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        """Whether the resource is at another address."""
        return self.status in (301, 302, 303, 307, 308)

    @property
    def words(self) -> str:
        """The status for people, such as `HTTP 413 Request Entity Too Large`."""
        try:
            phrase = f" {HTTPStatus(self.status).phrase}"
        except ValueError:
            phrase = ""
        return f"HTTP {self.status}{phrase}"

    @property
    def title(self) -> str:
        """The title of an HTML page on one line, empty for another body."""
        return title(self.body)

    def retry_after(self, now: datetime | None = None) -> float:
        """Return the seconds that the server asks to wait, 0 if it names none (RFC 9110 10.2.3)."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return 0.0
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


@frozen
class Request:
    """Request for `target`, the path on the server.

    `take` gets the blocks of the response's body, which is else kept, up to MAX_ANSWER bytes.
    """

    method: str
    target: str
    headers: Headers
    body: Body | None = None
    take: Callable[[Response, bytes], None] | None = None
