"""Image source and report sink of the gear."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..account import Account
from ..config import GearConfig
from ..delivery.sender import Parallel
from ..errors import SiteError
from ..models import Container, DownloadFailure, FileReport, NewerVersion, Selection
from ..retry import RetryPolicy
from ..source import Fetcher
from ..values import replace
from .api import SITE_POLICY
from .client import connect
from .download import Downloader
from .marks import AttachedReport, Marks, Metadata
from .site import Site

log = logging.getLogger(__name__)

_MAX_WAIT = 10.0
_FIRST_TRY_TIME = 2.0
"""Seconds of retries before a download is postponed and other files go first."""


class FlywheelSource:
    """Image source that selects the files of a container, or the input file."""

    def __init__(self, config: GearConfig) -> None:
        """Connect to the site in the API key; raise ConfigError if the key contains no host."""
        self._config = config
        self._site = Site(connect(config.api_key), SITE_POLICY)
        self._selection: Selection | None = None
        self._started = datetime.now(UTC)
        self.reports = FlywheelReports(self._site, config.container)

    def select(self) -> Selection:
        """Find the files to send; raises ConfigError or SiteError as `Site.select` does."""
        self._started = datetime.now(UTC)
        self._selection = self._site.select(self._config)
        return self._selection

    def mark(self, metadata: Metadata, job_info: Mapping[str, Any], account: Account) -> None:
        """Mark the outcome of the run; what the site refuses goes to `metadata`, for the engine.

        `job_info` describes the job in QC results.
        """
        if self._selection and not self._config.dry_run:
            marks = Marks(self._site, metadata, self._config, account, self._started)
            marks.write(job_info, self.reports.first)

    def fetcher(self, folder: Path) -> Fetcher:
        """Return a fetcher that downloads files to `folder`; an input file is already on disk."""
        config = self._config
        if chosen := config.input_file:
            return Fetcher(lambda _: chosen.path)
        parallel = Parallel.of(config.downloads)
        client = connect(config.api_key, connections=parallel.most)
        late = RetryPolicy(max_time=config.file_download_retry_time, max_wait=_MAX_WAIT)
        first = replace(late, max_time=min(late.max_time, _FIRST_TRY_TIME))
        downloader = Downloader(client, folder, first)
        return Fetcher(
            downloader.download,
            parallel,
            downloader.stop,
            late,
            downloader.outage,
            downloader.retries,
        )

    def earlier_reports(self, folder: Path) -> Iterator[Path]:
        """Download the newest per-image reports of earlier runs one by one, and yield their paths.

        The oldest of them comes first. A report whose download fails is skipped with a warning.
        """
        places = [self._config.container]
        if self._selection:
            places.insert(0, self._selection.report_parent)
        try:
            reports = self._site.image_reports(places)
        except SiteError as exc:
            log.warning("Cannot find reports of earlier runs: %s", exc)
            return
        client = connect(self._config.api_key)
        policy = RetryPolicy(max_time=self._config.file_download_retry_time, max_wait=_MAX_WAIT)
        downloader = Downloader(client, folder, policy)
        for entry in reversed(reports):
            match downloader.download(entry):
                case DownloadFailure(reason=reason):
                    log.warning("Skipping the report %s: %s", entry.name, reason.text)
                case NewerVersion(path=path) | (Path() as path):
                    yield path
                    path.unlink()

    def release(self, path: Path) -> None:
        """Delete a downloaded file."""
        if not self._config.input_file:
            path.unlink(missing_ok=True)


class FlywheelReports:
    """Report sink that attaches reports to containers of the site.

    The mutable state is `first`, the report that was delivered first, such as the one on files.
    """

    reports_failed_starts = True

    def __init__(self, site: Site, destination: Container) -> None:
        """Attach reports to `site`; the engine attaches those it refuses to `destination`."""
        self._site = site
        self._destination = destination
        self.first: AttachedReport | None = None

    def rows(self, reports: Sequence[FileReport]) -> Sequence[FileReport]:
        """Return all reports."""
        return reports

    def deliver(self, parent: Container, path: Path) -> bool:
        """Attach a report; raise SiteError if the site refuses it."""
        report = AttachedReport(self._destination, path.name, is_there=False)
        try:
            self._site.attach(parent, path)
            report = AttachedReport(parent, path.name)
        finally:
            self.first = self.first or report
        return True
