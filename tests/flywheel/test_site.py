"""Requests of a run to a Flywheel site, their number, and the handling of bad responses."""

import traceback
from pathlib import Path

import pytest

from fw_gear_dicom_send.errors import SiteError
from fw_gear_dicom_send.flywheel.api import API, SITE_POLICY
from fw_gear_dicom_send.flywheel.client import connect
from fw_gear_dicom_send.flywheel.download import Downloader
from fw_gear_dicom_send.models import Container
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.values import replace
from tests.flywheel.test_download import busy_site
from tests.support.clock import Clock
from tests.support.flywheel_http import Cut, Flip, Reset, Status
from tests.support.flywheel_site import FlywheelSite
from tests.support.site_clients import add_session, add_subject, client_site, gear_config, selected


def test_client_retries_as_often_as_configured(site: FlywheelSite) -> None:
    """A request is retried after a server error if retries are configured."""
    session = add_session(site)
    site.fault(session, Status(503))
    selection = client_site(site, RetryPolicy(max_tries=2, clock=Clock())).select(
        gear_config(Container("session", session))
    )
    assert selection.report_label == "Visit 1"


@pytest.mark.parametrize(
    "fault", [Status(500), Status(408), Status(429), Reset(), Cut(after=5)], ids=str
)
def test_temporary_failures_are_retried_with_growing_waits(
    site: FlywheelSite, fault: Status | Reset | Cut
) -> None:
    """The run continues if the site responds within five retries."""
    session, clock = add_session(site), Clock()
    site.fault(session, *[fault] * 5)
    selection = client_site(site, replace(SITE_POLICY, clock=clock)).select(
        gear_config(Container("session", session))
    )
    assert selection.report_label == "Visit 1"
    assert clock.waits == [0.5, 1, 2, 4, 8]


@pytest.mark.parametrize(("asked", "wait"), [("7", 7), ("61", 60), ("soon", 0.5)])
def test_site_can_ask_for_a_wait(asked: str, wait: float) -> None:
    """Retry-After is obeyed, up to a minute."""
    clock = Clock()
    with busy_site(retry_after=asked, times=1) as (key, *_):
        api = API(connect(key), replace(SITE_POLICY, clock=clock))
        assert api.ask("GET", "/api/config") == b"file"
    assert clock.waits == [wait]


def test_a_body_is_read_up_to_a_limit(site: FlywheelSite) -> None:
    """The rest of a larger one stays unread, but the result shows that there is more."""
    session = add_session(site)
    site.add_file(session, "a.toml", b"x" * (8 << 20))
    api, url = API(connect(site.api_key)), f"/api/sessions/{session}/files/a.toml"
    assert 100 < len(api.ask("GET", url, limit=100)) <= 200
    assert len(api.ask("GET", url, limit=8 << 20)) == 8 << 20


def test_client_without_retries_sends_one_request(site: FlywheelSite) -> None:
    """A server error is final if no retries are configured."""
    session = add_session(site)
    site.fault(session, Status(503))
    with pytest.raises(SiteError):
        selected(site, "session", session)
    assert site.requested("GET") == [f"/api/sessions/{session}"]


def test_lists_are_complete(site: FlywheelSite) -> None:
    """A list that is longer than one page is requested page by page."""
    site.page_limit = 2
    session = add_session(site)
    for number in range(5):
        site.add_file(site.add_acquisition(session, f"T{number}"), "a.dcm", b"1")
    names = [path.split("/")[4] for path in selected(site, "session", session)]
    assert names == ["T0", "T1", "T2", "T3", "T4"]


def test_admin_sees_projects_of_other_users(site: FlywheelSite) -> None:
    """A site admin who is not a member of a project can send its sessions."""
    site.is_admin, site.is_member = True, False
    session = add_session(site)
    for number in range(2):
        site.add_file(site.add_acquisition(session, f"T{number}"), "a.dcm", b"1")
    names = [path.split("/")[4] for path in selected(site, "session", session)]
    assert names == ["T0", "T1"]


