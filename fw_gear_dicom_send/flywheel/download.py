"""Flywheel files to disk, with one policy for all that can go wrong on the way."""

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
from .api import API, MAX_SIGNED_URLS, is_expired

CHUNK_SIZE = 1 << 20
HASH = re.compile(r"v0-sha384-([0-9a-f]{96})")
UNAUTHORIZED = 401
MAX_VERSIONS = 5
"""A file that is replaced more often while it is downloaded is tried again with back-off."""

_INTERRUPTED = Reason(Kind.INTERRUPTED)
_REPLACED = Reason(Kind.REPLACED)

log = logging.getLogger(__name__)


class _FetchError(Exception):
    """A transfer failed."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class _TransientError(_FetchError):
    """A transfer failed in a way that may pass, `after` so many seconds if the site says so."""

    def __init__(self, reason: Reason, after: float = 0) -> None:
        super().__init__(reason)
        self.after = after


class _ExpiredError(_FetchError):
    """The storage refused the signed URL that the site had led to."""


class Downloader:
    """Downloads the files of a site into a folder, by several threads at once.

    The mutable state is the responses that are being read, and whether it was stopped.
    """

    def __init__(self, client: CoreClient, folder: Path, policy: RetryPolicy) -> None:
        """Take a client that does not retry on its own.

        Args:
            client: The site's client.
            folder: Where the files go; it exists.
            policy: The retries of each file, before it is given up for now.
        """
        self._client = client
        self._folder = folder
        self._policy = policy
        self._responses: set[requests.Response] = set()
        self._is_stopped = False
        self._stopping = Condition()

    def stop(self) -> None:
        """End all downloads, also those that get nothing and those that wait for a retry."""
        with self._stopping:
            self._is_stopped = True
            self._stopping.notify_all()
        for response in tuple(self._responses):
            # It may come to its end meanwhile, at each point of what urllib3 does here.
            with suppress(ValueError, TypeError, RuntimeError, OSError):
                response.raw.shutdown()

    def download(self, entry: FileEntry) -> Fetch:
        """Download a file, and check it against the size and hash of its record.

        Where it was replaced since then, that is its new record. The caller deletes the file that
        is returned; where none is, none is left.
        """
        path = self._folder / uuid.uuid4().hex
        attempts, clock = Retry(self._policy), self._policy.clock
        versions, expired = [entry], 0
        while not self._is_stopped:
            try:
                self._fetch(versions[-1], path)
            except _TransientError as error:
                failure = self._given_up(error)
                if error.reason.kind is Kind.DOWNLOAD_DIFFERS and len(versions) < MAX_VERSIONS:
                    newest = self._newest(entry)
                    if newest != versions[-1]:
                        versions.append(newest)
                        continue
                wait = attempts.wait_time(at_least=error.after)
                if wait is None or error.after > self._policy.max_time:
                    return failure
                log.info("%s: %s; next try in %.1f s", entry.name, error, wait)
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

    def _newest(self, entry: FileEntry) -> FileEntry:
        """Return a file as the site has it now; unchanged where the site does not tell."""
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
        """Return why the site gives no answer at all now, None where it gives one."""
        try:
            with self._client.get("/api/config", stream=True):
                return None
        except requests.RequestException as error:
            failure = _fetch_error(error)
        return self._given_up(failure) if isinstance(failure, _TransientError) else None

    def _given_up(self, error: _TransientError) -> DownloadFailure:
        reason = error.reason
        if self._policy.max_time > 0:
            reason = Reason(reason.kind, f"{reason.detail} after back-off")
        return DownloadFailure(reason, retry_after=error.after)

    def _fetch(self, entry: FileEntry, path: Path) -> None:
        """Make one attempt."""
        log.debug("Download of %s begins", entry.name)
        begun = monotonic()
        try:
            # The file's own bytes, whose number is known, not a compressed form.
            headers = {"Accept-Encoding": "identity"}
            with self._client.get(_url(entry), stream=True, headers=headers) as response:
                self._responses.add(response)
                try:
                    self._save(response, entry, path)
                finally:
                    self._responses.discard(response)
        except requests.RequestException as error:
            raise _fetch_error(error) from error
        seconds = monotonic() - begun
        log.debug("Download of %s: %d bytes in %.2f s", entry.name, path.stat().st_size, seconds)

    def _save(self, response: requests.Response, entry: FileEntry, path: Path) -> None:
        """Write the body to `path`; whatever stops it, no partial file is left."""
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
                raise _different("more")
            digest.update(chunk)
            file.write(chunk)
        if entry.size is not None and size < entry.size:
            raise _different("fewer")
        expected = HASH.fullmatch(entry.hash or "")
        if expected and expected[1] != digest.hexdigest():
            raise _different("other")


def _url(entry: FileEntry) -> str:
    container = f"/api/{entry.parent.type}s/{quote(entry.parent.id, safe='')}"
    return f"{container}/files/{quote(entry.key, safe='', errors='surrogatepass')}"


def _different(what: str) -> _TransientError:
    return _TransientError(Reason(Kind.DOWNLOAD_DIFFERS, f"{what} bytes than its record says"))


def _fetch_error(error: requests.RequestException) -> _FetchError:
    """Return what a failed request means for a transfer."""
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
    """Return for how many seconds the site asks to wait (RFC 9110 10.2.3), 0 where it does not."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else 0
