"""A report is attached to its container by any upload method."""

import logging
import traceback
from pathlib import Path

import pytest

from fw_gear_dicom_send.errors import SiteError
from fw_gear_dicom_send.models import Container
from fw_gear_dicom_send.retry import RetryPolicy
from tests.support.clock import Clock
from tests.support.flywheel_http import Expired, Reset, Status
from tests.support.flywheel_site import FlywheelSite
from tests.support.site_clients import add_session, add_subject, client_site

REPORT_NAMES = ["dicom-send_report-Visit 1.a_2024-03-05_07:08:09.csv", 'é 画像 "x"&%.csv']


@pytest.mark.parametrize("signed_url", [False, True])
@pytest.mark.parametrize("name", REPORT_NAMES)
def test_file_is_attached(site: FlywheelSite, tmp_path: Path, name: str, signed_url: bool) -> None:
    """A file reaches its container under its name, whatever upload method the site requires."""
    site.signed_url = signed_url
    path = tmp_path / name
    path.write_bytes(b"a,b\r\n\r\n--c\n")
    session = add_session(site)
    client_site(site).attach(Container("session", session), path)
    (upload,) = site.uploads
    assert (upload.container_type, upload.container_id) == ("session", session)
    assert (upload.name, upload.content) == (name, path.read_bytes())


@pytest.mark.parametrize(("signed_url", "puts"), [(False, 0), (True, 1)])
def test_upload_uses_the_method_of_the_site(
    site: FlywheelSite, tmp_path: Path, signed_url: bool, puts: int
) -> None:
    """A signed URL is used if, and only if, the site's config enables it."""
    site.signed_url = signed_url
    path = tmp_path / "report.csv"
    path.write_bytes(b"a")
    client_site(site).attach(Container("subject", add_subject(site)), path)
    assert len(site.requested("PUT")) == puts


@pytest.mark.parametrize("signed_url", [False, True])
def test_the_upload_method_is_requested_once(
    site: FlywheelSite, tmp_path: Path, signed_url: bool
) -> None:
    """Further reports use the same method."""
    site.signed_url = signed_url
    client, session = client_site(site), Container("session", add_session(site))
    for name in ("1.csv", "2.csv", "3.csv"):
        (tmp_path / name).write_bytes(name.encode())
        client.attach(session, tmp_path / name)
    assert [upload.name for upload in site.uploads] == ["1.csv", "2.csv", "3.csv"]
    assert site.requested("GET").count("/api/config") == 1


@pytest.mark.parametrize("signed_url", [False, True])
def test_a_retried_upload_sends_the_whole_file(
    site: FlywheelSite, tmp_path: Path, signed_url: bool
) -> None:
    """Each try begins at the start of the file."""
    site.signed_url = signed_url
    session = Container("session", add_session(site))
    path = tmp_path / "report.csv"
    path.write_bytes(b"a" * 200_000)
    client = client_site(site, RetryPolicy(max_tries=3, clock=(clock := Clock())))
    client.attach(session, path)
    site.fault("storage" if signed_url else "any", Status(503), Status(503))
    client.attach(session, path)
    assert len(clock.waits) == 2
    assert [upload.content for upload in site.uploads] == [path.read_bytes()] * 2


def test_storage_does_not_get_the_key(site: FlywheelSite, tmp_path: Path) -> None:
    """A signed URL is requested without the API key."""
    site.signed_url = True
    path = tmp_path / "report.csv"
    path.write_bytes(b"a")
    client_site(site).attach(Container("session", add_session(site)), path)
    (put,) = (request for request in site.requests if request.method == "PUT")
    assert not any("secret" in value for value in put.headers.values())


@pytest.mark.parametrize("signed_url", [False, True])
def test_rejected_upload_is_a_site_error(
    site: FlywheelSite, tmp_path: Path, signed_url: bool
) -> None:
    """A read-only key gets 403 for an upload, and the error says so."""
    site.signed_url, site.upload_status = signed_url, 403
    path = tmp_path / "report.csv"
    path.write_bytes(b"a")
    session = add_session(site)
    with pytest.raises(SiteError) as caught:
        client_site(site).attach(Container("session", session), path)
    assert (
        str(caught.value) == f"POST /api/sessions/{session}/files: 403 Forbidden: it is not to be"
    )


def test_storage_error_does_not_show_the_url(site: FlywheelSite, tmp_path: Path) -> None:
    """The storage error is reported, but the signed URL is not, even in a traceback."""
    site.signed_url = True
    site.fault("storage", Status(500))
    path = tmp_path / "report.csv"
    path.write_bytes(b"a")
    with pytest.raises(SiteError) as caught:
        client_site(site).attach(Container("session", add_session(site)), path)
    assert str(caught.value) == "PUT the site's storage: 500 Internal Server Error"
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_missing_file_is_a_site_error(site: FlywheelSite, tmp_path: Path) -> None:
    """An unreadable file is not attached, and the error says so."""
    with pytest.raises(SiteError, match="No such file"):
        client_site(site).attach(Container("session", add_session(site)), tmp_path / "no.csv")


def test_signed_urls_are_not_logged(
    site: FlywheelSite, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Even the most verbose log contains no signed URL."""
    caplog.set_level(logging.DEBUG)
    site.signed_url = True
    site.fault("storage", Status(503), Reset())
    path = tmp_path / "report.csv"
    path.write_bytes(b"a")
    client_site(site, RetryPolicy(max_tries=4, clock=Clock())).attach(
        Container("session", add_session(site)), path
    )
    assert len(site.uploads) == 1
    assert caplog.text.count("; retrying in ") == 2
    assert "/storage/" not in caplog.text
    assert "hush" not in caplog.text


@pytest.mark.parametrize("status", [200, 400, 404, 405, 409])
def test_site_without_tickets_gets_the_file_directly(
    site: FlywheelSite, tmp_path: Path, status: int
) -> None:
    """Without signed URLs, or on an older site, the file is uploaded as a form."""
    site.signed_url, site.ticket_status = True, status
    path = tmp_path / "report.csv"
    path.write_bytes(b"a,b")
    client_site(site).attach(Container("session", add_session(site)), path)
    (upload,) = site.uploads
    assert (upload.name, upload.content) == ("report.csv", b"a,b")
    assert site.requested("PUT") == []


@pytest.mark.parametrize("code", [400, 401, 403])
def test_expired_signed_url_is_replaced(site: FlywheelSite, tmp_path: Path, code: int) -> None:
    """The whole file is sent to another URL, with a new ticket."""
    site.signed_url = True
    site.fault("storage", Expired(code), Expired(code))
    path = tmp_path / "report.csv"
    path.write_bytes(b"a" * 200_000)
    client_site(site).attach(Container("session", add_session(site)), path)
    (upload,) = site.uploads
    assert upload.content == path.read_bytes()
    assert len(site.requested("PUT")) == len(set(site.requested("PUT"))) == 3


def test_storage_that_rejects_signed_urls_is_reported(site: FlywheelSite, tmp_path: Path) -> None:
    """The upload fails after three URLs."""
    site.signed_url = True
    site.fault("storage", *[Expired(403)] * 1000)
    path = tmp_path / "report.csv"
    path.write_bytes(b"a")
    with pytest.raises(SiteError, match=r"^PUT the site's storage: 403 Forbidden$"):
        client_site(site).attach(Container("session", add_session(site)), path)
    assert len(site.requested("PUT")) == 3
