"""The report is true if a server dies, rejects, aborts or refuses images during the run."""

from pathlib import Path

from tests.support import wording
from tests.support.fault_scp import FaultSCP, Peer, serve
from tests.support.gear import MAX_START_SECONDS
from tests.support.gear_runs import Session, counts, downloads, gear_on, images
from tests.support.pacs import PythonSCP, StoreSCP
from tests.support.sample_files import (
    encoded,
    made,
    zip_of,
)
from tests.support.waiting import wait_for


def test_a_server_that_dies_leaves_a_true_report(tmp_path: Path, session: Session) -> None:
    """Images count as sent up to the server's death, and as not sent after it."""
    archive = zip_of(tmp_path / "a.zip", images(*range(400)))
    session.site.add_file(session.acquisition("A"), "a.zip", archive, file_type="dicom")
    with StoreSCP("+xa") as scp:
        gear = gear_on(tmp_path, session.site, scp.port, session.session, send_retry_time=1)
        running = gear.start()
        assert wait_for(lambda: len(scp.received()) >= 5, MAX_START_SECONDS)
        scp.kill()
        result = running.finish()
        stored = len(scp.received())
    assert result.exit_code == 1
    expected, sent, status = counts(session.site.reports[0].content)["a.zip"]
    assert (expected, status) == ("400", "Incomplete")
    # The last image may be stored although its response was lost.
    assert int(sent) in {stored, stored - 1}


def test_nothing_is_downloaded_after_giving_up(tmp_path: Path, session: Session) -> None:
    """The remaining files fail together: each has a row, and the log has the reason once."""
    site, acquisition = session.site, session.acquisition("A")
    names = [f"{number:02}.dcm" for number in range(40)]
    for number, name in enumerate(names):
        site.add_file(acquisition, name, encoded(made(number)))

    def reject(peer: Peer) -> None:
        peer.reject(1, 1, 7)

    with FaultSCP(serve, reject) as server:
        result = gear_on(tmp_path, site, server.port, session.session, associations=1).run()
    assert result.exit_code == 1
    assert len(downloads(site)) < len(names)
    found = counts(site.reports[0].content)
    assert list(found) == names
    assert {status for _, _, status in found.values()} == {"Failed"}
    reason = f"{wording.REJECTED}: {wording.UNKNOWN_CALLED_AE} 'PACS'"
    assert result.log.count(reason) == 1 + len(names) + 1  # first, for each file, and last


def test_a_server_that_aborts_in_each_image_gets_none(tmp_path: Path, session: Session) -> None:
    """An abort within each image is reported, and the run ends."""
    archive = zip_of(tmp_path / "a.zip", images(1, 2, 3))
    session.site.add_file(session.acquisition("A"), "a.zip", archive, file_type="dicom")
    with StoreSCP("+xa", "--abort-during") as scp:
        options = {"associations": 1, "send_retry_time": 0}
        result = gear_on(tmp_path, session.site, scp.port, session.session, **options).run()
    assert result.exit_code == 1
    assert counts(session.site.reports[0].content) == {"a.zip": ("3", "0", "Failed")}
    assert f"3 images not sent: {wording.CONNECTION_LOST}" in result.log


def test_rejected_images_are_reported(tmp_path: Path, session: Session) -> None:
    """The log shows the status of rejected images with its meaning, once, with their number."""
    archive = zip_of(tmp_path / "a.zip", images(1, 2, 3))
    session.site.add_file(session.acquisition("A"), "a.zip", archive, file_type="dicom")
    with PythonSCP(status=[0xA900, 0x0000, 0xA900]) as scp:
        result = gear_on(tmp_path, session.site, scp.port, session.session).run()
    assert result.exit_code == 1
    assert counts(session.site.reports[0].content) == {"a.zip": ("3", "1", "Incomplete")}
    assert "a.zip: 2 images not sent: status 0xA900 Data Set Does Not Match SOP Class" in result.log
