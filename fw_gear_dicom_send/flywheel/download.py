"""Download of Flywheel files, with one retry policy for all temporary errors."""

import hashlib
import logging
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Condition
from time import monotonic
from typing import Any, BinaryIO

import requests
from fw_core_client import CoreClient

from ..errors import SiteError
from ..models import DownloadFailure, Fetch, FileEntry, NewerVersion
from ..reasons import Kind, Reason
from ..retry import RetryPolicy, retry
from ..text import quantity
from ..values import replace
from .api import API, ExpiredURLError, container_url, reason_of, with_new_urls

CHUNK_SIZE = 1 << 20
HASH = re.compile(r"v0-sha384-([0-9a-f]{96})")
UNAUTHORIZED = 401
MAX_VERSIONS = 5
"""Maximum number of versions of a file that are downloaded without back-off."""

_INTERRUPTED = Reason(Kind.INTERRUPTED)
_REPLACED = Reason(Kind.REPLACED)

log = logging.getLogger(__name__)


class _DiffersError(SiteError):
    """The bytes of a file differ from its record."""


class _StoppedError(Exception):
    """The downloader was stopped."""


class Downloader:
    """Thread-safe downloader for the files of a site.

    The mutable state is the open responses, the number of retries, and whether the downloader is
    stopped.
    """

    def __init__(self, client: CoreClient, folder: Path, policy: RetryPolicy) -> None:
        """Download to an existing folder with a client that never retries.

        The `policy` limits the retries of each file before its download counts as failed.
        """
        self._api = API(client)
        self._folder = folder
        self._policy = policy
        self._responses: set[requests.Response] = set()
        self._retries = 0
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
        versions = [entry]
        try:
            retry(
                self._policy,
                partial(self._fetch_newest, versions, path),
                on=SiteError,
                is_temporary=lambda error: (
                    not error.is_final and error.retry_after <= self._policy.max_time
                ),
                at_least=lambda error: error.retry_after,
                before_wait=partial(self._note_retry, entry),
                sleep=self._sleep,
            )
        except SiteError as error:
            log.debug("%s: %s", entry.name, error)
            return self._failure(error)
        except _StoppedError:
            return DownloadFailure(_INTERRUPTED)
        except OSError as error:
            return DownloadFailure(Reason(Kind.DOWNLOAD_NOT_WRITTEN, str(error.strerror)))
        return path if len(versions) == 1 else NewerVersion(path, _REPLACED)

    def retries(self) -> int:
        """Return the number of retries so far."""
        return self._retries

    def outage(self) -> DownloadFailure | None:
        """Return the failure if the site does not respond at all, else None."""
        try:
            self._api.ask("GET", "/api/config")
        except SiteError as error:
            return None if error.is_final else self._failure(error)
        return None

    def _note_retry(self, entry: FileEntry, error: SiteError, wait: float) -> None:
        log.info("%s: %s; retrying in %.1f s", entry.name, _reason(error).text, wait)
        with self._stopping:
            self._retries += 1

    def _sleep(self, seconds: float) -> None:
        """Wait, until the downloader is stopped."""
        with self._stopping:
            self._policy.clock.wait_for(self._stopping, lambda: self._is_stopped, seconds)

    def _failure(self, error: SiteError) -> DownloadFailure:
        reason = _reason(error)
        if error.is_final:
            return DownloadFailure(reason)
        if self._policy.max_time > 0:
            reason = Reason(reason.kind, f"{reason.detail} after retries")
        return DownloadFailure(reason, retry_after=error.retry_after)

    def _fetch_newest(self, versions: list[FileEntry], path: Path) -> None:
        """Fetch the last of the versions; append newer ones if its bytes differ from its record."""
        while True:
            try:
                return with_new_urls(partial(self._fetch, versions[-1], path))
            except _DiffersError:
                if len(versions) == MAX_VERSIONS:
                    raise
                newest = self._current_record(versions[0])
                if newest == versions[-1]:
                    raise
                versions.append(newest)

    def _current_record(self, entry: FileEntry) -> FileEntry:
        """Return the current record of a file; return it unchanged if the request fails."""
        try:
            url = container_url(entry.parent, entry.key)
            return self._api.read(partial(_with_record, entry), "GET", f"{url}/info")
        except SiteError:
            return entry

    def _fetch(self, entry: FileEntry, path: Path) -> None:
        """Make one attempt, which leaves no file if it fails."""
        self._check_stopped()
        log.debug("Downloading %s", entry.name)
        start = monotonic()
        # Request the original bytes, whose number is known, instead of a compressed form.
        headers = {"Accept-Encoding": "identity"}
        url = container_url(entry.parent, entry.key)
        with self._api.open("GET", url, entry.name, headers=headers) as response:
            self._responses.add(response)
            try:
                with path.open("xb") as file:
                    self._copy(response, entry, file)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            finally:
                self._responses.discard(response)
        size, seconds = quantity(path.stat().st_size, "byte"), monotonic() - start
        log.debug("Downloaded %s: %s in %.2f s", entry.name, size, seconds)

    def _check_stopped(self) -> None:
        if self._is_stopped:
            raise _StoppedError

    def _copy(self, response: requests.Response, entry: FileEntry, file: BinaryIO) -> None:
        digest = hashlib.sha384()
        size = 0
        self._check_stopped()
        for chunk in response.iter_content(CHUNK_SIZE):
            self._check_stopped()
            size += len(chunk)
            if entry.size is not None and size > entry.size:
                raise _DiffersError("more bytes than in its record")
            digest.update(chunk)
            file.write(chunk)
        if entry.size is not None and size < entry.size:
            raise _DiffersError("fewer bytes than in its record")
        expected = HASH.fullmatch(entry.hash or "")
        if expected and expected[1] != digest.hexdigest():
            raise _DiffersError("hash differs from its record")


def _with_record(entry: FileEntry, record: Mapping[str, Any]) -> FileEntry:
    size, digest = record.get("size"), record.get("hash")
    return replace(
        entry,
        size=size if isinstance(size, int) else None,
        hash=digest if isinstance(digest, str) else None,
    )


def _reason(error: SiteError) -> Reason:
    status = error.status
    if isinstance(error, _DiffersError):
        return Reason(Kind.DOWNLOAD_DIFFERS, str(error))
    if status is None:
        return Reason(Kind.DOWNLOAD_LOST)
    if status == UNAUTHORIZED and not isinstance(error, ExpiredURLError):
        return Reason(Kind.INVALID_API_KEY, reason_of(status))
    return Reason(
        Kind.DOWNLOAD_REFUSED if error.is_final else Kind.DOWNLOAD_FAILED, reason_of(status)
    )
