"""With `skip_existing` the gear sends only images that are not on the server."""

from collections import Counter
from collections.abc import Sequence

import pytest

from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.matching import Found, by_list
from tests.support.pacs import Orthanc, StoreSCP
from tests.support.sample_files import encoded, made
from tests.support.session_runs import SessionRuns

FAILING = "1.2.3"


@pytest.mark.parametrize("associations", [1, 4])
def test_a_server_with_one_association_is_queried_first(
    runs: SessionRuns, associations: int
) -> None:
    """A query for a series uses the only association, and then leaves it to the images."""
    runs.add_images("a.zip", range(3))
    runs.add("b.dcm", encoded(made(3, SeriesInstanceUID="1.2.3")))
    runs.add("c.dcm", encoded(made(4, SeriesInstanceUID="1.2.4")))
    with ArchiveSCP() as server:
        server.ae.maximum_associations = 1
        first = runs.send(server, skip_existing=True, associations=associations)
        second = runs.send(server, skip_existing=True, associations=associations)
    assert (first.result.exit_code, second.result.exit_code) == (0, 0), first.result.log
    assert wording.CANNOT_CHECK_EXISTING not in first.result.log + second.result.log
    assert first.outcomes == Counter(sent=5)
    assert second.outcomes == Counter({"already there": 5})


def test_a_second_run_sends_nothing(runs: SessionRuns, orthanc: Orthanc) -> None:
    """Existing images are not sent again, count as sent, and are reported as existing."""
    runs.add_images("a.zip", range(5))
    first = runs.send(orthanc, skip_existing=True)
    assert first.outcomes == Counter(sent=5)
    received = orthanc.get("/changes?last").json()["Last"]
    runs.add_images("b.zip", [5, 6])
    second = runs.send(orthanc, skip_existing=True)
    assert second.result.exit_code == 0, second.result.log
    assert second.rows == {"a.zip": ("5", "5", "Complete"), "b.zip": ("2", "2", "Complete")}
    assert second.outcomes == Counter({"already there": 5, "sent": 2})
    log = second.result.log
    assert f"a.zip: 5 of 5 {wording.ON_SERVER}: 5 already there, 0 sent" in log
    assert "b.zip: 2 of 2 images sent" in log
    assert f"7 of 7 {wording.ON_SERVER}: 5 already there, 2 sent" in log
    assert "a.zip: 5 images already there" in log
    assert wording.ALL_ON_SERVER in second.page
    assert "The content on the server may differ for 5 images: already there (5)." in second.page
    changes = orthanc.get(f"/changes?since={received}&limit=1000").json()["Changes"]
    assert [one["ChangeType"] for one in changes].count("NewInstance") == 2


@pytest.mark.parametrize("dry_run", [False, True])
def test_equal_images_of_a_run_have_the_same_content(runs: SessionRuns, *, dry_run: bool) -> None:
    """The page doubts only the content of images that a query found."""
    runs.add_images("a.zip", [0, 1])
    runs.add_images("b.zip", [1])
    with ArchiveSCP() as server:
        ended = runs.send(server, skip_existing=True, dry_run=dry_run)
    assert ended.outcomes["duplicate"] == 1
    assert "may differ" not in ended.page


@pytest.mark.parametrize("dry_run", [False, True])
def test_nothing_is_sent_to_a_server_without_queries(
    runs: SessionRuns, storescp: StoreSCP, *, dry_run: bool
) -> None:
    """The run ends before the first download, and says why."""
    runs.add_images("a.zip", range(3))
    ended = runs.send(storescp, skip_existing=True, dry_run=dry_run)
    assert ended.result.exit_code == 1
    assert ended.outcomes == Counter()
    assert f"{wording.NOT_SUPPORTED} {wording.STUDY_ROOT}" in ended.result.log


def test_images_of_a_failing_series_are_sent(runs: SessionRuns) -> None:
    """All others are skipped; log, page and per-image report say which were not looked up."""
    runs.add_images("a.zip", range(3))
    runs.add("b.dcm", encoded(made(3, SeriesInstanceUID=FAILING)))
    runs.add("c.dcm", encoded(made(4, SeriesInstanceUID="1.2.4")))

    def match(asked: Sequence[str], stored: Sequence[str]) -> Found:
        if server.queries[-1].SeriesInstanceUID == FAILING:
            return (), 0xC000
        return by_list(asked, stored)

    with ArchiveSCP(matching=match) as server:
        runs.send(server)
        ended = runs.send(server, skip_existing=True)
    assert ended.result.exit_code == 0, ended.result.log
    assert ended.outcomes == Counter({"already there": 4, "sent": 1})
    assert "1 image not looked up on the server" in ended.result.log
    assert [row["Code"] for row in ended.instances if row["Outcome"] == "sent"] == ["not-looked-up"]
    assert Kind.NOT_LOOKED_UP.advice.partition("'")[0] in ended.page