def test_admin_status_is_requested_once(site: FlywheelSite) -> None:
    """An ordinary user's sessions may be empty, and no requests are repeated for them."""
    subject = add_subject(site)
    for number in range(3):
        site.add_session(subject, f"Visit {number}")
    assert selected(site, "subject", subject) == []
    assert sum("exhaustive" in request.query for request in site.requests) == 1


def test_site_without_pages_gets_one_request(site: FlywheelSite) -> None:
    """If the site returns the same list again, it is used once and the requests stop."""
    site.supports_after_id = False
    session = add_session(site)
    site.add_file(site.add_acquisition(session, "T1"), "a.dcm", b"1")
    assert len(selected(site, "session", session)) == 1


def test_each_container_is_requested_once(site: FlywheelSite) -> None:
    """No container is requested twice by id, nor if a list has already returned it."""
    subject = add_subject(site)
    for label in ("Visit 1", "Visit 2"):
        session = site.add_session(subject, label)
        site.add_file(site.add_acquisition(session, "T1"), "a.dcm", b"1")
    selected(site, "subject", subject)
    project = site.containers[subject]["parents"]["project"]
    single = [path for path in site.requested("GET") if path.count("/") == 3]
    assert single == [f"/api/subjects/{subject}", f"/api/projects/{project}"]


def test_ids_are_quoted(site: FlywheelSite) -> None:
    """An id cannot lead to another path of the API."""
    with pytest.raises(SiteError):
        selected(site, "session", "../a?b#c%")
    assert site.requested("GET") == ["/api/sessions/..%2Fa%3Fb%23c%25"]


def test_rejection_is_reported_in_one_line(site: FlywheelSite) -> None:
    """The error shows only the request and the response."""
    with pytest.raises(SiteError) as caught:
        selected(site, "session", "5")
    assert str(caught.value) == "GET /api/sessions/5: 404 Not Found: it is not to be"
    assert "scitran" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("fault", [Reset(), Cut(after=5)])
def test_failed_connection_is_a_site_error(site: FlywheelSite, fault: Reset | Cut) -> None:
    """A connection that fails before or during a response is reported as such."""
    session = add_session(site)
    site.fault(session, fault)
    with pytest.raises(SiteError, match=f"^GET /api/sessions/{session}: connection failed$"):
        selected(site, "session", session)


def test_response_that_is_not_json_is_a_site_error(site: FlywheelSite) -> None:
    """An unreadable response is reported as such."""
    session = add_session(site)
    site.fault(session, Flip())
    with pytest.raises(SiteError, match="unexpected response"):
        selected(site, "session", session)


def test_deeply_nested_json_is_a_site_error(site: FlywheelSite) -> None:
    """JSON that Python cannot parse without a limit of its stack is an unexpected response."""
    acquisition = site.add_acquisition(add_session(site), "T1")
    site.add_file(acquisition, "a", b"[" * 200_000 + b"]" * 200_000)
    with pytest.raises(SiteError, match="unexpected response"):
        API(connect(site.api_key)).read(
            len, "GET", f"/api/acquisitions/{acquisition}/files/a", list
        )


@pytest.mark.parametrize(("code", "is_out"), [(403, False), (404, False), (429, True), (502, True)])
def test_a_site_that_rejects_a_request_is_there(
    site: FlywheelSite, tmp_path: Path, code: int, is_out: bool
) -> None:
    """Downloads wait for a site only while it has temporary failures."""
    site.fault("any", Status(code))
    downloader = Downloader(connect(site.api_key), tmp_path, RetryPolicy(max_time=0))
    assert bool(downloader.outage()) is is_out


@pytest.mark.parametrize("key", ["_id", "parents"])
def test_record_without_its_parts_is_a_site_error(site: FlywheelSite, key: str) -> None:
    """A record that is not a container is reported as such."""
    session = add_session(site)
    del site.containers[session][key]
    with pytest.raises(SiteError, match="unexpected response"):
        selected(site, "session", session)
