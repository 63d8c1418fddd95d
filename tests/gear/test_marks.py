"""Sent files are marked on Flywheel, through metadata that the engine applies."""

import json
from pathlib import Path
from typing import Any

import pytest

from fw_gear_dicom_send import __version__
from tests.support import flywheel_metadata
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder, GearResult
from tests.support.gear_runs import Session, gear_on, images
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made, zip_of
from tests.support.servers.process import free_port

NAME = "Doe^Jane"


def summary(state: str, images: int, sent: int, port: int) -> dict[str, Any]:
    """Return the run's summary for the custom information, without its time."""
    return {
        "state": state,
        "called_ae": "PACS",
        "host": "127.0.0.1",
        "port": port,
        "images": images,
        "sent": sent,
        "already_there": 0,
        "duplicates": 0,
        "version": __version__,
    }


def ended(site: FlywheelSite, gear: GearFolder) -> GearResult:
    """Run the gear, and apply its metadata like the engine."""
    result = gear.run()
    destination = gear.config["destination"]
    for path in result.output:
        site.attach(destination["id"], path.name, path.read_bytes())
    flywheel_metadata.apply(site.containers, destination, result.metadata)
    return result


def without_time(info: dict[str, Any]) -> dict[str, Any]:
    """Check the end time of a summary, and return the summary without it."""
    finished = info.pop("finished")
    assert finished.endswith("+00:00")
    return info


def file_of(site: FlywheelSite, container_id: str, name: str) -> dict[str, Any]:
    """Return the record of a file."""
    files: list[dict[str, Any]] = site.containers[container_id]["files"]
    return next(file for file in files if file["name"] == name)


def given(
    folder: Path, session: Session, port: int, content: bytes, **options: object
) -> tuple[GearFolder, str]:
    """Return a run on a file with a tag and custom information, and its acquisition."""
    site, acquisition = session.site, session.acquisition("T1")
    site.add_file(acquisition, "a.dcm", content)
    file_of(site, acquisition, "a.dcm").update(
        tags=["reviewed"], info={"header": {"dicom": {"PatientName": NAME}}}
    )
    gear = gear_on(folder, site, port, acquisition, "acquisition", **options)
    gear.give("a.dcm", content, parent_id=acquisition)
    return gear, acquisition


def test_an_input_file_is_tagged(tmp_path: Path, session: Session, python_scp: PythonSCP) -> None:
    """It keeps its tags and its custom information, and the log shows none of the latter."""
    gear, acquisition = given(tmp_path, session, python_scp.port, encoded(made(1)))
    result = ended(session.site, gear)
    assert result.exit_code == 0, result.log
    file = file_of(session.site, acquisition, "a.dcm")
    assert file["tags"] == ["dicom-send", "reviewed"]
    assert file["info"]["header"] == {"dicom": {"PatientName": NAME}}
    assert without_time(file["info"]["dicom_send"]) == summary("Complete", 1, 1, python_scp.port)
    assert NAME not in result.log
    assert session.site.containers[acquisition]["tags"] == []


@pytest.mark.parametrize("level", ["session", "acquisition", "subject"])
def test_a_container_is_tagged(
    tmp_path: Path, session: Session, python_scp: PythonSCP, level: str
) -> None:
    """It keeps its tags, and no other container is tagged; the report has the summary."""
    site, acquisition = session.site, session.acquisition("T1")
    ids = {"session": session.session, "acquisition": acquisition, "subject": session.subject}
    site.containers[ids[level]]["tags"] = ["reviewed"]
    site.add_file(acquisition, "a.zip", zip_of(tmp_path / "a.zip", images(1, 2)), file_type="dicom")
    result = ended(site, gear_on(tmp_path, site, python_scp.port, ids[level], level))
    assert result.exit_code == 0, result.log
    tagged = {name for name, record in site.containers.items() if record["tags"]}
    assert tagged == {ids[level]}
    assert site.containers[ids[level]]["tags"] == ["dicom-send", "reviewed"]
    if level != "acquisition":  # The report is on the session, which the engine leaves unchanged.
        (report,) = site.reports
        info = file_of(site, ids[level], report.name)["info"]
        expected = summary("Complete", 2, 2, python_scp.port)
        assert without_time(info["dicom_send"]) == expected


