"""Requests to the REST API of a Flywheel site; each failure is a SiteError of one line.

The header X-Accept-Feature does not contain `Pagination`, so a list is a plain array of records.
Pages are requested with `limit` and `after_id`, like in the public flywheel-sdk.
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
"""Number of consecutive signed URLs that a storage may refuse before the request fails."""
EXPIRED = (400, 401, 403)
"""HTTP status for an expired signed URL: Google 400, Azure 403, S3 either."""
EXHAUSTIVE = {"exhaustive": "true"}
"""Includes projects without the site admin as a member."""


class _ExpiredError(SiteError):
    """The storage refused the signed URL that the site returned."""


class API:
    """REST API of a site."""

    def __init__(self, client: CoreClient) -> None:
        """Use `client` for all requests."""
        self._client = client
        self._may_see_all: bool | None = None

    @property
    def features(self) -> str:
        """Value of the client's header X-Accept-Feature."""
        return str(self._client.headers["X-Accept-Feature"])

    @property
    def site(self) -> str:
        """URL of the site."""
        return str(self._client.baseurl)

    def json(
        self, method: str, url: str, kind: type | tuple[type, ...] = dict, **options: Any
    ) -> Any:
        """Send a request and return the JSON value of type `kind` in the response.

        Raises SiteError.
        """
        body = self.ask(method, url, **options)
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, kind):
            raise unexpected_response(method, url)
        return answer

    def ask(self, method: str, url: str, *, what: str = "", **options: Any) -> bytes:
        """Send a request and return the body; request another signed URL if one has expired.

        Raises SiteError, whose message names `what`, or else the URL.
        """
        for _ in range(MAX_SIGNED_URLS - 1):
            try:
                return self._request(method, url, what, options)
            except _ExpiredError:
                continue
        return self._request(method, url, what, options)

    def _request(self, method: str, url: str, what: str, options: Mapping[str, Any]) -> bytes:
        cause: str
        status, kind = None, SiteError
        try:
            # With stream=True the client returns the response instead of its JSON value.
            with self._client.request(method, url, stream=True, **options) as response:
                content: bytes = response.content
                return content
        except requests.HTTPError as error:
            status = error.response.status_code
            cause = f"{status} {http.client.responses.get(status, '')}".rstrip()
            if error.response.history and is_expired(error.response):
                kind = _ExpiredError
        except requests.Timeout:
            cause = "request timed out"
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            cause = "connection failed"
        except requests.RequestException:
            cause = "invalid response"
        # The original errors quote URLs, headers and bodies, so they are not chained.
        raise kind(f"{method} {what or url}: {cause}", status)

    def pages(
        self, url: str, query: Mapping[str, Any] | None = None, *, key: str = ""
    ) -> Iterator[list[Any]]:
        """Yield a list page by page; raise SiteError.

        `key` is for a response that is an object with the list under that key.
        """
        params = {**(query or {}), "limit": PAGE_SIZE}
        while True:
            answer = self.json("GET", url, dict if key else list, params=params)
            try:
                records = answer[key] if key else answer
                last = _record_id(records[-1]) if records else None
            except (KeyError, TypeError):
                raise unexpected_response("GET", url) from None
            # A site that does not support after_id returns the same page again.
            if last is None or last == params.get("after_id"):
                return
            yield records
            params["after_id"] = last

    def containers(self, url: str, query: Mapping[str, Any] | None = None) -> Iterator[list[Any]]:
        """Yield a list of containers page by page; raise SiteError.

        A site admin who is not a member of a project sees its containers only with `exhaustive`.
        The site refuses that parameter to all other users.
        """
        exhaustive = {**(query or {}), **EXHAUSTIVE}
        if self._may_see_all:
            yield from self.pages(url, exhaustive)
            return
        is_empty = True
        for records in self.pages(url, query):
            is_empty = False
            yield records
        if is_empty and self._may_see_all is None:
            try:
                yield from self.pages(url, exhaustive)
                self._may_see_all = True
            except SiteError as error:
                if not error.is_final:
                    raise
                self._may_see_all = False


def _record_id(record: Mapping[str, Any]) -> Any:
    """Return the id of a record: `id` for jobs, `_id` for everything else."""
    return record["_id"] if "_id" in record else record["id"]


def is_expired(response: requests.Response) -> bool:
    """Return whether a storage refused a signed URL; requests to the site itself have a key."""
    return response.status_code in EXPIRED and "Authorization" not in response.request.headers


def unexpected_response(method: str, url: str) -> SiteError:
    """Return the error for a response that does not match the API."""
    return SiteError(f"{method} {url}: unexpected response")
