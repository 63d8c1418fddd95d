"""Session of many files: several are downloaded in parallel over reused connections."""

from pathlib import Path
from threading import Barrier

import pytest

from tests.support import wording
from tests.support.flywheel_http import Meet, Stall, Status
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import MAX_START_SECONDS
from tests.support.gear_runs import (
    Session,
    assert_work_is_empty,
    counts,
    downloads,
    gear_on,
)
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made, uid_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

FILES = 12
PARTIES = 4
REQUESTS_OF_A_RUN = 2
"""Connections besides those of downloads: one for the site's records, one for the reports."""


def add_files(session: Session) -> list[str]:
    """Add single images to a session; return their ids."""
    acquisition = session.acquisition("A")
    return [
        session.site.add_file(acquisition, f"{number:02}.dcm", encoded(made(number)))
        for number in range(FILES)
    ]


def test_downloads_run_in_parallel(tmp_path: Path, session: Session, python_scp: PythonSCP) -> None:
    """The site answers no download before four are requested; the images are sent in order."""
    barrier = Barrier(PARTIES, timeout=MAX_START_SECONDS)
    for file_id in add_files(session):
        session.site.fault(file_id, Meet(barrier))
    gear = gear_on(tmp_path, session.site, python_scp.port, session.session, associations=1)
    result = gear.run()
    assert result.exit_code == 0, result.log
    assert [record.sop_instance_uid for record in python_scp.stored] == [
        uid_of(number) for number in range(FILES)
    ]


@pytest.mark.parametrize("at_once", [0, 1, 3, 16])
def test_connections_to_the_site_are_reused(
    tmp_path: Path, session: Session, python_scp: PythonSCP, at_once: int
) -> None:
    """There is one connection for each parallel download, however many files there are."""
    add_files(session)
    gear = gear_on(tmp_path, session.site, python_scp.port, session.session, downloads=at_once)
    result = gear.run()
    assert result.exit_code == 0, result.log
    assert len(downloads(session.site)) == FILES
    assert session.site.connections <= (at_once or PARTIES) + REQUESTS_OF_A_RUN


def test_a_file_that_is_retried_costs_only_itself(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """All others are sent, whether its download succeeds in the end or not."""
    first, *_ = add_files(session)
    session.site.fault(first, *[Status(503)] * 1000)
    gear = gear_on(
        tmp_path,
        session.site,
        python_scp.port,
        session.session,
        downloads=2,
        file_download_retry_time=2,
    )
    result = gear.run()
    found = counts(session.site.reports[0].content)
    assert found.pop("00.dcm") == ("0", "0", "Failed")
    assert set(found.values()) == {("1", "1", "Complete")}
    assert "00.dcm: 503 Service Unavailable after retries" in result.log


def test_a_job_is_cancelled_while_all_downloads_stall(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """Neither stalled downloads nor downloads waiting for a retry delay the end."""
    for number, file_id in enumerate(add_files(session)):
        stall = Stall(MAX_START_SECONDS, after=number % 3 * 100)
        session.site.fault(file_id, *([stall] if number % 2 else [Status(503)] * 1000))
    gear = gear_on(tmp_path, session.site, python_scp.port, session.session)
    running = gear.start()
    assert wait_for(lambda: len(set(downloads(session.site))) == PARTIES, MAX_START_SECONDS)
    cancelled_after = running.seconds
    running.cancel()
    result = running.finish()
    assert result.exit_code == 1
    assert result.seconds - cancelled_after < MAX_START_SECONDS / 10
    assert f"{wording.STOPPED_BY} SIGTERM" in result.stderr
    assert "Traceback" not in result.log
    assert_work_is_empty(gear)
    assert set(counts(session.site.reports[0].content).values()) == {("0", "0", "Failed")}


def test_a_distant_site_loses_nothing(tmp_path: Path, python_scp: PythonSCP) -> None:
    """A site with a delay before each response loses no file."""
    with FlywheelSite(latency=0.02) as site:
        project = site.add_project(site.add_group("lab"), "Study")
        far = Session(site, project, "", site.add_session(site.add_subject(project, "1"), "1"))
        add_files(far)
        gear = gear_on(tmp_path, site, python_scp.port, far.session, downloads=8)
        result = gear.run()
        assert result.exit_code == 0, result.log
        assert len(python_scp.stored) == FILES