def test_a_read_only_key_is_sufficient(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """Reports that the engine attaches to the acquisition have the summary."""
    site, acquisition = session.site, session.acquisition("T1")
    site.upload_status = 403
    site.add_file(acquisition, "a.dcm", encoded(made(1)))
    result = ended(site, gear_on(tmp_path, site, python_scp.port, acquisition, "acquisition"))
    assert result.exit_code == 0, result.log
    (report,) = (
        path.name
        for path in result.output
        if "_instances" not in path.name and path.suffix == ".csv"
    )
    info = file_of(site, acquisition, report)["info"]
    assert without_time(info["dicom_send"]) == summary("Complete", 1, 1, python_scp.port)
    assert site.containers[acquisition]["tags"] == ["dicom-send"]


def test_an_incomplete_file_gets_no_tag(tmp_path: Path, session: Session) -> None:
    """The summary of the file shows the number of sent images."""
    content = zip_of(tmp_path / "a.zip", images(1, 2)).read_bytes()
    with PythonSCP(status=[0x0000, 0xA900]) as server:
        gear, acquisition = given(tmp_path, session, server.port, content)
        assert ended(session.site, gear).exit_code == 1
    file = file_of(session.site, acquisition, "a.dcm")
    assert file["tags"] == ["reviewed"]
    expected = summary("Incomplete", 2, 1, server.port)
    assert without_time(file["info"]["dicom_send"]) == expected


def test_an_unreachable_server_leaves_a_summary(tmp_path: Path, session: Session) -> None:
    """A run that ends with an error has a summary, too."""
    port = free_port()
    gear, acquisition = given(tmp_path, session, port, encoded(made(1)), send_retry_time=0)
    assert ended(session.site, gear).exit_code == 1
    file = file_of(session.site, acquisition, "a.dcm")
    assert without_time(file["info"]["dicom_send"])["state"] == "Failed"
    assert file["tags"] == ["reviewed"]


@pytest.mark.parametrize("options", [{"dry_run": True}, {"sent_tag": ""}, {"sent_tag": "at PACS"}])
def test_the_tag_is_optional(
    tmp_path: Path, session: Session, python_scp: PythonSCP, options: dict[str, object]
) -> None:
    """A dry run marks nothing; without a tag there is only the summary."""
    gear, acquisition = given(tmp_path, session, python_scp.port, encoded(made(1)), **options)
    result = ended(session.site, gear)
    assert result.exit_code == 0, result.log
    file = file_of(session.site, acquisition, "a.dcm")
    assert file["tags"] == [*filter(None, [options.get("sent_tag")]), "reviewed"]
    assert ("dicom_send" in file["info"]) is not options.get("dry_run", False)


def test_a_file_of_another_container_is_not_marked(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """The engine changes only files of the job's destination."""
    site, acquisition = session.site, session.acquisition("T1")
    site.add_file(acquisition, "a.dcm", encoded(made(1)))
    gear = gear_on(tmp_path, site, python_scp.port, session.session)
    gear.give("a.dcm", encoded(made(1)), parent_id=acquisition)
    result = ended(site, gear)
    assert (result.exit_code, result.metadata) == (0, {}), result.log
    assert "Cannot mark the file as sent" in result.log


def test_a_tag_that_flywheel_would_reject_is_an_error(tmp_path: Path, session: Session) -> None:
    """A tag has at most 32 characters, all printable."""
    for tag in ("x" * 33, "a\nb"):
        gear = gear_on(tmp_path / json.dumps(tag)[:3], session.site, 1, session.session)
        gear.config["config"]["sent_tag"] = tag
        result = gear.run()
        assert result.exit_code == 1
        assert "sent_tag" in result.log
