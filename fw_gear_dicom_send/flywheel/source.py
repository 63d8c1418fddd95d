"""The files of a Flywheel container, or the one given as input."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import SiteError
from ..models import (
    Container,
    DownloadFailure,
    FileReport,
    GearConfig,
    NewerVersion,
    Outcome,
    Selection,
)
from ..retry import RetryPolicy
from ..source import Fetcher
from .client import connect
from .download import Downloader
from .marks import Attached, Metadata, mark
from .site import Site

log = logging.getLogger(__name__)

_SITE_RETRIES = 5
_MAX_WAIT = 10.0
_FIRST_TRY_TIME = 2.0
"""For how many seconds a download is tried again before others go first."""


class FlywheelSource:
    """Knows the site and the downloader, which do not know each other."""

    def __init__(self, config: GearConfig) -> None:
        """Raises ConfigError if the API key names no site; nothing is asked of it yet."""
        self._config = config
        self._site = Site(connect(config.api_key, retries=_SITE_RETRIES))
        self._selection: Selection | None = None
        self.reports = FlywheelReports(self._site, config.destination)

    @property
    def options(self) -> Mapping[str, str]:
        """Which files are sent, how many at once are downloaded, and how long it is tried."""
        config = self._config
        return {
            "file_types": config.file_types,
            "modality": ", ".join(config.modalities) or "any",
            "file_tags": ", ".join(config.file_tags) or "any",
            "downloads": f"{config.downloads}",
            "file_download_retry_time": f"{config.file_download_retry_time:g} s",
            "sent_tag": config.sent_tag or "no tag",
            "resume": str(config.resume).lower(),
        }

    def select(self) -> Selection:
        """Find the files to send; raises ConfigError or SiteError as `Site.select` does."""
        self._selection = self._site.select(self._config)
        return self._selection

    def mark(self, metadata: Metadata, outcome: Outcome) -> None:
        """Leave in `metadata` what came of the run, for the engine to apply."""
        if self._selection:
            mark(metadata, self._config, self._selection, outcome, self.reports.first)

    def fetcher(self, folder: Path) -> Fetcher:
        """Return what downloads files to `folder`; an input lies on disk already."""
        config = self._config
        if chosen := config.input_file:
            return Fetcher(lambda _: chosen.path)
        client = connect(config.api_key, retries=0, connections=config.downloads)
        late = RetryPolicy(max_time=config.file_download_retry_time, max_wait=_MAX_WAIT)
        first = replace(late, max_time=min(late.max_time, _FIRST_TRY_TIME))
        downloader = Downloader(client, folder, first)
        return Fetcher(
            downloader.download, config.downloads, downloader.stop, late, downloader.outage
        )

    def earlier_reports(self, folder: Path) -> Iterator[Path]:
        """Download the newest per-image reports where the run's own will be, one at a time.

        One that Flywheel does not deliver is passed over, which is logged.
        """
        places = [self._config.destination]
        if self._selection:
            places.insert(0, self._selection.report_parent)
        try:
            found = self._site.image_reports(places)
        except SiteError as exc:
            log.warning("No report of an earlier run is used: %s", exc)
            return
        client = connect(self._config.api_key, retries=0)
        policy = RetryPolicy(max_time=self._config.file_download_retry_time, max_wait=_MAX_WAIT)
        downloader = Downloader(client, folder, policy)
        for entry in found:
            match downloader.download(entry):
                case DownloadFailure(reason=reason):
                    log.warning("%s is not used: %s", entry.name, reason.text)
                case NewerVersion(path=path) | (Path() as path):
                    yield path
                    path.unlink()

    def release(self, path: Path) -> None:
        """Delete what was downloaded."""
        if not self._config.input_file:
            path.unlink(missing_ok=True)


class FlywheelReports:
    """The containers of the site, to which reports are attached.

    The mutable state is `first`, the report that was delivered first: that on files.
    """

    time_format = "%Y-%m-%d_%H:%M:%S"
    reports_failed_starts = True

    def __init__(self, site: Site, destination: Container) -> None:
        """Attach to containers of `site`; the engine attaches what is left to `destination`."""
        self._site = site
        self._destination = destination
        self.first: Attached | None = None

    def rows(self, reports: Sequence[FileReport]) -> Sequence[FileReport]:
        """Leave out files that the site knows as archives, and that hold no DICOM image."""
        return [one for one in reports if not (one.entry.is_any_archive and one.has_no_image)]

    def deliver(self, parent: Container, path: Path) -> bool:
        """Attach a report; raises SiteError if the site does not take it."""
        place = self._destination
        try:
            self._site.attach(parent, path)
            place = parent
        finally:
            self.first = self.first or Attached(place, path.name)
        return True
