"""Flywheel files to disk, with one policy for all that can go wrong on the way."""

import hashlib
import http.client
import logging
import re
import time
import uuid
from collections.abc import Generator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import backoff
import requests
from backoff.types import Details
from fw_core_client import CoreClient

from ..models import DownloadFailure, FileEntry

CHUNK_SIZE = 1 << 20
LONGEST_WAIT = 10.0
HASH = re.compile(r"v0-sha384-([0-9a-f]{96})")
UNAUTHORIZED = 401
RETRIED_STATUS = 429
FIRST_SERVER_ERROR = 500

log = logging.getLogger(__name__)


class _FetchError(Exception):
    """A transfer failed; its text is the reason."""


class _TransientError(_FetchError):
    """A transfer failed in a way that may pass, `after` so many seconds if the site says so."""

    def __init__(self, reason: str, after: float = 0) -> None:
        super().__init__(reason)
        self.after = after


class Downloader:
    """Downloads the files of a site into a folder."""

    def __init__(self, client: CoreClient, folder: Path, retry_time: float) -> None:
        """Take a client that does not retry on its own.

        Args:
            client: The site's client.
            folder: Where the files go; it exists.
            retry_time: Most seconds of back-off per file, from its first failure.
        """
        self._client = client
        self._folder = folder
        self._retry_time = retry_time

    def download(self, entry: FileEntry) -> Path | DownloadFailure:
        """Download a file, and check it against the size and hash of its record.

        The caller deletes the file that is returned; where none is, none is left.
        """

        def tell(details: Details) -> None:
            reason, wait = details.get("exception"), details.get("wait", 0)
            log.info("%s: %s; next try in %.1f s", entry.name, reason, wait)

        fetch = backoff.on_exception(
            _waits,
            _TransientError,
            jitter=None,
            logger=None,
            on_backoff=tell,
            retry_time=self._retry_time,
        )(self._fetch)
        path = self._folder / uuid.uuid4().hex
        try:
            fetch(entry, path)
        except _TransientError as error:
            return DownloadFailure(f"{error} after back-off" if self._retry_time else str(error))
        except _FetchError as error:
            return DownloadFailure(str(error))
        except OSError as error:
            return DownloadFailure(f"cannot be written to disk: {error.strerror}")
        return path

    def _fetch(self, entry: FileEntry, path: Path) -> None:
        """Make one attempt."""
        container = f"/api/{entry.parent.type}s/{quote(entry.parent.id, safe='')}"
        url = f"{container}/files/{quote(entry.name, safe='')}"
        try:
            # The file's own bytes, whose number is known, not a compressed form.
            headers = {"Accept-Encoding": "identity"}
            with self._client.get(url, stream=True, headers=headers) as response:
                _save(response, entry, path)
        except requests.HTTPError as error:
            status = error.response.status_code
            reason = f"{status} {http.client.responses.get(status, '')}".rstrip()
            if status == UNAUTHORIZED:
                raise _FetchError(f"{reason}: the API key is not valid, or no longer") from error
            if not _may_pass(status):
                raise _FetchError(reason) from error
            raise _TransientError(reason, _retry_after(error.response)) from error
        except requests.RequestException as error:
            raise _TransientError("connection lost or too slow") from error


def _save(response: requests.Response, entry: FileEntry, path: Path) -> None:
    """Write the body to `path`; whatever stops it, no partial file is left."""
    try:
        with path.open("xb") as file:
            _copy(response, entry, file)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _copy(response: requests.Response, entry: FileEntry, file: BinaryIO) -> None:
    digest = hashlib.sha384()
    size = 0
    for chunk in response.iter_content(CHUNK_SIZE):
        size += len(chunk)
        if entry.size is not None and size > entry.size:
            raise _TransientError("more bytes than its record says")
        digest.update(chunk)
        file.write(chunk)
    if entry.size is not None and size < entry.size:
        raise _TransientError("fewer bytes than its record says")
    told = HASH.fullmatch(entry.hash or "")
    if told and told[1] != digest.hexdigest():
        raise _TransientError("other bytes than its record says")


def _may_pass(status: int) -> bool:
    return status == RETRIED_STATUS or status >= FIRST_SERVER_ERROR


def _retry_after(response: requests.Response) -> float:
    """Return for how many seconds the site asks to wait (RFC 9110 10.2.3), 0 where it does not."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0


def _waits(retry_time: float) -> Generator[float, Any, None]:
    """Yield waits in seconds: exponential with full jitter, none beyond the time given.

    A wait is no shorter than what the site asks for.
    """
    # backoff takes this first value to start the generator, and sends it each failure
    # later: the time begins with the first.
    failure = yield 0
    deadline = time.monotonic() + retry_time
    for attempt in count():
        left = deadline - time.monotonic()
        if left <= 0:
            return
        wait = backoff.full_jitter(min(2.0**attempt, LONGEST_WAIT))
        failure = yield min(max(wait, failure.after), left)
