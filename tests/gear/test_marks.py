"""Sent files and containers are marked on Flywheel, by requests or through the engine."""

import json
from pathlib import Path

import pytest

from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder
from tests.support.gear_runs import Session, gear_on, images
from tests.support.marking import (
    SITES,
    ended,
    file_of,
    key,
    prepare,
    qc_of,
    summary,
    without_times,
)
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made, zip_of
from tests.support.servers.process import free_port

NAME = "Doe^Jane"
HEADER = {"dicom": {"PatientName": NAME}}


def given(
    folder: Path, session: Session, port: int, content: bytes, **options: object
) -> tuple[GearFolder, str]:
    """Return a run on a file with a tag and custom information, and its acquisition."""
    site, acquisition = session.site, session.acquisition("T1")
    site.add_file(acquisition, "a.dcm", content)
    record = file_of(site, acquisition, "a.dcm")
    record.update(tags=["reviewed"], info={"header": HEADER})
    gear = gear_on(folder, site, port, acquisition, "acquisition", **options)
    gear.give("a.dcm", content, parent_id=acquisition, record={} if site.is_old else record)
    return gear, acquisition


def session_run(
    folder: Path, session: Session, port: int, level: str = "session", **options: object
) -> tuple[GearFolder, str]:
    """Return a run on a container with a tag, custom information and an archive, and its id."""
    site, acquisition = session.site, session.acquisition("T1")
    ids = {"session": session.session, "acquisition": acquisition, "subject": session.subject}
    site.containers[ids[level]].update(tags=["reviewed"], info={"header": HEADER})
    folder.mkdir(exist_ok=True)
    content = zip_of(folder / "a.zip", images(1, 2)).read_bytes()
    site.add_file(acquisition, "a.zip", content, file_type="dicom", modality="MR")
    return gear_on(folder, site, port, ids[level], level, **options), ids[level]


@pytest.mark.parametrize("kind", SITES)
def test_an_input_file_is_marked(
    tmp_path: Path, session: Session, python_scp: PythonSCP, kind: str
) -> None:
    """It keeps its tags and its custom information, and the log shows none of the latter."""
    site = session.site
    prepare(site, kind)
    gear, acquisition = given(tmp_path, session, python_scp.port, encoded(made(1)))
    result = ended(site, gear)
    assert result.exit_code == 0, result.log
    file = file_of(site, acquisition, "a.dcm")
    assert sorted(file["tags"]) == ["dicom-send", "reviewed"]
    info = file["info"]
    assert info.keys() == {"header", "qc", key(python_scp.port)}
    assert info["header"] == HEADER
    assert without_times(info[key(python_scp.port)]) == summary("Complete", 1, 1, python_scp.port)
    assert qc_of(info) == "PASS"
    assert NAME not in result.log
    assert not site.containers[acquisition]["tags"]
    # A key that may write needs the engine for nothing but the tags of files on old sites.
    (left,) = result.metadata.get("acquisition", {}).get("files", [{}])
    of_engine = {"info", "tags"} if site.is_read_only else {"tags"} if site.is_old else set()
    assert left.keys() - {"name"} == of_engine


@pytest.mark.parametrize("kind", SITES)
@pytest.mark.parametrize("level", ["session", "acquisition", "subject"])
def test_a_container_is_marked(
    tmp_path: Path, session: Session, python_scp: PythonSCP, level: str, kind: str
) -> None:
    """It keeps its tags and its custom information; no other container is marked."""
    site = session.site
    prepare(site, kind)
    gear, container = session_run(tmp_path, session, python_scp.port, level)
    result = ended(site, gear)
    assert result.exit_code == 0, result.log
    record = site.containers[container]
    assert {name for name, one in site.containers.items() if one["tags"]} == {container}
    assert sorted(record["tags"]) == ["dicom-send", "reviewed"]
    assert record["info"].keys() == {"header", key(python_scp.port)}
    mark = record["info"][key(python_scp.port)]
    assert without_times(mark) == summary("Complete", 2, 2, python_scp.port)
    (report,) = site.reports
    assert qc_of(file_of(site, report.container_id, report.name)["info"]) == "PASS"
    assert NAME not in result.log


@pytest.mark.parametrize("merges", [False, True])
def test_the_last_success_stays(tmp_path: Path, session: Session, merges: bool) -> None:
    """A later run that fails changes the state only; the engine skips a failed container."""
    site = session.site
    prepare(site, "current, read-only")
    site.merges_metadata = merges
    with PythonSCP(status=[0x0000, 0x0000, 0x0000, 0xA900]) as server:
        gear, container = session_run(tmp_path / "1", session, server.port)
        assert ended(site, gear).exit_code == 0
        first = site.containers[container]["info"][key(server.port)]
        site.is_read_only = False
        again = gear_on(tmp_path / "2", site, server.port, container)
        assert ended(site, again).exit_code == 1
    info = site.containers[container]["info"]
    mark = info[key(server.port)]
    assert (mark["state"], mark["sent"], mark["complete"]) == ("Incomplete", 1, first["complete"])
    assert info["header"] == HEADER
    infos = [file["info"] for file in site.containers[container]["files"]]
    assert [qc_of(info) for info in infos if info] == ["PASS", "FAIL"]


