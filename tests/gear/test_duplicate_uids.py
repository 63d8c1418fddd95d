"""An image never replaces another one with the same SOP Instance UID in the same run."""

from collections import Counter
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.support import wording
from tests.support.pacs import PythonSCP, StoreSCP
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of
from tests.support.session_runs import SessionRuns

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name")


@pytest.mark.parametrize("associations", [1, 4])
def test_equal_images_are_sent_once(
    runs: SessionRuns, storescp: StoreSCP, associations: int
) -> None:
    """The second of two equal images counts as existing, also in another file."""
    runs.add_images("a.zip", [1, 2, 1])
    runs.add_images("b.zip", [2, 3])
    ended = runs.send(storescp, associations=associations)
    assert ended.result.exit_code == 0, ended.result.log
    assert ended.rows == {"a.zip": ("3", "3", "Complete"), "b.zip": ("2", "2", "Complete")}
    assert ended.outcomes == Counter({"sent": 3, "duplicate": 2})
    assert len(list(storescp.received())) == 3
    assert "may differ" not in ended.page


@pytest.mark.parametrize("associations", [1, 4])
def test_a_different_image_does_not_replace_the_first(
    runs: SessionRuns, storescp: StoreSCP, associations: int, tmp_path: Path
) -> None:
    """The second of two different images fails, and the server keeps the first."""
    images = [encoded(made(1)), encoded(made(1, InstanceNumber=7)), encoded(made(2))]
    members = [ArchiveMember(str(place), data) for place, data in enumerate(images)]
    runs.add("a.zip", zip_of(tmp_path / "a.zip", members))
    ended = runs.send(storescp, associations=associations)
    assert ended.result.exit_code == 1
    assert ended.rows == {"a.zip": ("3", "2", "Incomplete")}
    reason = wording.ALREADY_SENT
    assert f"a.zip: 1 image not sent: {reason}" in ended.result.log
    numbers = {dcmread(path).InstanceNumber for path in storescp.received()}
    assert 2 in numbers
    assert len(numbers) == 2


def test_an_equal_image_is_sent_if_the_first_was_rejected(runs: SessionRuns) -> None:
    """Rejection of an image does not prevent sending the next one."""
    statuses = iter([0xA900, 0, 0])
    runs.add_images("a.zip", [1, 1])
    with PythonSCP(status=lambda _: next(statuses)) as server:
        ended = runs.send(server, associations=1)
    assert ended.rows == {"a.zip": ("2", "1", "Incomplete")}
    assert ended.outcomes == Counter({"not sent": 1, "sent": 1})
