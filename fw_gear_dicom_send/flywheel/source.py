"""The files of a Flywheel container, or the one given as input."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..models import Container, FileReport, GearConfig, Selection
from ..retry import RetryPolicy
from ..source import Fetcher
from .download import Downloader
from .site import Site, connect

_SITE_RETRIES = 5
_MAX_WAIT = 10.0


class FlywheelSource:
    """Knows the site and the downloader, which do not know each other."""

    def __init__(self, config: GearConfig) -> None:
        """Raises ConfigError if the API key names no site; nothing is asked of it yet."""
        self._config = config
        self._site = Site(connect(config.api_key, retries=_SITE_RETRIES))

    @property
    def options(self) -> Mapping[str, str]:
        """How many files are downloaded at once, and how long a download is tried."""
        config = self._config
        return {
            "downloads": f"{config.downloads}",
            "file_download_retry_time": f"{config.file_download_retry_time:g} s",
        }

    def select(self) -> Selection:
        """Find the files to send; raises ConfigError or SiteError as `Site.select` does."""
        return self._site.select(self._config)

    def fetcher(self, folder: Path) -> Fetcher:
        """Return what downloads files to `folder`; an input lies on disk already."""
        config = self._config
        if chosen := config.input_file:
            return Fetcher(lambda _: chosen.path)
        client = connect(config.api_key, retries=0, connections=config.downloads)
        policy = RetryPolicy(max_time=config.file_download_retry_time, max_wait=_MAX_WAIT)
        downloader = Downloader(client, folder, policy)
        return Fetcher(downloader.download, config.downloads, downloader.stop)

    def release(self, path: Path) -> None:
        """Delete what was downloaded."""
        if not self._config.input_file:
            path.unlink(missing_ok=True)

    @property
    def reports(self) -> "FlywheelReports":
        """Where the reports of the run go."""
        return FlywheelReports(self._site)


class FlywheelReports:
    """The containers of the site, to which reports are attached."""

    time_format = "%Y-%m-%d_%H:%M:%S"

    def __init__(self, site: Site) -> None:
        """Attach to containers of `site`."""
        self._site = site

    def rows(self, reports: Sequence[FileReport]) -> Sequence[FileReport]:
        """Return them all."""
        return reports

    def deliver(self, parent: Container, path: Path) -> bool:
        """Attach a report; raises SiteError if the site does not take it."""
        self._site.attach(parent, path)
        return True