def test_each_destination_has_a_mark(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """The second server adds its own mark, and leaves that of the first."""
    site = session.site
    gear, container = session_run(tmp_path / "1", session, python_scp.port)
    ended(site, gear)
    other = gear_on(tmp_path / "2", site, free_port(), container, send_retry_time=0)
    assert ended(site, other).exit_code == 1
    marks = {name: one for name, one in site.containers[container]["info"].items() if one != HEADER}
    assert marks.keys() == {key(python_scp.port), key(other.config["config"]["port"])}
    assert [mark["state"] for mark in marks.values()] == ["Complete", "Failed"]
    assert "complete" not in marks[key(other.config["config"]["port"])]


@pytest.mark.parametrize(
    ("options", "is_tagged"),
    [
        ({"modality": "MR,CT"}, False),
        ({"include": "*.zip"}, False),
        ({"exclude": "*.nii"}, False),
        ({"file_tags": "a"}, False),
        ({"file_types": "dicom and archive"}, True),
    ],
)
def test_a_run_on_chosen_files_does_not_tag_the_container(
    tmp_path: Path,
    session: Session,
    python_scp: PythonSCP,
    options: dict[str, str],
    is_tagged: bool,
) -> None:
    """The mark has the options that chose them, as in the job's configuration."""
    site = session.site
    gear, container = session_run(tmp_path, session, python_scp.port, **options)
    (file,) = (file for one in site.containers.values() for file in one["files"])
    file["tags"] = ["a"]
    assert ended(site, gear).exit_code == 0
    record = site.containers[container]
    assert ("dicom-send" in record["tags"]) is is_tagged
    mark = record["info"][key(python_scp.port)]
    expected = {name: value.replace(",", ", ") for name, value in options.items()}
    assert mark["selection"] == mark["complete"]["selection"] == expected


def test_options_that_choose_files_do_not_concern_an_input_file(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """It is tagged, and its mark has no selection."""
    gear, acquisition = given(
        tmp_path, session, python_scp.port, encoded(made(1)), modality="MR", include="*.zip"
    )
    assert ended(session.site, gear).exit_code == 0
    file = file_of(session.site, acquisition, "a.dcm")
    assert "dicom-send" in file["tags"]
    assert file["info"][key(python_scp.port)]["selection"] == {}


@pytest.mark.parametrize("kind", SITES)
def test_an_incomplete_file_gets_no_tag(tmp_path: Path, session: Session, kind: str) -> None:
    """The summary of the file shows the number of sent images."""
    prepare(session.site, kind)
    content = zip_of(tmp_path / "a.zip", images(1, 2)).read_bytes()
    with PythonSCP(status=[0x0000, 0xA900]) as server:
        gear, acquisition = given(tmp_path, session, server.port, content)
        assert ended(session.site, gear).exit_code == 1
    file = file_of(session.site, acquisition, "a.dcm")
    assert file["tags"] == ["reviewed"]
    mark = file["info"][key(server.port)]
    assert without_times(mark) == summary("Incomplete", 2, 1, server.port)
    assert "complete" not in mark
    assert qc_of(file["info"]) == "FAIL"


def test_an_unreachable_server_leaves_a_summary(tmp_path: Path, session: Session) -> None:
    """A run that ends with an error has a summary, too."""
    port = free_port()
    gear, acquisition = given(tmp_path, session, port, encoded(made(1)), send_retry_time=0)
    assert ended(session.site, gear).exit_code == 1
    file = file_of(session.site, acquisition, "a.dcm")
    assert file["info"][key(port)]["state"] == "Failed"
    assert file["tags"] == ["reviewed"]


def changes(site: FlywheelSite) -> list[str]:
    """Return the requests that change tags or custom information."""
    return [
        request.path
        for request in site.requests
        if request.method in ("PATCH", "POST") and not request.path.endswith("/files")
    ]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_dry_run_marks_nothing(
    tmp_path: Path, session: Session, python_scp: PythonSCP, is_there: bool
) -> None:
    """Nor does one whose server cannot be reached."""
    port = python_scp.port if is_there else free_port()
    gear, _ = given(tmp_path, session, port, encoded(made(1)), dry_run=True, send_retry_time=0)
    result = ended(session.site, gear)
    assert (result.exit_code == 0) is is_there
    assert (changes(session.site), result.metadata) == ([], {})


@pytest.mark.parametrize("on_file", [False, True])
@pytest.mark.parametrize("tag", ["", "at PACS"])
def test_tag_and_summary_are_optional(
    tmp_path: Path, session: Session, python_scp: PythonSCP, tag: str, on_file: bool
) -> None:
    """Without a summary there is no QC result either. With none of these, nothing is requested."""
    site = session.site
    options = {"sent_tag": tag, "sent_info": False}
    if on_file:
        gear, place = given(tmp_path, session, python_scp.port, encoded(made(1)), **options)
    else:
        gear, place = session_run(tmp_path, session, python_scp.port, **options)
    assert ended(site, gear).exit_code == 0
    record = file_of(site, place, "a.dcm") if on_file else site.containers[place]
    assert sorted(record["tags"]) == sorted([*filter(None, [tag]), "reviewed"])
    assert record["info"] == {"header": HEADER}
    assert not any(
        "qc" in file["info"] for one in site.containers.values() for file in one["files"]
    )
    assert len(changes(site)) == bool(tag)


def test_a_tag_that_flywheel_would_reject_is_an_error(tmp_path: Path, session: Session) -> None:
    """A tag has at most 32 characters, all printable."""
    for tag in ("x" * 33, "a\nb"):
        gear = gear_on(tmp_path / json.dumps(tag)[:3], session.site, 1, session.session)
        gear.config["config"]["sent_tag"] = tag
        result = gear.run()
        assert result.exit_code == 1
        assert "sent_tag" in result.log
