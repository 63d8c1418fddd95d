"""With `verify` the gear asks the server whether it has the acknowledged images."""

from collections import Counter
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.flywheel_site import FlywheelSite
from tests.support.pacs import Orthanc, StoreSCP
from tests.support.sample_files import encoded, made, uid_of
from tests.support.session_runs import Ended, SessionRuns

pytestmark = pytest.mark.slow

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
NOT_THERE = wording.NOT_STORED


def verified(ended: Ended) -> dict[str, str]:
    """Return the verification result of each image in the report, by UID."""
    return {row["SOP Instance UID"]: row["Verified"] for row in ended.instances}


def test_images_on_orthanc_are_found(runs: SessionRuns, orthanc: Orthanc) -> None:
    """A run that is verified by C-FIND has the same outcome as one without verification."""
    runs.add_images("a.zip", range(5))
    runs.add_images("b.zip", range(5, 8))
    ended = runs.send(orthanc, verify="find")
    assert ended.result.exit_code == 0, ended.result.log
    assert ended.outcomes == Counter(sent=8)
    assert "8 of 8 images verified by C-FIND" in ended.result.log
    assert {row["Verified"] for row in ended.instances} == {"yes"}
    assert "once more" not in ended.result.log


def test_verify_does_not_compare_content(tmp_path: Path, site: FlywheelSite) -> None:
    """By default, Orthanc keeps the first of two images with one UID, and acknowledges both."""
    with Orthanc(OverwriteInstances=False) as server:
        for name in ("First", "Second"):
            runs = SessionRuns(tmp_path / name, site)
            runs.add("a.dcm", encoded(made(1, PatientName=name)))
            ended = runs.send(server, verify="find")
            assert "1 of 1 image verified by C-FIND" in ended.result.log
        (kept,) = server.files()
    assert pydicom.dcmread(BytesIO(kept)).PatientName == "First"


def test_missing_images_are_resent_once(runs: SessionRuns) -> None:
    """An image that the server lost is resent and counts once."""
    runs.add_images("a.zip", range(4))
    runs.add_images("b.zip", range(4, 7))

    def is_lost(uid: str) -> bool:
        copies = [one.sop_instance_uid for one in server.stored].count(uid)
        return uid == uid_of(2) and copies == 1

    with ArchiveSCP(is_lost) as server:
        ended = runs.send(server, verify="find")
    stored = Counter(one.sop_instance_uid for one in server.stored)
    assert stored == Counter({uid_of(n): 1 for n in range(7)} | {uid_of(2): 2})
    assert ended.result.exit_code == 0, ended.result.log
    assert ended.rows == {"a.zip": ("4", "4", "Complete"), "b.zip": ("3", "3", "Complete")}
    assert ended.outcomes == Counter(sent=7)
    assert "7 of 7 images verified by C-FIND" in ended.result.log
    assert "Resending 1 image: acknowledged, but missing on the server" in ended.result.log


def test_a_resent_image_is_noted_once(runs: SessionRuns) -> None:
    """The page counts images, not requests."""
    runs.add("a.dcm", encoded(made(1, PatientID="")))
    with ArchiveSCP(lambda _: len(server.stored) == 1) as server:
        ended = runs.send(server, verify="find")
    assert len(server.stored) == 2
    assert "Images without Patient ID: 1." in ended.page


def test_files_with_the_same_name_are_distinguished(runs: SessionRuns) -> None:
    """Two acquisitions may have the same label and files with the same name."""
    runs.add_images("a.zip", range(3))
    runs.next_acquisition()
    runs.add_images("a.zip", range(3, 8))
    with ArchiveSCP(lambda uid: uid == uid_of(4)) as server:
        ended = runs.send(server, verify="find")
    assert ended.all_rows == [("3", "3", "Complete"), ("5", "4", "Incomplete")]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_duplicate_image_counts_twice(runs: SessionRuns) -> None:
    """Resending does not increase the number of images."""
    runs.add_images("a.zip", [1, 2, 2])

    def is_lost(uid: str) -> bool:
        copies = [one.sop_instance_uid for one in server.stored].count(uid)
        return uid == uid_of(2) and copies == 2

    with ArchiveSCP(is_lost) as server:
        ended = runs.send(server, verify="find")
    assert ended.rows == {"a.zip": ("3", "3", "Complete")}
    assert ended.result.exit_code == 0


@pytest.mark.parametrize("verify", ["find", "commit"])
def test_a_permanently_missing_image_is_reported(runs: SessionRuns, verify: str) -> None:
    """After the resend it counts as not sent in all reports and in the exit code."""
    runs.add_images("a.zip", range(4))
    with ArchiveSCP(lambda uid: uid == uid_of(2)) as server:
        ended = runs.send(server, verify=verify)
    assert [one.sop_instance_uid for one in server.stored].count(uid_of(2)) == 2
    assert ended.result.exit_code == 1
    assert ended.rows == {"a.zip": ("4", "3", "Incomplete")}
    assert f"a.zip: 1 image not sent: {NOT_THERE}" in ended.result.log
    (bad,) = (row for row in ended.instances if row["Outcome"] != "sent")
    assert (bad["SOP Instance UID"], bad["Outcome"], bad["Reason"]) == (
        uid_of(2),
        "not sent",
        NOT_THERE,
    )
    assert f"a.zip</p><ul><li>{uid_of(2)}</li>" in ended.page
    assert verified(ended) == {uid_of(n): "no" if n == 2 else "yes" for n in range(4)}
    assert "3 of 4 images verified: not on the server" in ended.result.log
    assert len(ended.instances) == 4


