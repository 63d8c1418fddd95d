"""A gear run sends all DICOM files of its destination, or its input file."""

import io
import re
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.support import wording
from tests.support.compare import added_elements
from tests.support.gear_runs import (
    TEXT,
    Session,
    assert_work_is_empty,
    counts,
    gear_on,
    images,
    rows,
)
from tests.support.pacs import Orthanc, PythonSCP
from tests.support.sample_files import (
    encoded,
    made,
    member,
    shipped,
    tar_of,
    zip_of,
)


def test_a_session_is_sent_and_reported(tmp_path: Path, session: Session, orthanc: Orthanc) -> None:
    """All DICOM files of a session arrive unchanged except for the tag; the report says so."""
    site = session.site
    archives = [[TEXT, *images(1, 2)], images(3), [member("rtplan.dcm"), member("test-SR.dcm")]]
    first, second = session.acquisition("T1 w"), session.acquisition("plan")
    site.add_file(first, "a.zip", zip_of(tmp_path / "a.zip", archives[0]), file_type="dicom")
    site.add_file(first, "b.tgz", tar_of(tmp_path / "b.tgz", archives[1], "gz"), file_type="dicom")
    site.add_file(
        second, "c.tar.xz", tar_of(tmp_path / "c.tar.xz", archives[2], "xz"), file_type="dicom"
    )
    site.add_file(second, "single.dcm", shipped("JPEG2000.dcm"))
    site.add_file(second, "notes.pdf", b"%PDF", file_type="pdf")
    gear = gear_on(tmp_path, site, orthanc.port, session.session)

    result = gear.run()

    assert result.exit_code == 0, result.log
    (upload,) = site.reports
    assert (upload.container_type, upload.container_id) == ("session", session.session)
    name = r"dicom-send_report-visit 1_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.csv"
    assert re.fullmatch(name, upload.name)
    path = "lab/Study A/sub-01/visit 1"
    assert rows(upload.content) == [
        [first, f"{path}/T1 w/files/a.zip", "a.zip", "2", "2", "Complete"],
        [first, f"{path}/T1 w/files/b.tgz", "b.tgz", "1", "1", "Complete"],
        [second, f"{path}/plan/files/c.tar.xz", "c.tar.xz", "2", "2", "Complete"],
        [second, f"{path}/plan/files/single.dcm", "single.dcm", "1", "1", "Complete"],
    ]
    sent = [item.content for archive in archives for item in archive if item is not TEXT]
    received = orthanc.instances()
    assert len(received) == 6
    for source in [*sent, shipped("JPEG2000.dcm").read_bytes()]:
        uid = dcmread(io.BytesIO(source)).SOPInstanceUID
        added = added_elements(source, received[uid])
        assert added == [(0x00210010, "Flywheel"), (0x00211000, "DICOM send")]
    assert result.output == ()
    assert_work_is_empty(gear)


@pytest.mark.parametrize("kind", ["dcm", "zip", "tar", "tgz", "tar.gz", "tar.bz2", "tar.xz"])
def test_an_input_file_is_sent(
    tmp_path: Path, session: Session, python_scp: PythonSCP, kind: str
) -> None:
    """A DICOM file, zip or tar of any kind is sent; the report names its acquisition."""
    acquisition = session.acquisition("T2/flair")
    members = [TEXT, *images(1, 2)]
    path = tmp_path / f"input.{kind}"
    if kind == "dcm":
        path.write_bytes(members[1].content)
    elif kind == "zip":
        zip_of(path, members)
    else:
        tar_of(path, members, {"tgz": "gz", "tar": ""}.get(kind, kind.removeprefix("tar.")))
    gear = gear_on(tmp_path, session.site, python_scp.port, acquisition, "acquisition")
    gear.give(path.name, path, parent_id=acquisition)

    result = gear.run()

    assert result.exit_code == 0, result.log
    expected = "1" if kind == "dcm" else "2"
    (upload,) = session.site.reports
    assert upload.container_id == session.session
    assert upload.name.startswith("dicom-send_report-visit 1_T2flair_")
    place = f"lab/Study A/sub-01/visit 1/T2/flair/files/{path.name}"
    assert rows(upload.content) == [[acquisition, place, path.name, expected, expected, "Complete"]]
    assert len(python_scp.stored) == int(expected)
    assert path.name in {p.name for p in (gear.folder / "input" / "file").iterdir()}
    assert_work_is_empty(gear)


def test_a_subject_is_sent_with_all_its_sessions(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A run on a subject sends each of its sessions and attaches the report to the subject."""
    site = session.site
    other = site.add_session(session.subject, "visit 2")
    site.add_file(
        session.acquisition("A"), "a.zip", zip_of(tmp_path / "a.zip", images(1)), file_type="dicom"
    )
    site.add_file(site.add_acquisition(other, "B"), "b.dcm", encoded(made(2)))

    result = gear_on(tmp_path, site, python_scp.port, session.subject, "subject").run()

    assert result.exit_code == 0, result.log
    (upload,) = site.reports
    assert (upload.container_type, upload.container_id) == ("subject", session.subject)
    assert upload.name.startswith("dicom-send_report-sub-01_")
    assert [row[1] for row in rows(upload.content)] == [
        "lab/Study A/sub-01/visit 1/A/files/a.zip",
        "lab/Study A/sub-01/visit 2/B/files/b.dcm",
    ]


def test_an_acquisition_is_sent_alone(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A run on an acquisition does not send other acquisitions of its session."""
    chosen = session.acquisition("chosen")
    session.site.add_file(chosen, "a.dcm", encoded(made(1)))
    session.site.add_file(session.acquisition("other"), "b.dcm", encoded(made(2)))

    result = gear_on(tmp_path, session.site, python_scp.port, chosen, "acquisition").run()

    assert result.exit_code == 0, result.log
    (upload,) = session.site.reports
    assert upload.container_id == session.session
    assert upload.name.startswith("dicom-send_report-visit 1_chosen_")
    assert counts(upload.content) == {"a.dcm": ("1", "1", "Complete")}


def test_names_of_any_kind_work_and_deleted_files_are_left_out(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """Spaces, Unicode and URL characters in a name are harmless; a deleted file is not sent."""
    acquisition = session.acquisition("a?b#c%20 dö")
    names = ("sp ace.dcm", "ünï 漢字.dcm", "a#b.dcm", "100%.dcm", "what?.dcm", "a%2Fb;c&d=e+f.dcm")
    for number, name in enumerate(names):
        session.site.add_file(acquisition, name, encoded(made(number)))
    session.site.add_file(acquisition, "old.dcm", encoded(made(99)), deleted=True)

    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()

    assert result.exit_code == 0, result.log
    assert [row[2] for row in rows(session.site.reports[0].content)] == list(names)
    assert len(python_scp.stored) == len(names)


def test_an_empty_session_is_not_a_success(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A run without files to send ends with exit code 1 and a message; its report has no rows."""
    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()
    assert result.exit_code == 1
    assert f"{wording.NOTHING_TO_SEND}: {wording.NO_FILE}" in result.log
    assert rows(session.site.reports[0].content) == []
    assert python_scp.associations == ()
