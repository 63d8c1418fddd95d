"""What a run asks of a Flywheel site: the files to send, and to take the report."""

import logging
import traceback
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.types import PrivateTag
from fw_gear_dicom_send.errors import ConfigError, SiteError
from fw_gear_dicom_send.flywheel.site import Site, connect
from fw_gear_dicom_send.models import Container, GearConfig, InputFile
from fw_gear_dicom_send.network.types import PeerAE
from tests.support.flywheel_site import Cut, Flip, FlywheelSite, Reset, Status

REPORT_NAMES = ["dicom-send_report-Visit 1.a_2024-03-05_07:08:09.csv", 'é 画像 "x"&%.csv']


def gear_config(destination: Container, input_file: InputFile | None = None) -> GearConfig:
    return GearConfig(
        peer=PeerAE("localhost", 104, "CALLED", "CALLING"),
        tls=None,
        tag=PrivateTag(0x21, "Flywheel", "DICOM send"),
        destination=destination,
        input_file=input_file,
        api_key="",
        file_download_retry_time=0,
        associations=1,
        send_retry_time=0,
        report=True,
    )


def add_subject(site: FlywheelSite, label: str | None = "S1") -> str:
    return site.add_subject(site.add_project(site.add_group("radiology"), "Trial"), label)


def add_session(site: FlywheelSite, label: str | None = "Visit 1") -> str:
    return site.add_session(add_subject(site), label)


def client_site(site: FlywheelSite, *, retries: int = 0) -> Site:
    return Site(connect(site.api_key, retries=retries))


def selected(site: FlywheelSite, kind: str, container_id: str) -> list[str]:
    """Return the paths of the files that a run on a container sends."""
    selection = client_site(site).select(gear_config(Container(kind, container_id)))
    return [entry.fw_path for entry in selection.entries]


@pytest.mark.parametrize("key", ["", "justtext", ":secret"])
def test_key_without_a_host_is_refused(key: str) -> None:
    """A key that names no site is a wrong input, and the error does not show it."""
    with pytest.raises(ConfigError) as caught:
        connect(key, retries=0)
    assert caught.value.option == "api-key"
    shown = "".join(traceback.format_exception(caught.value))
    assert not key or key not in shown.replace("<host>:<key>", "")


def test_containers_are_asked_for_without_analyses(site: FlywheelSite) -> None:
    """Each request bids the site to leave out what may be large and is not needed."""
    selected(site, "session", add_session(site))
    features = {request.headers["X-Accept-Feature"].split(",")[1] for request in site.requests}
    assert features == {"Slim-Containers"}


def test_client_retries_as_often_as_told(site: FlywheelSite) -> None:
    """A server error is asked again when retries are given."""
    session = add_session(site)
    site.fault(session, Status(503))
    selection = client_site(site, retries=1).select(gear_config(Container("session", session)))
    assert selection.report_label == "Visit 1"


def test_client_without_retries_asks_once(site: FlywheelSite) -> None:
    """A server error is final when no retries are given."""
    session = add_session(site)
    site.fault(session, Status(503))
    with pytest.raises(SiteError):
        selected(site, "session", session)
    assert site.asked("GET") == [f"/api/sessions/{session}"]


def test_session_gives_the_files_of_its_acquisitions(site: FlywheelSite) -> None:
    """A run on a session sends the files of its acquisitions, in the site's order."""
    session = add_session(site)
    other = site.add_session(site.containers[session]["parents"]["subject"], "Visit 2")
    acquisitions = [site.add_acquisition(session, label) for label in ("T2", "T1")]
    site.add_file(acquisitions[0], "b.zip", b"12345")
    site.add_file(acquisitions[0], "a.dcm", b"1")
    site.add_file(acquisitions[1], "c.zip", b"123")
    site.add_file(site.add_acquisition(other, "T3"), "d.zip", b"1")
    selection = client_site(site).select(gear_config(Container("session", session)))
    path = "radiology/Trial/S1/Visit 1"
    assert [(entry.acquisition_id, entry.name, entry.fw_path) for entry in selection.entries] == [
        (acquisitions[0], "b.zip", f"{path}/T2/files/b.zip"),
        (acquisitions[0], "a.dcm", f"{path}/T2/files/a.dcm"),
        (acquisitions[1], "c.zip", f"{path}/T1/files/c.zip"),
    ]


