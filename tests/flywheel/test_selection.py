"""Selection of a Flywheel site's files for a run, and the container of its report."""

from pathlib import Path

import pytest

from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.models import Container, InputFile, Origin
from fw_gear_dicom_send.reasons import Program
from fw_gear_dicom_send.values import replace
from tests.support.flywheel_site import FlywheelSite
from tests.support.site_clients import add_session, add_subject, client_site, gear_config, selected


def test_session_selects_the_files_of_its_acquisitions(site: FlywheelSite) -> None:
    """A run on a session sends the files of its acquisitions, in the site's order."""
    session = add_session(site)
    other = site.add_session(site.containers[session]["parents"]["subject"], "Visit 2")
    acquisitions = [site.add_acquisition(session, label) for label in ("T2", "T1")]
    site.add_file(acquisitions[0], "b.zip", b"12345", file_type="dicom")
    site.add_file(acquisitions[0], "a.dcm", b"1")
    site.add_file(acquisitions[1], "c.zip", b"123", file_type="dicom")
    site.add_file(site.add_acquisition(other, "T3"), "d.zip", b"1", file_type="dicom")
    selection = client_site(site).select(gear_config(Container("session", session)))
    path = "radiology/Trial/S1/Visit 1"
    assert [(entry.acquisition_id, entry.name, entry.path) for entry in selection.entries] == [
        (acquisitions[0], "b.zip", f"{path}/T2/files/b.zip"),
        (acquisitions[0], "a.dcm", f"{path}/T2/files/a.dcm"),
        (acquisitions[1], "c.zip", f"{path}/T1/files/c.zip"),
    ]


def test_files_of_each_level_below_are_sent(site: FlywheelSite) -> None:
    """DICOM files attached to a session or subject itself are sent, too."""
    subject = add_subject(site)
    session = site.add_session(subject, "Visit 1")
    site.add_file(site.add_acquisition(session, "T1"), "c.dcm", b"1")
    site.add_file(session, "b.dcm", b"1")
    site.add_file(subject, "a.dcm", b"1")
    path = "radiology/Trial/S1"
    below = [f"{path}/Visit 1/files/b.dcm", f"{path}/Visit 1/T1/files/c.dcm"]
    assert selected(site, "session", session) == below
    assert selected(site, "subject", subject) == [f"{path}/files/a.dcm", *below]


def test_report_of_a_session_belongs_to_it(site: FlywheelSite) -> None:
    """The report of a run on a session is attached to it and named by its label."""
    session = Container("session", add_session(site))
    selection = client_site(site).select(gear_config(session))
    assert (selection.report_parent, selection.report_label) == (session, "Visit 1")


def test_links_lead_to_the_session(site: FlywheelSite) -> None:
    """An acquisition links to its session; a subject has only a path."""
    session = add_session(site)
    acquisition = site.add_acquisition(session, "T1")
    project, subject = (site.containers[session]["parents"][one] for one in ("project", "subject"))
    url = f"{site.url}/#/projects/{project}/sessions/{session}"
    path = "radiology/Trial/S1"
    for kind, place, origin in (
        ("session", session, Origin(Program.GEAR, f"{path}/Visit 1", url, "j")),
        ("acquisition", acquisition, Origin(Program.GEAR, f"{path}/Visit 1/T1", url, "j")),
        ("subject", subject, Origin(Program.GEAR, path, "", "j")),
    ):
        config = replace(gear_config(Container(kind, place)), job_id="j")
        assert client_site(site).select(config).origin == origin


def test_entry_has_size_and_hash_of_the_record(site: FlywheelSite) -> None:
    """The site's record provides size and hash for verification of the download."""
    acquisition = site.add_acquisition(add_session(site), "T1")
    site.add_file(acquisition, "a.zip", b"12345", file_hash="v0-sha384-0", file_type="dicom")
    (entry,) = client_site(site).select(gear_config(Container("acquisition", acquisition))).entries
    assert (entry.size, entry.hash) == (5, "v0-sha384-0")


@pytest.mark.parametrize("file_type", ["DICOM", "dicom ", "nifti", "archive", None])
def test_files_of_other_types_are_left_out(site: FlywheelSite, file_type: str | None) -> None:
    """Only files with exactly the type dicom are sent."""
    session = add_session(site)
    acquisition = site.add_acquisition(session, "T1")
    site.add_file(acquisition, "a.dcm", b"1", file_type=file_type)
    assert selected(site, "session", session) == []


def test_deleted_files_are_left_out(site: FlywheelSite) -> None:
    """A file that is marked as deleted is not sent."""
    session = add_session(site)
    acquisition = site.add_acquisition(session, "T1")
    site.add_file(acquisition, "a.dcm", b"1", deleted=True)
    assert selected(site, "session", session) == []


def test_deleted_acquisitions_are_left_out(site: FlywheelSite) -> None:
    """The files of an acquisition that is marked as deleted are not sent."""
    session = add_session(site)
    site.add_file(site.add_acquisition(session, "T1", deleted=True), "a.dcm", b"1")
    assert selected(site, "session", session) == []


