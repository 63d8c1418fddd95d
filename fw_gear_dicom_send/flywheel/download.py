"""Download of Flywheel files, with one retry policy for all temporary errors."""

import hashlib
import http.client
import logging
import re
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Condition
from time import monotonic
from typing import BinaryIO
from urllib.parse import quote

import requests
from fw_core_client import CoreClient

from ..errors import SiteError
from ..models import DownloadFailure, Fetch, FileEntry, NewerVersion
from ..reasons import Kind, Reason
from ..retry import Retry, RetryPolicy, is_temporary_status
from ..text import quantity
from .api import API, MAX_SIGNED_URLS, is_expired

CHUNK_SIZE = 1 << 20
HASH = re.compile(r"v0-sha384-([0-9a-f]{96})")
UNAUTHORIZED = 401
MAX_VERSIONS = 5
"""Maximum number of versions of a file that are downloaded without back-off."""

_INTERRUPTED = Reason(Kind.INTERRUPTED)
_REPLACED = Reason(Kind.REPLACED)

log = logging.getLogger(__name__)


class _FetchError(Exception):
    """A transfer failed."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class _TransientError(_FetchError):
    """A transfer failed temporarily; the site asks to wait `after` seconds."""

    def __init__(self, reason: Reason, after: float = 0) -> None:
        super().__init__(reason)
        self.after = after


class _ExpiredError(_FetchError):
    """The storage refused the signed URL that the site returned."""


class Downloader:
    """Thread-safe downloader for the files of a site.

    The mutable state is the open responses, and whether the downloader is stopped.
    """

    def __init__(self, client: CoreClient, folder: Path, policy: RetryPolicy) -> None:
        """Create a downloader.

        Args:
            client: Client of the site, which must not retry on its own.
            folder: Existing folder for the files.
            policy: Retries of each file before its download counts as failed.
        """
        self._client = client
        self._folder = folder
        self._policy = policy
        self._responses: set[requests.Response] = set()
        self._is_stopped = False
        self._stopping = Condition()

    def stop(self) -> None:
        """Abort all downloads, including those that stall or wait for a retry."""
        with self._stopping:
            self._is_stopped = True
            self._stopping.notify_all()
        for response in tuple(self._responses):
            # The response may end at any point while urllib3 shuts it down.
            with suppress(ValueError, TypeError, RuntimeError, OSError):
                response.raw.shutdown()

    def download(self, entry: FileEntry) -> Fetch:
        """Download a file, and compare it with the size and hash in its record.

        If the file was replaced after its selection, the new record counts. The caller deletes the
        returned file. A failed download leaves no file.
        """
        path = self._folder / uuid.uuid4().hex
        attempts, clock = Retry(self._policy), self._policy.clock
        versions, expired = [entry], 0
        while not self._is_stopped:
            try:
                self._fetch(versions[-1], path)
            except _TransientError as error:
                failure = self._failure(error)
                if error.reason.kind is Kind.DOWNLOAD_DIFFERS and len(versions) < MAX_VERSIONS:
                    newest = self._current_record(entry)
                    if newest != versions[-1]:
                        versions.append(newest)
                        continue
                wait = attempts.wait_time(at_least=error.after)
                if wait is None or error.after > self._policy.max_time:
                    return failure
                log.info("%s: %s; retrying in %.1f s", entry.name, error, wait)
                with self._stopping:
                    clock.wait_for(self._stopping, lambda: self._is_stopped, wait)
            except _FetchError as error:
                expired += isinstance(error, _ExpiredError)
                log.debug("%s: %s", entry.name, error)
                if not 0 < expired < MAX_SIGNED_URLS:
                    return DownloadFailure(error.reason)
            except OSError as error:
                return DownloadFailure(Reason(Kind.DOWNLOAD_NOT_WRITTEN, str(error.strerror)))
            else:
                return path if len(versions) == 1 else NewerVersion(path, _REPLACED)
        return DownloadFailure(_INTERRUPTED)

    def _current_record(self, entry: FileEntry) -> FileEntry:
        """Return the current record of a file; return it unchanged if the request fails."""
        try:
            record = API(self._client).json("GET", f"{_url(entry)}/info")
        except SiteError:
            return entry
        size, digest = record.get("size"), record.get("hash")
        return replace(
            entry,
            size=size if isinstance(size, int) else None,
            hash=digest if isinstance(digest, str) else None,
        )

    def outage(self) -> DownloadFailure | None:
        """Return the failure if the site does not respond at all, else None."""
        try:
            with self._client.get("/api/config", stream=True):
                return None
        except requests.RequestException as error:
            failure = _fetch_error(error)
        return self._failure(failure) if isinstance(failure, _TransientError) else None

    def _failure(self, error: _TransientError) -> DownloadFailure:
        reason = error.reason
        if self._policy.max_time > 0:
            reason = Reason(reason.kind, f"{reason.detail} after retries")
        return DownloadFailure(reason, retry_after=error.after)

    def _fetch(self, entry: FileEntry, path: Path) -> None:
        """Make one attempt."""
        log.debug("Downloading %s", entry.name)
        start = monotonic()
        try:
            # Request the original bytes, whose number is known, instead of a compressed form.
            headers = {"Accept-Encoding": "identity"}
            with self._client.get(_url(entry), stream=True, headers=headers) as response:
                self._responses.add(response)
                try:
                    self._save(response, entry, path)
                finally:
                    self._responses.discard(response)
        except requests.RequestException as error:
            raise _fetch_error(error) from error
        size, seconds = quantity(path.stat().st_size, "byte"), monotonic() - start
        log.debug("Downloaded %s: %s in %.2f s", entry.name, size, seconds)

    def _save(self, response: requests.Response, entry: FileEntry, path: Path) -> None:
        """Write the body to `path`; delete the partial file on any error."""
        try:
            with path.open("xb") as file:
                self._copy(response, entry, file)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _copy(self, response: requests.Response, entry: FileEntry, file: BinaryIO) -> None:
        digest = hashlib.sha384()
        size = 0
        if self._is_stopped:
            raise _FetchError(_INTERRUPTED)
        for chunk in response.iter_content(CHUNK_SIZE):
            if self._is_stopped:
                raise _FetchError(_INTERRUPTED)
            size += len(chunk)
            if entry.size is not None and size > entry.size:
                raise _mismatch("more bytes than in its record")
            digest.update(chunk)
            file.write(chunk)
        if entry.size is not None and size < entry.size:
            raise _mismatch("fewer bytes than in its record")
        expected = HASH.fullmatch(entry.hash or "")
        if expected and expected[1] != digest.hexdigest():
            raise _mismatch("hash differs from its record")


def _url(entry: FileEntry) -> str:
    container = f"/api/{entry.parent.type}s/{quote(entry.parent.id, safe='')}"
    return f"{container}/files/{quote(entry.key, safe='', errors='surrogatepass')}"


def _mismatch(difference: str) -> _TransientError:
    return _TransientError(Reason(Kind.DOWNLOAD_DIFFERS, difference))


def _fetch_error(error: requests.RequestException) -> _FetchError:
    """Convert the error of a request to the error of a transfer."""
    if not isinstance(error, requests.HTTPError):
        return _TransientError(Reason(Kind.DOWNLOAD_LOST))
    status = error.response.status_code
    reason = f"{status} {http.client.responses.get(status, '')}".rstrip()
    if is_expired(error.response):
        return _ExpiredError(Reason(Kind.DOWNLOAD_REFUSED, reason))
    if status == UNAUTHORIZED:
        return _FetchError(Reason(Kind.INVALID_API_KEY, reason))
    if not is_temporary_status(status):
        return _FetchError(Reason(Kind.DOWNLOAD_REFUSED, reason))
    return _TransientError(Reason(Kind.DOWNLOAD_FAILED, reason), _retry_after(error.response))


def _retry_after(response: requests.Response) -> float:
    """Return the wait in seconds that the site asks for (RFC 9110 10.2.3), or 0."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0