@pytest.mark.parametrize("verify", ["find", "commit"])
def test_nothing_is_sent_to_a_server_that_cannot_verify(
    runs: SessionRuns, storescp: StoreSCP, verify: str
) -> None:
    """The run ends before the first download. A dry run verifies nothing."""
    runs.add_images("a.zip", range(3))
    ended = runs.send(storescp, verify=verify)
    assert ended.result.exit_code == 1
    assert ended.rows == {"a.zip": ("0", "0", "Failed")}
    assert wording.NOT_SUPPORTED in ended.result.log
    assert runs.send(storescp, verify=verify, dry_run=True).result.exit_code == 0


def test_a_server_that_fails_all_queries_verifies_nothing(runs: SessionRuns) -> None:
    """The images count as sent, but the exit code shows that verification did not happen."""
    runs.add_images("a.zip", range(3))
    runs.add_images("b.zip", range(3, 5))
    with ArchiveSCP(find_status=0xC000) as server:
        ended = runs.send(server, verify="find")
    assert ended.result.exit_code == 1
    assert ended.rows == {"a.zip": ("3", "3", "Complete"), "b.zip": ("2", "2", "Complete")}
    cause = f"{wording.FIND_FAILED} 0xC000 Unable to Process"
    assert ended.result.log.count(f"{wording.CANNOT_VERIFY}: {cause}") == 1
    assert ended.result.log.count(f"0 of 5 images verified: {cause}") == 1
    assert list(verified(ended).values()) == [cause] * 5


def test_orthanc_with_limited_answers_verifies_all(runs: SessionRuns) -> None:
    """Shorter lists return the rest; images cut off by a limit are not missing."""
    runs.add_images("a.zip", range(25))
    with Orthanc(LimitFindInstances=4) as server:
        ended = runs.send(server, verify="find")
    assert ended.result.exit_code == 0, ended.result.log
    assert "25 of 25 images verified by C-FIND" in ended.result.log
    assert "once more" not in ended.result.log


def test_an_incomplete_commitment_verifies_the_other_images(runs: SessionRuns) -> None:
    """An image that is missing in the report counts as sent but not verified."""
    runs.add_images("a.zip", range(4))
    with ArchiveSCP(unnamed={uid_of(1)}) as server:
        ended = runs.send(server, verify="commit")
    assert ended.result.exit_code == 1
    assert ended.rows == {"a.zip": ("4", "4", "Complete")}
    cause = wording.NOT_COMMITTED
    assert verified(ended) == {uid_of(n): cause if n == 1 else "yes" for n in range(4)}
    assert f"3 of 4 images verified: {cause}" in ended.result.log


def test_without_verify_the_column_is_empty(runs: SessionRuns, orthanc: Orthanc) -> None:
    """The column exists and is empty."""
    runs.add_images("a.zip", range(2))
    ended = runs.send(orthanc)
    assert [row["Verified"] for row in ended.instances] == ["", ""]
    assert "erified" not in ended.result.log.replace("verify", "")


def test_a_server_commits(runs: SessionRuns) -> None:
    """With storage commitment each image is named to the server once."""
    runs.add_images("a.zip", range(6))
    with ArchiveSCP() as server:
        ended = runs.send(server, verify="commit")
        named = [
            item.ReferencedSOPInstanceUID
            for request in server.commitments
            for item in request.ReferencedSOPSequence
        ]
    assert ended.result.exit_code == 0, ended.result.log
    assert sorted(named) == sorted(map(uid_of, range(6))), ended.result.log


@pytest.mark.parametrize("associations", [1, 4])
@pytest.mark.parametrize("options", [{"verify": "find"}, {"verify": "commit"}])
def test_a_server_with_one_association_is_queried_at_the_end(
    runs: SessionRuns, options: dict[str, object], associations: int
) -> None:
    """The queries use the association after all images were sent."""
    runs.add_images("a.zip", range(3))
    with ArchiveSCP() as server:
        server.ae.maximum_associations = 1
        ended = runs.send(server, associations=associations, **options)
        asked = len(server.queries[1:]) + len(server.commitments)
    assert ended.result.exit_code == 0
    assert "not verified" not in ended.result.log
    assert asked == 1
    assert ended.outcomes == Counter(sent=3)


def test_queries_for_many_files_share_associations(runs: SessionRuns) -> None:
    """The query for each series follows after all its images were sent.

    The check has an association of its own. An association that is still being opened for images
    proposes queries, too.
    """
    for number in range(12):
        runs.add(f"{number}.dcm", encoded(made(number, SeriesInstanceUID=f"1.2.{number}")))
    with ArchiveSCP() as server:
        ended = runs.send(server, verify="find", associations=2)
        asking = [
            one
            for one in server.associations
            if any(context.abstract_syntax == FIND for context in one.contexts)
        ]
        asked = [query.SeriesInstanceUID for query in server.queries[1:]]
    assert ended.result.exit_code == 0
    assert sorted(asked) == sorted(f"1.2.{number}" for number in range(12))
    assert 2 <= len(asking) <= 3
