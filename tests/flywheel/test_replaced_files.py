"""A file that is replaced after it was selected is sent in its newer version."""

import os
from pathlib import Path

import pytest

from fw_gear_dicom_send.flywheel.client import connect
from fw_gear_dicom_send.flywheel.download import MAX_VERSIONS, Downloader
from fw_gear_dicom_send.models import Container, DownloadFailure, Fetch, FileEntry, NewerVersion
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.retry import RetryPolicy
from tests.support.flywheel_http import Cut, Fault, Replace, Status
from tests.support.flywheel_site import FlywheelSite
from tests.support.site_clients import add_session

OLD = os.urandom(100_000)


def add_file(site: FlywheelSite, *faults: Fault) -> tuple[FileEntry, str]:
    """Add a file; return its entry in a run, and its id."""
    acquisition = site.add_acquisition(add_session(site), "T1")
    file_id = site.add_file(acquisition, "a b.zip", OLD)
    site.fault(file_id, *faults)
    record = site.containers[acquisition]["files"][0]
    parent = Container("acquisition", acquisition)
    return FileEntry(parent, "a b.zip", "", record["size"], record["hash"], key="a b.zip"), file_id


def download(site: FlywheelSite, folder: Path, entry: FileEntry, retry_time: float = 60) -> Fetch:
    policy = RetryPolicy(max_time=retry_time, max_wait=0.01)
    return Downloader(connect(site.api_key), folder, policy).download(entry)


@pytest.mark.parametrize("signed_url", [False, True])
@pytest.mark.parametrize("size", [0, 99_000, 100_000, 101_000])
def test_newer_version_is_downloaded(
    site: FlywheelSite, tmp_path: Path, size: int, signed_url: bool
) -> None:
    """It may be smaller, larger or of the same size, and needs no retry time."""
    site.signed_url = signed_url
    newer = os.urandom(size)
    entry, _ = add_file(site, Replace(newer))
    outcome = download(site, tmp_path, entry, retry_time=0)
    assert isinstance(outcome, NewerVersion)
    assert outcome.path.read_bytes() == newer
    assert outcome.remark.kind is Kind.REPLACED
    assert list(tmp_path.iterdir()) == [outcome.path]


def test_newer_version_is_verified(site: FlywheelSite, tmp_path: Path) -> None:
    """Like any file, it is retried if it is incomplete."""
    newer = os.urandom(120_000)
    entry, _ = add_file(site, Replace(newer), Cut(after=110_000), Status(503))
    outcome = download(site, tmp_path, entry)
    assert isinstance(outcome, NewerVersion)
    assert outcome.path.read_bytes() == newer


def test_last_version_of_a_file_replaced_twice_is_downloaded(
    site: FlywheelSite, tmp_path: Path
) -> None:
    """The record after the last bytes counts."""
    last = os.urandom(50_000)
    entry, _ = add_file(site, Replace(b"1"), Replace(last))
    outcome = download(site, tmp_path, entry, retry_time=0)
    assert isinstance(outcome, NewerVersion)
    assert outcome.path.read_bytes() == last


def test_constantly_replaced_file_fails(site: FlywheelSite, tmp_path: Path) -> None:
    """The number of requests for its record is limited."""
    versions = [Replace(bytes(number)) for number in range(1000)]
    entry, _ = add_file(site, *versions)
    outcome = download(site, tmp_path, entry, retry_time=0)
    assert isinstance(outcome, DownloadFailure)
    assert outcome.reason.kind is Kind.DOWNLOAD_DIFFERS
    paths = site.requested("GET")
    assert sum(path.endswith("/info") for path in paths) == MAX_VERSIONS - 1
    assert list(tmp_path.iterdir()) == []


def test_file_with_an_unreadable_record_fails_as_before(site: FlywheelSite, tmp_path: Path) -> None:
    """The reason is that of its content."""
    entry, file_id = add_file(site, Replace(b"1"))
    site.fault(f"{file_id}/info", Status(500))
    outcome = download(site, tmp_path, entry, retry_time=0)
    assert isinstance(outcome, DownloadFailure)
    assert outcome.reason.text == "fewer bytes than in its record"
