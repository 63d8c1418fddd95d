"""Selection of files by type, and log lines about the others."""

from html import unescape
from pathlib import Path

import pytest

from tests.support import wording
from tests.support.gear_runs import TEXT, Session, counts, gear_on, images
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made, tar_of, zip_of

LEFT_OUT = (
    f"2 files {wording.OF_TYPE_ARCHIVE} were not selected: b.tgz, c.zip (see the option file_types)"
)


@pytest.fixture
def mixed(tmp_path: Path, session: Session) -> Session:
    """Session with a DICOM file, a tar and a zip of images, and text notes."""
    acquisition = session.acquisition("CT")
    site = session.site
    site.add_file(acquisition, "a.dcm", encoded(made(1)))
    site.add_file(acquisition, "b.tgz", tar_of(tmp_path / "b.tgz", images(2, 3), "gz"))
    site.add_file(acquisition, "c.zip", zip_of(tmp_path / "c.zip", images(4)))
    site.add_file(acquisition, "notes.txt", b"not for the PACS")
    return session


def page(session: Session) -> str:
    """Return the text of the attached page."""
    (content,) = (one.content for one in session.site.uploads if one.name.endswith(".html"))
    return unescape(content.decode())


def test_excluded_archives_are_named(tmp_path: Path, mixed: Session, python_scp: PythonSCP) -> None:
    """By default, files of type `dicom` are sent; log and page name the archives beside them."""
    result = gear_on(tmp_path, mixed.site, python_scp.port, mixed.session).run()
    assert result.exit_code == 0, result.log
    assert len(python_scp.stored) == 1
    for text in (result.log, page(mixed)):
        assert LEFT_OUT in text
        assert f"1 file {wording.OTHER_TYPES} was not selected: 1 text" in text


def test_archives_are_sent_on_request(
    tmp_path: Path, mixed: Session, python_scp: PythonSCP
) -> None:
    """With `dicom and archive` the tar and the zip are sent; other files are still counted."""
    options = {"file_types": "dicom and archive"}
    result = gear_on(tmp_path, mixed.site, python_scp.port, mixed.session, **options).run()
    assert result.exit_code == 0, result.log
    assert set(counts(mixed.site.reports[0].content)) == {"a.dcm", "b.tgz", "c.zip"}
    assert len(python_scp.stored) == 4
    assert wording.OF_TYPE_ARCHIVE not in result.log
    assert f"1 file {wording.OTHER_TYPES} was not selected: 1 text" in page(mixed)


def test_an_archive_without_images_is_skipped(
    tmp_path: Path, mixed: Session, python_scp: PythonSCP
) -> None:
    """An archive without images has no row, does not fail the run, and is named."""
    site = mixed.site
    notes = zip_of(tmp_path / "n.zip", [TEXT])
    site.add_file(mixed.acquisition("notes"), "notes.zip", notes)
    options = {"file_types": "dicom and archive"}
    result = gear_on(tmp_path, site, python_scp.port, mixed.session, **options).run()
    assert result.exit_code == 0, result.log
    assert set(counts(site.reports[0].content)) == {"a.dcm", "b.tgz", "c.zip"}
    for text in (result.log, page(mixed)):
        message = f"1 file {wording.OF_TYPE_ARCHIVE} without a DICOM image was skipped: notes.zip"
        assert text.count(message) == 1


@pytest.mark.parametrize("content", ["notes", "damaged"])
def test_only_archives_without_images_are_not_a_success(
    tmp_path: Path, session: Session, python_scp: PythonSCP, content: str
) -> None:
    """A run without any image ends with exit code 1; a damaged archive keeps its row."""
    path = zip_of(tmp_path / "n.zip", [TEXT] if content == "notes" else images(1))
    if content == "damaged":
        path.write_bytes(path.read_bytes()[:40])
    session.site.add_file(session.acquisition("A"), "n.zip", path)
    options = {"file_types": "dicom and archive"}
    result = gear_on(tmp_path, session.site, python_scp.port, session.session, **options).run()
    assert result.exit_code == 1
    assert ("n.zip" in counts(session.site.reports[0].content)) == (content == "damaged")


def test_a_session_of_excluded_archives_is_not_a_success(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A run that selects no file ends with exit code 1, lists them, and contacts no server."""
    site = session.site
    site.add_file(session.acquisition("A"), "a.tar", tar_of(tmp_path / "a.tar", images(1)))
    result = gear_on(tmp_path, site, python_scp.port, session.session).run()
    assert result.exit_code == 1
    assert f"{wording.NOTHING_TO_SEND}: the only file found is not selected" in result.log
    for text in (result.log, page(session)):
        assert f"1 file {wording.OF_TYPE_ARCHIVE} was not selected: a.tar" in text
    assert counts(site.reports[0].content) == {}
    assert python_scp.associations == ()
