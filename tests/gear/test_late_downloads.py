"""Runs on a site that does not deliver some files, or is temporarily silent."""

from pathlib import Path

import pytest

from tests.support.flywheel_http import Cut, Fault, Outage, Reset, Status
from tests.support.gear_runs import Session, counts, downloads, gear_on
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made, uid_of

FILES = 12


def add_files(session: Session, *faulty: Fault) -> None:
    """Add single images to a session; the first one fails in these ways."""
    acquisition = session.acquisition("A")
    for number in range(FILES):
        content = encoded(made(number))
        file_id = session.site.add_file(acquisition, f"{number:02}.dcm", content)
        if number == 0:
            session.site.fault(file_id, *faulty)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Status(500), Cut(after=100)])
def test_an_unavailable_file_does_not_delay_others(
    tmp_path: Path, session: Session, python_scp: PythonSCP, fault: Fault
) -> None:
    """All other files are requested before it is retried at the end, and are sent."""
    add_files(session, *[fault] * 1000)
    options = {"downloads": 1, "file_download_retry_time": 6}
    gear = gear_on(tmp_path, session.site, python_scp.port, session.session, **options)
    result = gear.run()
    assert result.exit_code == 1
    found = counts(session.site.reports[0].content)
    assert found.pop("00.dcm") == ("0", "0", "Failed")
    assert set(found.values()) == {("1", "1", "Complete")}
    names = [path.rpartition("/")[2] for path in downloads(session.site)]
    last = len(names) - 1 - names[::-1].index("11.dcm")
    assert "00.dcm" in names[last:]
    assert names[last - FILES + 2 : last + 1] == [f"{n:02}.dcm" for n in range(1, FILES)]


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Status(503), Reset()])
def test_a_site_that_recovers_delivers_all(
    tmp_path: Path, session: Session, python_scp: PythonSCP, fault: Fault
) -> None:
    """The gear waits for a site that is temporarily silent."""
    add_files(session, Outage(fault, 8))
    gear = gear_on(tmp_path, session.site, python_scp.port, session.session, downloads=1)
    result = gear.run()
    assert result.exit_code == 0, result.log
    stored = {record.sop_instance_uid for record in python_scp.stored}
    assert stored == {uid_of(number) for number in range(FILES)}
    assert "Pausing all downloads for" in result.log
