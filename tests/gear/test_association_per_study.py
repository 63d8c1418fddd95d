"""With `association_per_study`, a study in several files goes over one association."""

import signal
import threading
from pathlib import Path

from tests.support import wording
from tests.support.gear_runs import Session, assert_work_is_empty, counts, gear_on
from tests.support.pacs import CStore, PythonSCP
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of
from tests.support.waiting import wait_for

MR = "1.2.840.10008.5.1.4.1.1.4"


def add_zips(session: Session, folder: Path) -> None:
    """Add a zip of CT images and one of MR images of the same study, and a file without images."""
    acquisition = session.acquisition("A")
    for name, elements in (("ct", {}), ("mr", {"SOPClassUID": MR})):
        members = [
            ArchiveMember(f"{number}.dcm", encoded(made(number, **elements)))
            for number in (range(3) if name == "ct" else range(3, 6))
        ]
        archive = zip_of(folder / f"{name}.zip", members)
        session.site.add_file(acquisition, archive.name, archive, file_type="dicom")
    text = zip_of(folder / "text.zip", [ArchiveMember("readme.txt", b"text")])
    session.site.add_file(acquisition, text.name, text, file_type="dicom")


def test_a_study_in_several_files(tmp_path: Path, session: Session, python_scp: PythonSCP) -> None:
    """The association proposes the contexts of the last file before the first image."""
    add_zips(session, tmp_path)
    gear = gear_on(
        tmp_path, session.site, python_scp.port, session.session, association_per_study=True
    )
    result = gear.run()
    assert result.exit_code == 0, result.log
    assert {record.association for record in python_scp.stored} == {2}
    assert len(python_scp.stored) == 6
    assert counts(session.site.reports[0].content) == {
        "ct.zip": ("3", "3", "Complete"),
        "mr.zip": ("3", "3", "Complete"),
        "text.zip": ("0", "0", "Complete"),
    }
    downloads = [path for path in session.site.requested("GET") if path.endswith("/ct.zip")]
    assert len(downloads) == 1
    assert_work_is_empty(gear)


def test_a_job_is_cancelled(tmp_path: Path, session: Session) -> None:
    """Every file has a row."""
    add_zips(session, tmp_path)
    answering = threading.Event()

    def hold(_: CStore) -> int:
        answering.wait()
        return 0x0000

    with PythonSCP(status=hold) as scp:
        options = {"association_per_study": True}
        gear = gear_on(tmp_path, session.site, scp.port, session.session, **options)
        running = gear.start()
        assert wait_for(lambda: len(scp.stored) == 1)
        running.cancel()
        assert wait_for(running.is_ending)
        answering.set()
        result = running.finish()
    assert result.exit_code == 1
    assert f"{wording.STOPPED_BY} {signal.SIGTERM.name}" in result.log
    found = counts(session.site.reports[0].content)
    assert found["ct.zip"][1:] == ("1", "Incomplete")
    assert found["mr.zip"][1:] == ("0", "Failed")
    assert_work_is_empty(gear)
