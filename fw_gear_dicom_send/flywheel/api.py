"""Requests to the REST API of a Flywheel site; each failure is a SiteError of one line.

The header X-Accept-Feature does not contain `Pagination`, so a list is a plain array of records.
Pages are requested with `limit` and `after_id`, like in the public flywheel-sdk.
"""

import html
import http.client
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

import requests
from fw_core_client import CoreClient
from urllib3.exceptions import HTTPError

from ..errors import SiteError
from ..models import Container
from ..retry import ONCE, RetryPolicy, retry
from ..text import printable

PAGE_SIZE = 250
SITE_POLICY = RetryPolicy(max_tries=6, min_wait=0.5, max_time=300, jitter=False)
"""Retries of a request that the site may get more than once."""
MAX_RETRY_AFTER = 60
"""Maximum wait, in seconds, that a site can ask for before one of these retries."""
NEW_URL_POLICY = RetryPolicy(max_tries=3, min_wait=0)
"""Requests for another signed URL if the storage refuses one."""
_EXPIRED = (400, 401, 403)
"""HTTP status for an expired signed URL: Google 400, Azure 403, S3 either."""
_MAX_BODY = 1 << 16
"""Maximum number of bytes of an error response that are read for the site's words."""
_MAX_WORDS = 200
"""Maximum number of characters that are quoted of them."""
_WORDS_TIME = 5.0
"""Maximum time, in seconds, to read an error response that the site sends slowly."""
EXHAUSTIVE = {"exhaustive": "true"}
"""Includes projects without the site admin as a member."""


T = TypeVar("T")

log = logging.getLogger(__name__)


class ExpiredURLError(SiteError):
    """The storage refused a signed URL of the site."""


class API:
    """REST API of a site."""

    def __init__(self, client: CoreClient, policy: RetryPolicy = ONCE) -> None:
        """Use `client` for all requests, and retry them by `policy`."""
        self._client = client
        self._policy = policy
        self._may_see_all: bool | None = None

    @property
    def features(self) -> str:
        """Value of the client's header X-Accept-Feature."""
        return str(self._client.headers["X-Accept-Feature"])

    @property
    def site(self) -> str:
        """URL of the site."""
        return str(self._client.baseurl)

    def session_page(self, project_id: str, session_id: str) -> str:
        """Return the URL of a session's page in a browser."""
        project, session = (quote(one, safe="") for one in (project_id, session_id))
        return f"{self.site}/#/projects/{project}/sessions/{session}"

    def read(
        self,
        convert: Callable[[Any], T],
        method: str,
        url: str,
        kind: type | tuple[type, ...] = dict,
        **options: Any,
    ) -> T:
        """Send a request, and convert the JSON value of type `kind` in the response.

        Raises SiteError, also if `convert` fails because the value does not match the API.
        """
        body = self.ask(method, url, **options)
        with suppress(AttributeError, KeyError, TypeError, ValueError, RecursionError):
            answer = json.loads(body)
            if isinstance(answer, kind):
                return convert(answer)
        raise SiteError(f"{method} {url}: unexpected response")

    def ask(
        self,
        method: str,
        url: str,
        *,
        what: str = "",
        upload: BinaryIO | None = None,
        limit: int = 0,
        **options: Any,
    ) -> bytes:
        """Send a request and return the body; request another signed URL if one has expired.

        Each try reads the file `upload` from its start. With a `limit`, the rest of a body that is
        larger is left out. Raises SiteError, whose message names `what`, or else the URL.
        """

        def attempt() -> bytes:
            if upload:
                upload.seek(0)
            with self.open(method, url, what or url, **options) as response:
                return _start_of(response, limit) if limit else bytes(response.content)

        return retry(
            self._policy,
            # A signed URL itself is not requested again: only the site can return another one.
            partial(with_new_urls, attempt) if url.startswith("/") else attempt,
            on=SiteError,
            is_temporary=lambda error: not error.is_final,
            at_least=lambda error: min(error.retry_after, MAX_RETRY_AFTER),
            before_wait=lambda error, wait: log.info("%s; retrying in %.1f s", error, wait),
        )

    @contextmanager
    def open(self, method: str, url: str, what: str, **options: Any) -> Iterator[requests.Response]:
        """Send a request once, for a block that reads the response; raise SiteError."""
        status, after, kind = None, 0.0, SiteError
        try:
            # With stream=True the client returns the response instead of its JSON value.
            with self._client.request(method, url, stream=True, **options) as response:
                yield response
                return
        except requests.HTTPError as error:
            status = error.response.status_code
            wait = error.response.headers.get("Retry-After", "")  # RFC 9110 10.2.3
            cause, after = reason_of(status), float(wait) if wait.isdecimal() else 0.0
            # Requests to the site itself have a key.
            if key := error.response.request.headers.get("Authorization"):
                cause = ": ".join(filter(None, (cause, _words(error.response, key))))
            elif status in _EXPIRED:
                kind = ExpiredURLError
            error.response.close()
        except requests.Timeout:
            cause = "request timed out"
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            cause = "connection failed"
        except requests.RequestException:
            cause = "invalid response"
        # The original errors quote URLs, headers and bodies, so they are not chained.
        raise kind(f"{method} {what}: {cause}", status, after) from None

    def records(
        self,
        convert: Callable[[Any], T],
        url: str,
        query: Mapping[str, Any] | None = None,
        *,
        key: str = "",
    ) -> Iterator[T]:
        """Yield the converted records of a list, which is requested page by page; raise SiteError.

        `key` is for a response that is an object with the list under that key.
        """
        params = {**(query or {}), "limit": PAGE_SIZE}

        def page(answer: Any) -> tuple[list[T], Any]:
            found = answer[key] if key else answer
            # Jobs have `id`, everything else `_id`.
            ids = [record["_id"] if "_id" in record else record["id"] for record in found[-1:]]
            return list(map(convert, found)), ids[0] if ids else None

        while True:
            records, last = self.read(page, "GET", url, dict if key else list, params=params)
            # A site that does not support after_id returns the same page again.
            if last is None or last == params.get("after_id"):
                return
            yield from records
            params["after_id"] = last

    def containers(
        self, convert: Callable[[Any], T], url: str, query: Mapping[str, Any] | None = None
    ) -> Iterator[T]:
        """Yield the converted records of a list of containers; raise SiteError.

        A site admin who is not a member of a project sees its containers only with `exhaustive`.
        The site refuses that parameter to all other users.
        """
        exhaustive = {**(query or {}), **EXHAUSTIVE}
        if self._may_see_all:
            yield from self.records(convert, url, exhaustive)
            return
        is_empty = True
        for record in self.records(convert, url, query):
            is_empty = False
            yield record
        if is_empty and self._may_see_all is None:
            try:
                yield from self.records(convert, url, exhaustive)
                self._may_see_all = True
            except SiteError as error:
                if not error.is_final:
                    raise
                self._may_see_all = False


