"""The fetcher of a run on a container."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from fw_gear_dicom_send.flywheel.source import FlywheelSource
from fw_gear_dicom_send.models import Container, DownloadFailure
from fw_gear_dicom_send.values import replace
from tests.support.flywheel_http import Fault, Meet, Status
from tests.support.flywheel_site import FlywheelSite
from tests.support.site_clients import add_session, gear_config
from tests.support.waiting import PATIENCE

FILES = 32


def source_of(
    site: FlywheelSite, *faults: Fault, files: int = 1, downloads: int = 0, retry_time: float = 60
) -> FlywheelSource:
    """Return the source of a run on a session with files, whose downloads have faults."""
    session = add_session(site)
    acquisition = site.add_acquisition(session, "T1")
    for number in range(files):
        file = site.add_file(acquisition, f"{number}.dcm", b"content")
        site.fault(file, *faults)
    config = gear_config(Container("session", session))
    return FlywheelSource(
        replace(
            config,
            api_key=site.api_key,
            downloads=downloads,
            file_download_retry_time=retry_time,
        )
    )


@pytest.mark.parametrize(("downloads", "numbers"), [(0, (4, 16)), (1, (1, 1)), (7, (7, 7))])
def test_the_option_sets_the_number_of_downloads(
    site: FlywheelSite, tmp_path: Path, downloads: int, numbers: tuple[int, int]
) -> None:
    """The automatic number is 4 at first, and 16 at most."""
    parallel = source_of(site, downloads=downloads).fetcher(tmp_path).parallel
    assert (parallel.assured, parallel.most) == numbers


def test_sixteen_downloads_share_sixteen_connections(site: FlywheelSite, tmp_path: Path) -> None:
    """Twice sixteen downloads that run together open no further connection."""
    source = source_of(site, Meet(Barrier(16, timeout=PATIENCE)), files=FILES)
    entries = source.select().entries
    before = site.connections
    fetcher = source.fetcher(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        assert all(isinstance(path, Path) for path in pool.map(fetcher.fetch, entries))
    assert len(entries) == FILES
    assert site.connections - before == 16


@pytest.mark.parametrize("status", [429, 503])
def test_retries_are_counted(site: FlywheelSite, tmp_path: Path, status: int) -> None:
    """A file that comes at the third try has two."""
    source = source_of(site, Status(status), Status(status))
    fetcher = source.fetcher(tmp_path)
    assert fetcher.retries() == 0
    assert isinstance(fetcher.fetch(source.select().entries[0]), Path)
    assert fetcher.retries() == 2


def test_a_refusal_is_no_retry(site: FlywheelSite, tmp_path: Path) -> None:
    """The file fails at once."""
    source = source_of(site, Status(404))
    fetcher = source.fetcher(tmp_path)
    failure = fetcher.fetch(source.select().entries[0])
    assert isinstance(failure, DownloadFailure)
    assert failure.retry_after is None
    assert fetcher.retries() == 0
