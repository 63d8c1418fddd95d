"""Attached per-image reports of earlier runs are found, the newest first."""

import logging

import pytest

from fw_gear_dicom_send.flywheel.site import MAX_REPORT_BYTES, MAX_REPORTS
from fw_gear_dicom_send.models import Container
from fw_gear_dicom_send.text import quantity
from tests.support.flywheel_site import FlywheelSite
from tests.support.site_clients import add_session, client_site

NAME = "dicom-send_report-Visit 1_{}_instances.csv"
OTHERS = (
    "dicom-send_dry-run-Visit 1_1_instances.csv",
    "dicom-send_report-Visit 1_1.csv",
    "other_instances.csv",
    "dicom-send_report-Visit 1_1_instances.csv.zip",
)


def names(site: FlywheelSite, *places: Container) -> list[str]:
    return [entry.name for entry in client_site(site).image_reports(places)]


def test_reports_in_both_places_are_found_once(site: FlywheelSite) -> None:
    """An acquisition's report is attached to its session or, with a read-only key, to itself."""
    session = add_session(site)
    acquisition = site.add_acquisition(session, "CT")
    for number, place in enumerate((session, acquisition, session)):
        site.add_file(place, NAME.format(number), b"x")
    site.add_file(session, NAME.format("gone"), b"x", deleted=True)
    for name in OTHERS:
        site.add_file(session, name, b"x")
    both = (Container("session", session), Container("acquisition", acquisition))

    assert names(site, *both, both[0]) == [NAME.format(number) for number in (2, 1, 0)]
    assert names(site, both[1], Container("project", "p")) == [NAME.format(1)]


@pytest.mark.parametrize(
    ("size", "number"),
    [(1, MAX_REPORTS), (MAX_REPORT_BYTES // 2, 2), (MAX_REPORT_BYTES + 1, 0)],
)
def test_reports_are_bounded_in_number_and_size(
    site: FlywheelSite, caplog: pytest.LogCaptureFixture, size: int, number: int
) -> None:
    """Older reports are ignored, and the log says so."""
    session = add_session(site)
    for one in range(MAX_REPORTS + 1):
        site.add_file(session, NAME.format(f"{one:02}"), b"x", size=size)

    with caplog.at_level(logging.INFO):
        found = names(site, Container("session", session))

    newest = range(MAX_REPORTS, MAX_REPORTS - number, -1)
    assert found == [NAME.format(f"{one:02}") for one in newest]
    ignored = MAX_REPORTS + 1 - number
    assert caplog.messages == [f"Ignoring {quantity(ignored, 'older per-image report')}"]
