"""Requests to a Flywheel site's REST API, whose failures are SiteErrors of one line.

No `Pagination` is asked for by X-Accept-Feature: lists come as the records alone, a page at a
time by `limit` and `after_id`, as the finders of the public flywheel-sdk ask for them.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any

import requests
from fw_core_client import CoreClient

from ..errors import SiteError

PAGE_SIZE = 250
MAX_SIGNED_URLS = 3
"""How many signed URLs a storage may refuse in a row before that is final."""
EXPIRED = (400, 401, 403)
"""How storages refuse a signed URL that has expired: Google by 400, Azure by 403, S3 by either."""
EXHAUSTIVE = {"exhaustive": "true"}
"""Asks for what a site admin may see, whether they are a member of the project or not."""


class _ExpiredError(SiteError):
    """The site led to a signed URL that its storage did not take."""


class API:
    """Asks a site by a client of it."""

    def __init__(self, client: CoreClient) -> None:
        """Use `client` for all requests."""
        self._client = client
        self._may_see_all: bool | None = None

    @property
    def features(self) -> str:
        """What the client says in X-Accept-Feature."""
        return str(self._client.headers["X-Accept-Feature"])

    @property
    def site(self) -> str:
        """The site's URL."""
        return str(self._client.baseurl)

    def json(
        self, method: str, url: str, kind: type | tuple[type, ...] = dict, **options: Any
    ) -> Any:
        """Make a request and return the JSON object (or what `kind` says) in the answer.

        Raises SiteError.
        """
        body = self.ask(method, url, **options)
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, kind):
            raise unpromised(method, url)
        return answer

    def ask(self, method: str, url: str, *, what: str = "", **options: Any) -> bytes:
        """Make a request and return the body; a SiteError names `what`, else the URL.

        Where the site leads to a signed URL that has expired, it is asked for another one.
        """
        for _ in range(MAX_SIGNED_URLS - 1):
            try:
                return self._ask(method, url, what, options)
            except _ExpiredError:
                continue
        return self._ask(method, url, what, options)

    def _ask(self, method: str, url: str, what: str, options: Mapping[str, Any]) -> bytes:
        cause: str
        status, kind = None, SiteError
        try:
            # With stream=True the client gives the response, not the JSON in it.
            with self._client.request(method, url, stream=True, **options) as response:
                content: bytes = response.content
                return content
        except requests.HTTPError as error:
            status = error.response.status_code
            cause = f"{status} {http.client.responses.get(status, '')}".rstrip()
            if error.response.history and is_expired(error.response):
                kind = _ExpiredError
        except requests.Timeout:
            cause = "no answer in time"
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            cause = "connection failed"
        except requests.RequestException:
            cause = "no usable answer"
        # The causes quote URLs, headers and bodies: they are not chained.
        raise kind(f"{method} {what or url}: {cause}", status)

    def pages(
        self, url: str, query: Mapping[str, Any] | None = None, *, key: str = ""
    ) -> Iterator[list[Any]]:
        """Yield a list page by page, as the site may cap it; raise SiteError.

        `key` is for an answer that has the list under a key.
        """
        asked = {**(query or {}), "limit": PAGE_SIZE}
        while True:
            answer = self.json("GET", url, dict if key else list, params=asked)
            try:
                records = answer[key] if key else answer
                last = _record_id(records[-1]) if records else None
            except (KeyError, TypeError):
                raise unpromised("GET", url) from None
            # A site that does not know after_id gives the same page again.
            if last is None or last == asked.get("after_id"):
                return
            yield records
            asked["after_id"] = last

    def containers(self, url: str, query: Mapping[str, Any] | None = None) -> Iterator[list[Any]]:
        """Yield a list of containers page by page; raise SiteError.

        A site admin is shown the containers of a project without being its member only if asked
        for with `exhaustive`, which the site refuses to others.
        """
        whole = {**(query or {}), **EXHAUSTIVE}
        if self._may_see_all:
            yield from self.pages(url, whole)
            return
        is_empty = True
        for records in self.pages(url, query):
            is_empty = False
            yield records
        if is_empty and self._may_see_all is None:
            try:
                yield from self.pages(url, whole)
                self._may_see_all = True
            except SiteError as error:
                if not error.is_final:
                    raise
                self._may_see_all = False


def _record_id(record: Mapping[str, Any]) -> Any:
    """Return a record's id: `_id` in most lists, `id` for jobs alone."""
    return record["_id"] if "_id" in record else record["id"]


def is_expired(response: requests.Response) -> bool:
    """Tell whether a storage refuses a signed URL: what is asked of the site has a key."""
    return response.status_code in EXPIRED and "Authorization" not in response.request.headers


def unpromised(method: str, url: str) -> SiteError:
    """Return the error for an answer that is not what it should be."""
    return SiteError(f"{method} {url}: the answer is not what the API promises")