def test_files_of_each_level_below_are_sent(site: FlywheelSite) -> None:
    """DICOM files that are attached to a session or subject themselves are sent too."""
    subject = add_subject(site)
    session = site.add_session(subject, "Visit 1")
    site.add_file(site.add_acquisition(session, "T1"), "c.dcm", b"1")
    site.add_file(session, "b.dcm", b"1")
    site.add_file(subject, "a.dcm", b"1")
    path = "radiology/Trial/S1"
    below = [f"{path}/Visit 1/files/b.dcm", f"{path}/Visit 1/T1/files/c.dcm"]
    assert selected(site, "session", session) == below
    assert selected(site, "subject", subject) == [f"{path}/files/a.dcm", *below]


def test_session_is_where_its_report_belongs(site: FlywheelSite) -> None:
    """The report of a run on a session goes to the session, under its label."""
    session = Container("session", add_session(site))
    selection = client_site(site).select(gear_config(session))
    assert (selection.report_parent, selection.report_label) == (session, "Visit 1")


def test_entry_has_size_and_hash_of_the_record(site: FlywheelSite) -> None:
    """What the site's record says of a file is there to check the download."""
    acquisition = site.add_acquisition(add_session(site), "T1")
    site.add_file(acquisition, "a.zip", b"12345", file_hash="v0-sha384-0")
    (entry,) = client_site(site).select(gear_config(Container("acquisition", acquisition))).entries
    assert (entry.size, entry.hash) == (5, "v0-sha384-0")


@pytest.mark.parametrize("file_type", ["DICOM", "dicom ", "nifti", None])
def test_files_of_other_types_are_left_out(site: FlywheelSite, file_type: str | None) -> None:
    """Only files whose type is exactly dicom are sent."""
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
    """A run on a subject does not send what a deleted session holds."""
    subject = add_subject(site)
    session = site.add_session(subject, "Visit 1", deleted=True)
    site.add_file(site.add_acquisition(session, "T1"), "a.dcm", b"1")
    assert selected(site, "subject", subject) == []


def test_subject_gives_the_files_of_all_its_sessions(site: FlywheelSite) -> None:
    """A run on a subject sends the files of its sessions, each with its own path."""
    subject = add_subject(site)
    for label in ("Visit 1", "Visit 2"):
        session = site.add_session(subject, label)
        site.add_file(site.add_acquisition(session, "T1"), "a.dcm", b"1")
    assert selected(site, "subject", subject) == [
        "radiology/Trial/S1/Visit 1/T1/files/a.dcm",
        "radiology/Trial/S1/Visit 2/T1/files/a.dcm",
    ]


def test_subject_is_where_its_report_belongs(site: FlywheelSite) -> None:
    """The report of a run on a subject goes to the subject, under its label."""
    subject = Container("subject", add_subject(site))
    selection = client_site(site).select(gear_config(subject))
    assert (selection.report_parent, selection.report_label) == (subject, "S1")


def test_acquisition_gives_its_own_files(site: FlywheelSite) -> None:
    """A run on an acquisition leaves its neighbours alone."""
    session = add_session(site)
    chosen, other = (site.add_acquisition(session, label) for label in ("T1", "T2"))
    site.add_file(chosen, "a.dcm", b"1")
    site.add_file(other, "b.dcm", b"1")
    assert selected(site, "acquisition", chosen) == ["radiology/Trial/S1/Visit 1/T1/files/a.dcm"]


def test_report_of_an_acquisition_belongs_to_its_session(site: FlywheelSite) -> None:
    """The report of a run on an acquisition names it, and goes to its session."""
    session = add_session(site)
    acquisition = Container("acquisition", site.add_acquisition(session, "T1"))
    selection = client_site(site).select(gear_config(acquisition))
    assert selection.report_parent == Container("session", session)
    assert selection.report_label == "Visit 1_T1"


@pytest.mark.parametrize(
    ("kind", "fw_path", "report_type", "label"),
    [
        ("acquisition", "radiology/Trial/S1/Visit 1/T1/files/x.zip", "session", "Visit 1_T1"),
        ("session", "radiology/Trial/S1/Visit 1/files/x.zip", "session", "Visit 1"),
        ("subject", "radiology/Trial/S1/files/x.zip", "subject", "S1"),
    ],
)
def test_input_file_is_all_that_is_sent(
    site: FlywheelSite, kind: str, fw_path: str, report_type: str, label: str
) -> None:
    """An input file of any level is sent alone; its report goes to the session or subject."""
    session = add_session(site)
    acquisition = site.add_acquisition(session, "T1")
    site.add_file(acquisition, "a.dcm", b"1")
    ids = {"acquisition": acquisition, "session": session}
    ids["subject"] = site.containers[session]["parents"]["subject"]
    file = InputFile(Path("x.zip"), "x.zip", Container(kind, ids[kind]))
    destination = Container("session", session)
    selection = client_site(site).select(gear_config(destination, file))
    (entry,) = selection.entries
    assert (entry.parent, entry.name, entry.fw_path) == (file.parent, "x.zip", fw_path)
    assert selection.report_parent == Container(report_type, ids[report_type])
    assert selection.report_label == label