def test_deleted_sessions_are_left_out(site: FlywheelSite) -> None:
    """A run on a subject does not send files of a deleted session."""
    subject = add_subject(site)
    session = site.add_session(subject, "Visit 1", deleted=True)
    site.add_file(site.add_acquisition(session, "T1"), "a.dcm", b"1")
    assert selected(site, "subject", subject) == []


def test_subject_selects_the_files_of_all_its_sessions(site: FlywheelSite) -> None:
    """A run on a subject sends the files of its sessions, each with its own path."""
    subject = add_subject(site)
    for label in ("Visit 1", "Visit 2"):
        session = site.add_session(subject, label)
        site.add_file(site.add_acquisition(session, "T1"), "a.dcm", b"1")
    assert selected(site, "subject", subject) == [
        "radiology/Trial/S1/Visit 1/T1/files/a.dcm",
        "radiology/Trial/S1/Visit 2/T1/files/a.dcm",
    ]


def test_report_of_a_subject_belongs_to_it(site: FlywheelSite) -> None:
    """The report of a run on a subject is attached to it and named by its label."""
    subject = Container("subject", add_subject(site))
    selection = client_site(site).select(gear_config(subject))
    assert (selection.report_parent, selection.report_label) == (subject, "S1")


def test_acquisition_selects_its_own_files(site: FlywheelSite) -> None:
    """A run on an acquisition does not send files of other acquisitions."""
    session = add_session(site)
    chosen, other = (site.add_acquisition(session, label) for label in ("T1", "T2"))
    site.add_file(chosen, "a.dcm", b"1")
    site.add_file(other, "b.dcm", b"1")
    assert selected(site, "acquisition", chosen) == ["radiology/Trial/S1/Visit 1/T1/files/a.dcm"]


def test_report_of_an_acquisition_belongs_to_its_session(site: FlywheelSite) -> None:
    """The report of a run on an acquisition names it, and is attached to its session."""
    session = add_session(site)
    acquisition = Container("acquisition", site.add_acquisition(session, "T1"))
    selection = client_site(site).select(gear_config(acquisition))
    assert selection.report_parent == Container("session", session)
    assert selection.report_label == "Visit 1_T1"


@pytest.mark.parametrize(
    ("kind", "path", "report_type", "label"),
    [
        ("acquisition", "radiology/Trial/S1/Visit 1/T1/files/x.zip", "session", "Visit 1_T1"),
        ("session", "radiology/Trial/S1/Visit 1/files/x.zip", "session", "Visit 1"),
        ("subject", "radiology/Trial/S1/files/x.zip", "subject", "S1"),
    ],
)
def test_input_file_is_sent_alone(
    site: FlywheelSite, kind: str, path: str, report_type: str, label: str
) -> None:
    """This is true for an input file of any level; its report goes to the session or subject."""
    session = add_session(site)
    acquisition = site.add_acquisition(session, "T1")
    site.add_file(acquisition, "a.dcm", b"1")
    ids = {"acquisition": acquisition, "session": session}
    ids["subject"] = site.containers[session]["parents"]["subject"]
    file = InputFile(Path("x.zip"), "x.zip", Container(kind, ids[kind]))
    destination = Container("session", session)
    selection = client_site(site).select(gear_config(destination, file))
    (entry,) = selection.entries
    assert (entry.parent, entry.name, entry.path) == (file.parent, "x.zip", path)
    assert selection.report_parent == Container(report_type, ids[report_type])
    assert selection.report_label == label


@pytest.mark.parametrize("kind", ["project", "group", "analysis", "collection"])
def test_unsupported_destination_is_rejected(site: FlywheelSite, kind: str) -> None:
    """A run on another type of container is a config error, and sends no request."""
    with pytest.raises(ConfigError, match=f"'{kind}' .*acquisition, session or subject"):
        selected(site, kind, "1")
    assert site.requests == []


@pytest.mark.parametrize("kind", ["project", "analysis"])
def test_input_file_of_another_container_is_rejected(site: FlywheelSite, kind: str) -> None:
    """An input file of a project, for example, is an invalid input, and no request is sent."""
    file = InputFile(Path("x.zip"), "x.zip", Container(kind, "1"))
    with pytest.raises(ConfigError, match="container of the file"):
        client_site(site).select(gear_config(Container("session", "2"), file))
    assert site.requests == []


def test_id_replaces_a_missing_label(site: FlywheelSite) -> None:
    """A container without a label is named by its id."""
    session = add_session(site, None)
    acquisition = site.add_acquisition(session, "")
    site.add_file(acquisition, "a.dcm", b"1")
    selection = client_site(site).select(gear_config(Container("acquisition", acquisition)))
    assert selection.report_label == f"{session}_{acquisition}"
    assert selection.entries[0].path.endswith(f"/{session}/{acquisition}/files/a.dcm")


def test_labels_are_unchanged(site: FlywheelSite) -> None:
    """Neither labels nor file names are changed in a path."""
    session = add_session(site, "a/b: 画像 %20")
    acquisition = site.add_acquisition(session, "t2*?")
    site.add_file(acquisition, "é #1.dcm", b"1")
    path = "radiology/Trial/S1/a/b: 画像 %20/t2*?/files/é #1.dcm"
    assert selected(site, "session", session) == [path]
