"""With `resume` the gear skips images that the newest per-image reports list as sent."""

import re
from collections import Counter
from pathlib import Path

from pydicom import dcmread

from tests.support import wording
from tests.support.flywheel_http import Status
from tests.support.flywheel_site import FlywheelSite
from tests.support.pacs import Orthanc, StoreSCP
from tests.support.sample_files import ArchiveMember, encoded, made, uid_of, zip_of
from tests.support.session_runs import SessionRuns


def test_a_second_run_sends_the_rest(runs: SessionRuns, storescp: StoreSCP) -> None:
    """A server without queries receives only images that it did not receive before."""
    runs.add_images("a.zip", range(4))
    first = runs.send(storescp, resume=True)
    runs.add_images("b.zip", range(4, 6))
    second = runs.send(storescp, resume=True)
    third = runs.send(storescp, resume=True)
    assert (first.outcomes, third.outcomes) == (Counter(sent=4), Counter({"already there": 6}))
    assert second.outcomes == Counter({"already there": 4, "sent": 2})
    assert second.rows == {"a.zip": ("4", "4", "Complete"), "b.zip": ("2", "2", "Complete")}
    assert (second.result.exit_code, third.result.exit_code) == (0, 0)
    log = second.result.log
    assert f"a.zip: 4 images {wording.SENT_EARLIER}" in log
    assert "Earlier runs sent 4 images to this server, according to 1 per-image report" in log


def test_a_new_version_of_an_image_needs_a_run_without_resume(
    runs: SessionRuns, storescp: StoreSCP, tmp_path: Path
) -> None:
    """With resume it is refused. Later, the newest report decides which version was sent."""
    runs.add_images("a.zip", range(2))
    assert runs.send(storescp).outcomes == Counter(sent=2)
    images = [encoded(made(0, InstanceNumber=7)), encoded(made(1))]
    members = [ArchiveMember(f"IM{place}.dcm", data) for place, data in enumerate(images)]
    runs.next_acquisition()
    runs.add("b.zip", zip_of(tmp_path / "b.zip", members))
    refused = runs.send(storescp, resume=True, include="b.zip")
    numbers = {dcmread(path).InstanceNumber for path in storescp.received()}
    assert refused.outcomes == Counter({"not sent": 1, "already there": 1})
    codes = {row["Member"]: row["Code"] for row in refused.instances}
    assert codes == {"member 1": "uid-duplicate", "member 2": "sent-earlier"}
    assert (refused.result.exit_code, 7 in numbers) == (1, False)
    assert runs.send(storescp, include="b.zip").outcomes == Counter(sent=2)
    assert runs.send(storescp, resume=True, include="b.zip").outcomes == {"already there": 2}


def test_without_resume_all_images_are_sent(runs: SessionRuns, storescp: StoreSCP) -> None:
    """Reports are read only on request."""
    runs.add_images("a.zip", range(2))
    runs.send(storescp)
    assert runs.send(storescp).outcomes == Counter(sent=2)


def test_the_report_of_a_dry_run_is_not_read(runs: SessionRuns, storescp: StoreSCP) -> None:
    """It has another name, because nothing was sent."""
    runs.add_images("a.zip", range(2))
    runs.send(storescp, dry_run=True)
    ended = runs.send(storescp, resume=True)
    assert ended.outcomes == Counter(sent=2)
    assert "Found no per-image report of an earlier run" in ended.result.log


def test_a_report_that_cannot_be_downloaded_costs_only_itself(
    runs: SessionRuns, site: FlywheelSite, storescp: StoreSCP
) -> None:
    """All images are sent, and the log says so."""
    runs.add_images("a.zip", range(2))
    runs.send(storescp)
    (report,) = (
        record["file_id"]
        for container in site.containers.values()
        for record in container["files"]
        if record["name"].endswith("_instances.csv")
    )
    site.fault(report, Status(404))
    ended = runs.send(storescp, resume=True)
    assert ended.outcomes == Counter(sent=2)
    assert re.search(
        rf"{wording.SKIPPED_REPORT} \S.*_instances\.csv: 404 Not Found", ended.result.log
    )


def test_a_lost_image_is_replaced_by_no_other(runs: SessionRuns, orthanc: Orthanc) -> None:
    """A missing image is resent, but not a different image that has its UID."""
    runs.add_images("b.zip", range(5))
    runs.send(orthanc)
    sent = orthanc.instances()[uid_of(4)]
    orthanc.clear()
    runs.add("a.dcm", encoded(made(4, InstanceNumber=7)))
    ended = runs.send(orthanc, resume=True, verify="find")
    assert ended.outcomes == Counter({"sent": 5, "not sent": 1})
    codes = [row["Code"] for row in ended.instances if row["Outcome"] == "not sent"]
    assert (codes, ended.result.exit_code) == (["uid-duplicate"], 1)
    assert ended.rows["a.dcm"] == ("1", "0", "Failed")
    assert orthanc.instances()[uid_of(4)] == sent