@pytest.mark.parametrize("kind", ["project", "group", "analysis", "collection"])
def test_destination_without_acquisitions_is_refused(site: FlywheelSite, kind: str) -> None:
    """A run on a container of another type is a wrong config, and asks nothing."""
    with pytest.raises(ConfigError, match=f"'{kind}' .*acquisition, session or subject"):
        selected(site, kind, "1")
    assert site.requests == []


@pytest.mark.parametrize("kind", ["project", "analysis"])
def test_input_file_of_another_container_is_refused(site: FlywheelSite, kind: str) -> None:
    """An input file of a project, say, is a wrong input, and nothing is asked."""
    file = InputFile(Path("x.zip"), "x.zip", Container(kind, "1"))
    with pytest.raises(ConfigError, match="container of the file"):
        client_site(site).select(gear_config(Container("session", "2"), file))
    assert site.requests == []


def test_id_stands_in_for_a_missing_label(site: FlywheelSite) -> None:
    """A container without label is named by its id."""
    session = add_session(site, None)
    acquisition = site.add_acquisition(session, "")
    site.add_file(acquisition, "a.dcm", b"1")
    selection = client_site(site).select(gear_config(Container("acquisition", acquisition)))
    assert selection.report_label == f"{session}_{acquisition}"
    assert selection.entries[0].fw_path.endswith(f"/{session}/{acquisition}/files/a.dcm")


def test_labels_are_as_on_the_site(site: FlywheelSite) -> None:
    """Neither labels nor names are changed in a path."""
    session = add_session(site, "a/b: 画像 %20")
    acquisition = site.add_acquisition(session, "t2*?")
    site.add_file(acquisition, "é #1.dcm", b"1")
    path = "radiology/Trial/S1/a/b: 画像 %20/t2*?/files/é #1.dcm"
    assert selected(site, "session", session) == [path]


def test_lists_come_whole(site: FlywheelSite) -> None:
    """A list that is longer than the site gives at once is asked for page by page."""
    site.page_limit = 2
    session = add_session(site)
    for number in range(5):
        site.add_file(site.add_acquisition(session, f"T{number}"), "a.dcm", b"1")
    names = [path.split("/")[4] for path in selected(site, "session", session)]
    assert names == ["T0", "T1", "T2", "T3", "T4"]


def test_site_without_pages_is_asked_no_further(site: FlywheelSite) -> None:
    """A site that gives the same list again is not asked for ever, nor taken twice."""
    site.knows_after_id = False
    session = add_session(site)
    site.add_file(site.add_acquisition(session, "T1"), "a.dcm", b"1")
    assert len(selected(site, "session", session)) == 1


def test_each_container_is_asked_for_once(site: FlywheelSite) -> None:
    """No container is asked for by its id twice, nor one that a list has shown."""
    subject = add_subject(site)
    for label in ("Visit 1", "Visit 2"):
        session = site.add_session(subject, label)
        site.add_file(site.add_acquisition(session, "T1"), "a.dcm", b"1")
    selected(site, "subject", subject)
    project = site.containers[subject]["parents"]["project"]
    single = [path for path in site.asked("GET") if path.count("/") == 3]
    assert single == [f"/api/subjects/{subject}", f"/api/projects/{project}"]


def test_ids_are_quoted(site: FlywheelSite) -> None:
    """An id cannot lead to another place of the API."""
    with pytest.raises(SiteError):
        selected(site, "session", "../a?b#c%")
    assert site.asked("GET") == ["/api/sessions/..%2Fa%3Fb%23c%25"]


def test_refusal_is_told_in_one_line(site: FlywheelSite) -> None:
    """The error says what was asked for and what the site answered, and nothing else."""
    with pytest.raises(SiteError) as caught:
        selected(site, "session", "5")
    assert str(caught.value) == "GET /api/sessions/5: 404 Not Found"
    assert "scitran" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("fault", [Reset(), Cut(after=5)])
