"""Other gears at work on the same data: their metadata stays, and a newer version is not marked."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flywheel_gear_toolkit.utils.metadata import Metadata

from tests.support.flywheel_http import Status
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder, GearResult
from tests.support.gear_runs import Session, gear_on
from tests.support.marking import SITES, ended, file_of, key, prepare, qc_of
from tests.support.pacs import SUCCESS, CStore, PythonSCP
from tests.support.sample_files import encoded, made

OTHERS_QC = {"dicom-qc": {"job_info": {"version": "1"}, "slices": {"state": "FAIL"}}}
WRITTEN = {"header": {"dicom": {"Modality": "MR"}}, "qc": OTHERS_QC}
"""What an importer writes while the images are sent."""


def write(record: dict[str, Any]) -> None:
    """Write metadata like another gear."""
    record.update(tags=[*record["tags"], "imported"], info=WRITTEN)


def server(meanwhile: Callable[[], object]) -> PythonSCP:
    """Return a server that calls a function when it gets an image."""

    def status(_: CStore) -> int:
        meanwhile()
        return SUCCESS

    return PythonSCP(status=status)


def given(folder: Path, site: FlywheelSite, acquisition: str, port: int = 1) -> GearFolder:
    """Return a run on a file."""
    record = file_of(site, acquisition, "a.dcm")
    gear = gear_on(folder, site, port, acquisition, "acquisition")
    of_job = {} if site.is_old else dict(record)
    gear.give("a.dcm", encoded(made(1)), parent_id=acquisition, record=of_job)
    return gear


def run(gear: GearFolder, site: FlywheelSite, port: int) -> GearResult:
    """Run the gear with a server."""
    gear.config["config"]["port"] = port
    return ended(site, gear)


@pytest.mark.parametrize("kind", SITES)
def test_metadata_of_another_gear_stays_on_a_file(
    tmp_path: Path, session: Session, kind: str
) -> None:
    """It is written while the images are sent."""
    site, acquisition = session.site, session.acquisition("T1")
    prepare(site, kind)
    site.add_file(acquisition, "a.dcm", encoded(made(1)), tags=["reviewed"])
    gear = given(tmp_path, site, acquisition)
    with server(lambda: write(file_of(site, acquisition, "a.dcm"))) as scp:
        assert run(gear, site, scp.port).exit_code == 0
        mark = key(scp.port)
    file = file_of(site, acquisition, "a.dcm")
    assert sorted(file["tags"]) == ["dicom-send", "imported", "reviewed"]
    assert file["info"].keys() == {"header", "qc", mark}
    assert file["info"]["header"] == WRITTEN["header"]
    assert file["info"]["qc"].keys() == {"dicom-qc", "dicom-send"}
    assert file["info"]["qc"]["dicom-qc"] == OTHERS_QC["dicom-qc"]


@pytest.mark.parametrize("merges", [False, True])
@pytest.mark.parametrize("kind", SITES)
def test_metadata_of_another_gear_stays_on_a_container(
    tmp_path: Path, session: Session, kind: str, merges: bool
) -> None:
    """The engine may replace or merge the values of a container."""
    site = session.site
    prepare(site, kind)
    site.merges_metadata = merges
    site.add_file(session.acquisition("T1"), "a.dcm", encoded(made(1)))
    record = site.containers[session.session]
    with server(lambda: write(record)) as scp:
        result = ended(site, gear_on(tmp_path, site, scp.port, session.session))
        assert result.exit_code == 0, result.log
        mark = record["info"].pop(key(scp.port))
    assert mark["state"] == "Complete"
    assert sorted(record["tags"]) == ["dicom-send", "imported"]
    assert record["info"] == WRITTEN


def replace(site: FlywheelSite, acquisition: str) -> None:
    """Replace the file by a newer version."""
    site.replace_file(file_of(site, acquisition, "a.dcm")["file_id"], encoded(made(2)))


def delete_and_add(site: FlywheelSite, acquisition: str) -> None:
    """Delete the file, and upload another one of the same name: its first version."""
    site.containers[acquisition]["files"].clear()
    site.add_file(acquisition, "a.dcm", encoded(made(2)), tags=["reviewed"])


@pytest.mark.parametrize("kind", SITES)
@pytest.mark.parametrize("change", [replace, delete_and_add])
@pytest.mark.parametrize("is_before", [False, True])
def test_a_version_that_was_not_sent_is_not_marked(
    tmp_path: Path,
    session: Session,
    kind: str,
    change: Callable[[FlywheelSite, str], None],
    is_before: bool,
) -> None:
    """A file is replaced during the run, or when the job has its input but has not started."""
    site, acquisition = session.site, session.acquisition("T1")
    prepare(site, kind)
    site.add_file(acquisition, "a.dcm", encoded(made(1)), tags=["reviewed"])
    gear = given(tmp_path, site, acquisition)
    if is_before:
        change(site, acquisition)
    with server(lambda: is_before or change(site, acquisition)) as scp:
        result = run(gear, site, scp.port)
    assert result.exit_code == 0, result.log
    file = file_of(site, acquisition, "a.dcm")
    assert (file["tags"], file["info"], result.metadata) == (["reviewed"], {}, {})
    assert result.log.count("was replaced") == 1
    refused_report = site.is_read_only
    assert result.log.count("WARNING") == 1 + refused_report


def test_the_same_content_in_a_newer_version_is_marked(tmp_path: Path, session: Session) -> None:
    """The hash of the file that was sent decides."""
    site, acquisition = session.site, session.acquisition("T1")
    file_id = site.add_file(acquisition, "a.dcm", encoded(made(1)))
    gear = given(tmp_path, site, acquisition)
    with server(lambda: site.replace_file(file_id, encoded(made(1)))) as scp:
        assert run(gear, site, scp.port).exit_code == 0
    assert file_of(site, acquisition, "a.dcm")["tags"] == ["dicom-send"]


def test_a_failed_read_costs_only_the_mark(tmp_path: Path, session: Session) -> None:
    """The run is successful, with a warning and its reports."""
    site, acquisition = session.site, session.acquisition("T1")
    file_id = site.add_file(acquisition, "a.dcm", encoded(made(1)))
    gear = given(tmp_path, site, acquisition)
    site.fault(f"{file_id}/info", Status(404))
    with server(bool) as scp:
        result = run(gear, site, scp.port)
    assert (result.exit_code, result.metadata) == (0, {}), result.log
    assert len(site.reports) == 1
    assert result.log.count("WARNING") == result.log.count("Cannot mark") == 1
    assert "info" in result.log  # The request is named.


@pytest.mark.parametrize("kind", SITES)
def test_the_engine_changes_only_the_destination(
    tmp_path: Path, session: Session, kind: str
) -> None:
    """A file of another container is marked by a key that may write, but not by the engine."""
    site, acquisition = session.site, session.acquisition("T1")
    prepare(site, kind)
    site.add_file(acquisition, "a.dcm", encoded(made(1)))
    gear = given(tmp_path, site, acquisition)
    gear.config["destination"] = {"type": "session", "id": session.session}
    with server(bool) as scp:
        result = run(gear, site, scp.port)
    assert (result.exit_code, result.metadata) == (0, {}), result.log
    file = file_of(site, acquisition, "a.dcm")
    assert ("qc" in file["info"]) is not site.is_read_only
    assert file["tags"] == ["dicom-send"] * (not site.is_read_only and not site.is_old)
    assert ("Cannot mark a.dcm" in result.log) is (file["tags"] == [])


@pytest.mark.parametrize("kind", SITES[:2])
def test_the_qc_result_has_the_form_of_the_toolkit(
    tmp_path: Path, session: Session, kind: str
) -> None:
    """It equals what `add_qc_result` of flywheel-gear-toolkit writes."""
    site, acquisition = session.site, session.acquisition("T1")
    prepare(site, kind)
    site.add_file(acquisition, "a.dcm", encoded(made(1)))
    gear = given(tmp_path, site, acquisition)
    with server(bool) as scp:
        assert run(gear, site, scp.port).exit_code == 0
    info = file_of(site, acquisition, "a.dcm")["info"]
    assert qc_of(info) == "PASS"
    context = SimpleNamespace(
        config_json=gear.config,
        config=gear.config["config"],
        manifest=json.loads((gear.folder / "manifest.json").read_text()),
    )
    theirs, result = Metadata(context), info["qc"]["dicom-send"]["images_sent"]
    file = gear.config["inputs"]["file"]
    theirs.add_qc_result(file, "images_sent", result["state"], data=result["data"])
    (written,) = theirs._metadata["acquisition"]["files"]
    assert info["qc"] == written["info"]["qc"]