def container_url(container: Container, *file: str) -> str:
    """Return the URL of a container, or of its file with a name, without the site."""
    name = [f"/files/{quote(part, safe='', errors='surrogatepass')}" for part in file]
    return f"/api/{container.type}s/{quote(container.id, safe='')}{''.join(name)}"


def with_new_urls(action: Callable[[], T]) -> T:
    """Call `action` until a storage accepts its signed URL; raise ExpiredURLError otherwise."""
    return retry(NEW_URL_POLICY, action, on=ExpiredURLError)


def _words(response: requests.Response, credentials: str) -> str:
    """Return what the site says about a refused request, in a short line; empty if it says nothing.

    The line never has the key, or the query of a URL, which may be signed.
    """
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        return "the API key is not valid for this site"
    body, deadline = b"", time.monotonic() + _WORDS_TIME
    with suppress(AttributeError, KeyError, TypeError, ValueError, RecursionError, OSError):
        with suppress(HTTPError):
            while time.monotonic() < deadline and len(body) < _MAX_BODY:
                part = response.raw.read1(_MAX_BODY - len(body), decode_content=True)
                if not part:
                    break
                body += part
        secret = credentials.rsplit(maxsplit=1)[-1]
        text = html.unescape(re.sub(r"<[^>]*>", " ", json.loads(body)["message"]))
        text = re.sub(r"(://[^\s?]*)\?\S*", r"\1", text.replace(secret, "***"))
        return printable(" ".join(text.split()))[:_MAX_WORDS]
    return ""


def _start_of(response: requests.Response, limit: int) -> bytes:
    """Return a body if it is within the limit, else a part of it that is larger than the limit."""
    start = b""
    for chunk in response.iter_content(limit):
        start += chunk
        if len(start) > limit:
            break
    return start


def reason_of(status: int) -> str:
    """Return an HTTP status with its name."""
    return f"{status} {http.client.responses.get(status, '')}".rstrip()