def test_failed_connection_is_a_site_error(site: FlywheelSite, fault: Reset | Cut) -> None:
    """A connection that fails before or in an answer is told as that."""
    session = add_session(site)
    site.fault(session, fault)
    with pytest.raises(SiteError, match=f"^GET /api/sessions/{session}: connection failed$"):
        selected(site, "session", session)


def test_answer_that_is_no_json_is_a_site_error(site: FlywheelSite) -> None:
    """An answer that cannot be read is told as that."""
    session = add_session(site)
    site.fault(session, Flip())
    with pytest.raises(SiteError, match="not what the API promises"):
        selected(site, "session", session)


@pytest.mark.parametrize("key", ["_id", "parents"])
def test_record_without_its_parts_is_a_site_error(site: FlywheelSite, key: str) -> None:
    """A record that is no container's is told as that."""
    session = add_session(site)
    del site.containers[session][key]
    with pytest.raises(SiteError, match="not what the API promises"):
        selected(site, "session", session)


@pytest.mark.parametrize("signed_url", [False, True])
@pytest.mark.parametrize("name", REPORT_NAMES)
def test_file_is_attached(site: FlywheelSite, tmp_path: Path, name: str, signed_url: bool) -> None:
    """A file reaches its container under its name, whichever way the site takes uploads."""
    site.signed_url = signed_url
    path = tmp_path / name
    path.write_bytes(b"a,b\r\n\r\n--c\n")
    session = add_session(site)
    client_site(site).attach(Container("session", session), path)
    (upload,) = site.uploads
    assert (upload.container_type, upload.container_id) == ("session", session)
    assert (upload.name, upload.content) == (name, path.read_bytes())


@pytest.mark.parametrize(("signed_url", "puts"), [(False, 0), (True, 1)])
def test_upload_goes_the_way_that_the_site_takes(
    site: FlywheelSite, tmp_path: Path, signed_url: bool, puts: int
) -> None:
    """A signed URL is used where, and only where, the site's config says so."""
    site.signed_url = signed_url
    path = tmp_path / "report.csv"
    path.write_bytes(b"a")
    client_site(site).attach(Container("subject", add_subject(site)), path)
    assert len(site.asked("PUT")) == puts


def test_storage_does_not_get_the_key(site: FlywheelSite, tmp_path: Path) -> None:
    """The API key is not sent along to a signed URL."""
    site.signed_url = True
    path = tmp_path / "report.csv"
    path.write_bytes(b"a")
    client_site(site).attach(Container("session", add_session(site)), path)
    (put,) = (request for request in site.requests if request.method == "PUT")
    assert not any("secret" in value for value in put.headers.values())


@pytest.mark.parametrize("signed_url", [False, True])
def test_refused_upload_is_a_site_error(
    site: FlywheelSite, tmp_path: Path, signed_url: bool
) -> None:
    """A read-only key gets 403 for an upload: the error says so."""
    site.signed_url, site.refuse_uploads = signed_url, 403
    path = tmp_path / "report.csv"
    path.write_bytes(b"a")
    session = add_session(site)
    with pytest.raises(SiteError) as caught:
        client_site(site).attach(Container("session", session), path)
    assert str(caught.value) == f"POST /api/sessions/{session}/files: 403 Forbidden"


def test_failed_storage_is_told_without_its_url(site: FlywheelSite, tmp_path: Path) -> None:
    """An error of the storage is told, the signed URL is not, not even in a traceback."""
    site.signed_url = True
    site.fault("storage", Status(500))
    path = tmp_path / "report.csv"
    path.write_bytes(b"a")
    with pytest.raises(SiteError) as caught:
        client_site(site).attach(Container("session", add_session(site)), path)
    assert str(caught.value) == "PUT the site's storage: 500 Internal Server Error"
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_missing_file_is_a_site_error(site: FlywheelSite, tmp_path: Path) -> None:
    """A file that cannot be read is not attached, and that is told."""
    with pytest.raises(SiteError, match="No such file"):
        client_site(site).attach(Container("session", add_session(site)), tmp_path / "no.csv")


def test_signed_urls_are_not_logged(
    site: FlywheelSite, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even a log at its most verbose holds a signed URL."""
    caplog.set_level(logging.DEBUG)
    site.signed_url = True
    site.fault("storage", Status(503), Reset())
    path = tmp_path / "report.csv"
    path.write_bytes(b"a")
    client_site(site, retries=3).attach(Container("session", add_session(site)), path)
    assert len(site.uploads) == 1
    assert "storage" not in caplog.text
