"""Selection of files by type, and log lines about the others."""

from html import unescape
from pathlib import Path

import pytest

from tests.support import archives, wording
from tests.support.gear_runs import TEXT, Session, counts, gear_on, images
from tests.support.pacs import PythonSCP
from tests.support.sample_files import ArchiveMember, encoded, made, shipped, tar_of, zip_of

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


@pytest.mark.parametrize("name", ["notes.dcm.zip", "notes.zip", "notes.tgz"])
def test_an_archive_without_images_is_complete(
    tmp_path: Path, mixed: Session, python_scp: PythonSCP, name: str
) -> None:
    """Of any type, it has a row with 0 of 0 images, does not fail the run, and is named."""
    site = mixed.site
    make = tar_of(tmp_path / "n", [TEXT], "gz") if name.endswith("tgz") else None
    notes = make or zip_of(tmp_path / "n", [TEXT])
    site.add_file(mixed.acquisition("notes"), name, notes)
    options = {"file_types": "dicom and archive"}
    result = gear_on(tmp_path, site, python_scp.port, mixed.session, **options).run()
    assert result.exit_code == 0, result.log
    found = counts(site.reports[0].content)
    assert set(found) == {"a.dcm", "b.tgz", "c.zip", name}
    assert found[name] == ("0", "0", "Complete")
    assert f"{name}: {wording.NO_IMAGE}" in result.log
    assert name in page(mixed).partition("Warnings and changes")[2].partition("Modalities")[0]
    assert site.containers[mixed.session]["tags"] == ["dicom-send"]


UNREAD = {
    "index.dcm": "a DICOMDIR, which is no archive",
    "cut.zip": "the rest of a zip",
    "garbage.zip": "members named like DICOM",
    "zeros.zip": "members of zeros, as after a crash",
    "empty.zip": "empty members named like DICOM",
    "encrypted.zip": "an encrypted member",
    "damaged.zip": "a damaged member",
    "deep.zip": "an archive in a nested archive",
    "nested.zip": "a damaged nested archive",
    "inner.zip": "an encrypted member of a nested archive",
}


def unread(path: Path, what: str) -> Path:
    """Write an archive that has no image, and was not read completely."""
    match what:
        case "index.dcm":
            path.write_bytes(shipped("dicomdirtests/DICOMDIR").read_bytes())
        case "cut.zip":
            zip_of(path, [TEXT, *images(1)])
            path.write_bytes(path.read_bytes()[:40])
        case "garbage.zip":
            zip_of(path, [TEXT, ArchiveMember("IM1.DCM", b"garbage" * 99)])
        case "zeros.zip":
            zip_of(path, [TEXT, ArchiveMember("IM1", bytes(500))])
        case "empty.zip":
            zip_of(path, [TEXT, ArchiveMember("IM1.ima", b"")])
        case "encrypted.zip":
            zip_of(path, [TEXT])
            archives.set_zip_field(path, TEXT.name, "flags", 1)
        case "damaged.zip":
            zip_of(path, [ArchiveMember("README", b"nothing to send")])
            archives.set_zip_field(path, "README", "crc", 0)
        case "deep.zip":
            inner = zip_of(path, images(1)).read_bytes()
            inner = zip_of(path, [ArchiveMember("b.zip", inner)]).read_bytes()
            zip_of(path, [ArchiveMember("c.zip", inner)])
        case "nested.zip":
            inner = zip_of(path, images(1)).read_bytes()
            zip_of(path, [TEXT, ArchiveMember("a.doc", inner[: len(inner) // 3])])
        case "inner.zip":
            inner = unread(path, "encrypted.zip").read_bytes()
            zip_of(path, [ArchiveMember("a.zip", inner)])
    return path


@pytest.mark.parametrize("what", UNREAD)
def test_an_archive_that_may_hide_an_image_has_failed(
    tmp_path: Path, session: Session, python_scp: PythonSCP, what: str
) -> None:
    """Only an archive that was read completely is `Complete` without an image."""
    site, acquisition = session.site, session.acquisition("A")
    site.add_file(acquisition, "a.dcm", encoded(made(1)))
    site.add_file(acquisition, what, unread(tmp_path / "u.zip", what))
    options = {"file_types": "dicom and archive"}
    result = gear_on(tmp_path, site, python_scp.port, session.session, **options).run()
    assert result.exit_code == 1, result.log
    found = counts(site.reports[0].content)
    assert found == {"a.dcm": ("1", "1", "Complete"), what: ("0", "0", "Failed")}
    assert not site.containers[session.session]["tags"]


@pytest.mark.parametrize("is_input", [False, True])
def test_only_archives_without_images_are_not_a_success(
    tmp_path: Path, session: Session, python_scp: PythonSCP, is_input: bool
) -> None:
    """A run on them, or on one of them, sends nothing, and ends with exit code 1."""
    acquisition = session.acquisition("A")
    notes = zip_of(tmp_path / "n.dcm.zip", [TEXT])
    session.site.add_file(acquisition, notes.name, notes)
    place = (acquisition, "acquisition") if is_input else (session.session, "session")
    gear = gear_on(tmp_path, session.site, python_scp.port, *place)
    if is_input:
        gear.give(notes.name, notes, parent_id=acquisition)
    result = gear.run()
    assert result.exit_code == 1
    assert counts(session.site.reports[0].content) == {notes.name: ("0", "0", "Complete")}
    assert f"{notes.name}: {wording.NO_IMAGE}" in result.log
    record = session.site.containers[acquisition]
    assert not session.site.containers[session.session]["tags"]
    assert not any(file["tags"] for file in record["files"])


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
