"""The gear sends over one or several associations while it downloads the next file."""

import re
import threading
from pathlib import Path

from pynetdicom import evt

from tests.support import wording
from tests.support.gear_runs import Session, counts, gear_on, images
from tests.support.pacs import CStore, PythonSCP
from tests.support.sample_files import (
    encoded,
    made,
    uid_of,
    zip_of,
)
from tests.support.waiting import wait_for


def test_the_next_file_downloads_while_the_first_is_sent(tmp_path: Path, session: Session) -> None:
    """The server's first response can wait until the second file is requested."""
    site, acquisition = session.site, session.acquisition("A")
    for number in (1, 2):
        site.add_file(acquisition, f"{number}.dcm", encoded(made(number)))
    overlapped = []

    def answer(_: CStore) -> int:
        overlapped.append(
            wait_for(lambda: any(path.endswith("/2.dcm") for path in site.requested("GET")))
        )
        return 0x0000

    with PythonSCP(status=answer) as scp:
        result = gear_on(tmp_path, site, scp.port, session.session).run()

    assert result.exit_code == 0, result.log
    assert overlapped == [True, True]


def test_images_are_in_order_with_one_association(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """All images arrive over the same association in the order of their archives."""
    acquisition = session.acquisition("A")
    numbers = [3, 1, 4, 15, 9, 2, 6, 5, 35, 8, 97, 93]
    session.site.add_file(
        acquisition, "a.zip", zip_of(tmp_path / "a.zip", images(*numbers[:8])), file_type="dicom"
    )
    session.site.add_file(
        acquisition, "b.zip", zip_of(tmp_path / "b.zip", images(*numbers[8:])), file_type="dicom"
    )
    gear = gear_on(tmp_path, session.site, python_scp.port, session.session, associations=1)
    result = gear.run()
    assert result.exit_code == 0, result.log
    assert [record.sop_instance_uid for record in python_scp.stored] == list(map(uid_of, numbers))
    assert [record.association for record in python_scp.stored] == [2] * len(numbers)
    assert len(python_scp.associations) == 2
    assert wait_for(lambda: python_scp.released == 2)


def test_images_of_several_files_may_be_answered_in_any_order(
    tmp_path: Path, session: Session
) -> None:
    """Four associations send images in parallel; each row counts its own images in any order."""
    acquisition = session.acquisition("A")
    session.site.add_file(
        acquisition, "a.zip", zip_of(tmp_path / "a.zip", images(0, 1, 2)), file_type="dicom"
    )
    session.site.add_file(
        acquisition, "b.zip", zip_of(tmp_path / "b.zip", images(3, 4, 5, 6, 7)), file_type="dicom"
    )
    begun, together = threading.Event(), []

    def answer(record: CStore) -> int:
        together.append(wait_for(lambda: len(scp.stored) >= 4))
        if record.sop_instance_uid != uid_of(0):
            return 0x0000
        together.append(wait_for(lambda: len(scp.stored) == 8))
        begun.wait()
        together.append(wait_for(lambda: "b.zip: 5 of 5 images sent" in running.log))
        return 0xA900

    with PythonSCP(status=answer) as scp:
        running = gear_on(tmp_path, session.site, scp.port, session.session).start()
        begun.set()
        result = running.finish()
        assert len(scp.associations) == 1 + 4
        assert len({record.association for record in scp.stored}) == 4
        assert wait_for(lambda: scp.released == 1 + 4)
    assert all(together)
    assert result.exit_code == 1
    assert counts(session.site.reports[0].content) == {
        "a.zip": ("3", "2", "Incomplete"),
        "b.zip": ("5", "5", "Complete"),
    }
    assert "a.zip: 1 image not sent: status 0xA900 Data Set Does Not Match SOP Class" in result.log
    logged = re.findall(r"\S+: \d of \d images sent", result.log)
    assert logged == ["b.zip: 5 of 5 images sent", "a.zip: 2 of 3 images sent"]


def test_a_server_with_fewer_associations_is_not_a_failure(
    tmp_path: Path, session: Session
) -> None:
    """A server with a limit receives all images within the limit; the log says so once."""
    archive = zip_of(tmp_path / "a.zip", images(*range(60)))
    session.site.add_file(session.acquisition("A"), "a.zip", archive, file_type="dicom")

    rejected = threading.Event()

    def answer(_: CStore) -> int:
        rejected.wait(30)
        return 0x0000

    scp = PythonSCP(status=answer, handlers=[(evt.EVT_REJECTED, lambda _: rejected.set())])
    scp.ae.maximum_associations = 2
    with scp:
        result = gear_on(tmp_path, session.site, scp.port, session.session).run()
        assert len({record.association for record in scp.stored}) <= 2
        assert sorted(r.sop_instance_uid for r in scp.stored) == sorted(map(uid_of, range(60)))
    assert result.exit_code == 0, result.log
    assert counts(session.site.reports[0].content) == {"a.zip": ("60", "60", "Complete")}
    line = rf"{wording.CONTINUING_WITH} [12] of 16 associations: .* {wording.LIMIT_REACHED}"
    assert len(re.findall(line, result.log)) == 1
    assert result.log.count(wording.CONTINUING_WITH) == 1
