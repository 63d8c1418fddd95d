"""Files of a site whose storage delivers them through signed URLs."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fw_gear_dicom_send.batch.api import BatchAPI
from fw_gear_dicom_send.batch.models import StoredFile
from fw_gear_dicom_send.errors import SiteError
from fw_gear_dicom_send.flywheel.client import connect
from fw_gear_dicom_send.flywheel.download import Downloader
from fw_gear_dicom_send.models import Container, DownloadFailure, Fetch, FileEntry
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.retry import RetryPolicy
from tests.support.flywheel_http import Cut, Expired, Fault, Status
from tests.support.flywheel_site import FlywheelSite
from tests.support.site_clients import add_session

CONTENT = b"image" * 10_000


@pytest.fixture
def acquisition(site: FlywheelSite) -> str:
    """Acquisition on a site with signed URLs."""
    site.signed_url = True
    return site.add_acquisition(add_session(site), "T1")


def download(site: FlywheelSite, folder: Path, acquisition: str, *faults: Fault) -> Fetch:
    """Download a file from the site with these faults."""
    site.fault(site.add_file(acquisition, "a.dcm", CONTENT), *faults)
    record = site.containers[acquisition]["files"][0]
    parent = Container("acquisition", acquisition)
    entry = FileEntry(parent, "a.dcm", "", record["size"], record["hash"], key="a.dcm")
    policy = RetryPolicy(max_time=60, max_wait=0.01)
    return Downloader(connect(site.api_key), folder, policy).download(entry)


@pytest.mark.parametrize("code", [400, 401, 403])
def test_expired_signed_url_is_replaced(
    site: FlywheelSite, tmp_path: Path, acquisition: str, code: int
) -> None:
    """Another URL is requested from the site; each URL is used once."""
    faults = (Expired(code), Status(503), Cut(after=100), Expired(code))
    outcome = download(site, tmp_path, acquisition, *faults)
    assert isinstance(outcome, Path)
    assert outcome.read_bytes() == CONTENT
    used = [request.query["signature"] for request in site.requests if request.query]
    assert len(used) == len(set(used)) == 5


@pytest.mark.parametrize("code", [400, 401, 403])
def test_storage_that_rejects_signed_urls_is_reported(
    site: FlywheelSite, tmp_path: Path, acquisition: str, code: int
) -> None:
    """After three URLs the download fails; the reason does not blame the API key."""
    outcome = download(site, tmp_path, acquisition, *[Expired(code)] * 1000)
    assert isinstance(outcome, DownloadFailure)
    assert outcome.reason.kind is Kind.DOWNLOAD_REFUSED
    assert outcome.reason.text.startswith(str(code))
    assert sum(path.startswith("/storage/") for path in site.requested("GET")) == 3


def test_file_missing_in_the_storage_is_final(
    site: FlywheelSite, tmp_path: Path, acquisition: str
) -> None:
    """Another signed URL would not help."""
    outcome = download(site, tmp_path, acquisition, Status(404))
    assert outcome == DownloadFailure(Reason(Kind.DOWNLOAD_REFUSED, "404 Not Found"))
    assert len(site.requests) == 2


@pytest.mark.parametrize("number", [2, 3])
def test_report_of_a_batch_uses_another_signed_url(
    site: FlywheelSite, acquisition: str, number: int
) -> None:
    """The limit is the same as for downloads."""
    site.fault(site.add_file(acquisition, "r.csv", b"a,b"), *[Expired(403)] * number)
    file = StoredFile(Container("acquisition", acquisition), "r.csv", datetime.now(UTC))
    api = BatchAPI(site.api_key)
    if number == 2:
        assert api.read(file) == b"a,b"
    else:
        with pytest.raises(SiteError, match="403 Forbidden"):
            api.read(file)
    assert sum(path.startswith("/storage/") for path in site.requested("GET")) == 3
