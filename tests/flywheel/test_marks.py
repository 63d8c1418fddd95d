"""Marks and the metadata that a site may return."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fw_gear_dicom_send.account import Account
from fw_gear_dicom_send.config import GearConfig
from fw_gear_dicom_send.errors import SiteError
from fw_gear_dicom_send.flywheel.marks import AttachedReport, Marks
from fw_gear_dicom_send.flywheel.site import Site
from fw_gear_dicom_send.mark_key import mark_key
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, InputFile
from fw_gear_dicom_send.values import replace
from tests.support.flywheel_site import FlywheelSite
from tests.support.site_clients import add_session, client_site, gear_config

KEY = mark_key("localhost", "104", "CALLED")
JOB_INFO = {"version": "1", "job_id": "j", "inputs": {}, "config": {}}
STARTED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class Collected:
    """Metadata for the engine."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {}

    def update_container(self, container_type: str, /, **values: Any) -> None:
        """Keep the values."""
        self.values.setdefault(container_type, {}).update(values)


def account(config: GearConfig, sent: int = 2) -> Account:
    """Return the account of a run with two images."""
    entry = FileEntry(config.container, "a.dcm", "a.dcm")
    return Account(server=config.server, rows=(FileReport(entry, 2, sent),))


def marked(
    site: FlywheelSite,
    container: Container,
    *,
    sent: int = 2,
    report: AttachedReport | None = None,
    file: InputFile | None = None,
    **options: object,
) -> dict[str, dict[str, Any]]:
    """Mark a container or a file; return what is left to the engine."""
    config = replace(gear_config(container, file), **options)
    collected = Collected()
    marks = Marks(client_site(site), collected, config, account(config, sent), STARTED)
    marks.write(JOB_INFO, report)
    return collected.values


@pytest.fixture
def session(site: FlywheelSite) -> Container:
    return Container("session", add_session(site))


@pytest.fixture
def file(site: FlywheelSite, session: Container, tmp_path: Path) -> InputFile:
    """An input file of an old job, which has no version."""
    path = tmp_path / "a.dcm"
    path.write_bytes(b"image")
    site.add_file(session.id, "a.dcm", b"image")
    return InputFile(path, "a.dcm", session)


def info_of(site: FlywheelSite, session: Container) -> Mapping[str, Any]:
    """Return the custom information of the session's first file."""
    info: dict[str, Any] = site.containers[session.id]["files"][0]["info"]
    return info


def test_the_start_is_rounded_down(site: FlywheelSite, session: Container) -> None:
    """A file that is added in the same second is newer than the mark."""
    assert marked(site, session) == {}
    mark = site.containers[session.id]["info"][KEY]
    assert mark["started"] == mark["complete"]["started"] == "2026-01-02T03:04:05.678+00:00"


@pytest.mark.parametrize("before", ["text", None, [], {}, {"complete": None}])
def test_an_odd_mark_is_replaced(site: FlywheelSite, session: Container, before: object) -> None:
    """It has no last success then."""
    site.containers[session.id]["info"] = {KEY: before, "other": 1}
    assert marked(site, session, sent=1) == {}
    info = site.containers[session.id]["info"]
    assert (info[KEY]["state"], info["other"]) == ("Incomplete", 1)
    assert "complete" not in info[KEY]


def test_the_last_success_stays_after_several_failures(
    site: FlywheelSite, session: Container
) -> None:
    """It is copied from mark to mark."""
    marked(site, session)
    success = site.containers[session.id]["info"][KEY]["complete"]
    for sent in (1, 0):
        marked(site, session, sent=sent)
        assert site.containers[session.id]["info"][KEY]["complete"] == success


def test_a_success_replaces_the_last_one(site: FlywheelSite, session: Container) -> None:
    """The mark names the job of the newest success."""
    for job in ("first", "second"):
        marked(site, session, job_id=job)
    assert site.containers[session.id]["info"][KEY]["complete"]["job"] == "second"


@pytest.mark.parametrize("qc", ["text", [1], 7])
def test_odd_qc_results_stay(
    site: FlywheelSite, session: Container, file: InputFile, qc: object
) -> None:
    """The summary is written nevertheless."""
    site.containers[session.id]["files"][0]["info"] = {"qc": qc}
    assert marked(site, session, file=file) == {}
    assert info_of(site, session)["qc"] == qc
    assert KEY in info_of(site, session)


@pytest.mark.parametrize("qc", [None, {}, {"dicom-send": "text"}, {"dicom-send": {"old": {}}}])
def test_an_earlier_qc_result_of_the_gear_is_replaced(
    site: FlywheelSite, session: Container, file: InputFile, qc: object
) -> None:
    """The results of an earlier job are removed, as by the toolkit."""
    site.containers[session.id]["files"][0]["info"] = {"qc": qc}
    assert marked(site, session, file=file, sent=1) == {}
    result = {
        "state": "FAIL",
        "data": info_of(site, session)["qc"]["dicom-send"]["images_sent"]["data"],
    }
    assert info_of(site, session)["qc"] == {
        "dicom-send": {"job_info": JOB_INFO, "images_sent": result}
    }
    assert result["data"].startswith("1 of 2 images")


@pytest.mark.parametrize(
    ("field", "value"),
    [("info", "text"), ("info", 7), ("info", [[]]), ("tags", 7), ("tags", [[]]), ("tags", [{}])],
)
def test_an_odd_record_is_not_marked(
    site: FlywheelSite,
    session: Container,
    field: str,
    value: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Writing it back could destroy it."""
    site.containers[session.id][field] = value
    assert marked(site, session) == {}
    assert "unexpected response" in caplog.text
    assert not [one for one in site.requests if one.method != "GET"]


@pytest.mark.parametrize("field", ["info", "tags"])
def test_missing_metadata_are_empty(site: FlywheelSite, session: Container, field: str) -> None:
    """Records may have null, or lack the field."""
    site.is_read_only = True
    site.containers[session.id][field] = None
    left = marked(site, session)["session"]
    assert (left["info"].keys(), left["tags"]) == ({KEY}, ["dicom-send"])


def test_a_present_tag_is_not_added(site: FlywheelSite, session: Container) -> None:
    """Only the summary is written."""
    site.containers[session.id]["tags"] = ["dicom-send", "other"]
    assert marked(site, session) == {}
    assert [one.method for one in site.requests] == ["GET", "PATCH"]
    site.is_read_only = True
    assert marked(site, session)["session"].keys() == {"info"}


def test_a_tag_that_another_job_adds_first_is_fine(site: FlywheelSite, session: Container) -> None:
    """The site then answers 409."""
    client_site(site).add_tag("dicom-send", session)
    client_site(site).add_tag("dicom-send", session)
    assert site.containers[session.id]["tags"] == ["dicom-send"]


def test_the_engine_writes_the_tag_that_the_site_refuses(
    site: FlywheelSite, session: Container
) -> None:
    """The summary, which it accepted, is not written twice."""
    site.containers[session.id]["tags"] = ["other"]
    tag = "x" * 33  # longer than sites accept
    left = marked(site, session, sent_tag=tag)
    assert left == {"session": {"tags": ["other", tag]}}
    assert KEY in site.containers[session.id]["info"]


def refuse_after(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
    """Let the site refuse to set information after something else has happened."""

    def refuse(*_: object) -> None:
        meanwhile()
        raise SiteError("PATCH: 503")

    monkeypatch.setattr(Site, "set_info", refuse)


def test_the_engine_keeps_what_others_write_during_the_tries(
    site: FlywheelSite, session: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site may refuse for minutes, and the engine replaces all tags and information."""
    record = site.containers[session.id]
    refuse_after(monkeypatch, lambda: record.update(info={"header": 1}, tags=["imported"]))
    left = marked(site, session)["session"]
    assert left["info"].keys() == {"header", KEY}
    assert left["tags"] == ["dicom-send", "imported"]


def test_a_file_that_is_replaced_during_the_tries_is_not_marked(
    site: FlywheelSite,
    session: Container,
    file: InputFile,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The engine gets nothing either."""
    file_id = site.containers[session.id]["files"][0]["file_id"]
    refuse_after(monkeypatch, lambda: site.replace_file(file_id, b"new"))
    assert marked(site, session, file=file) == {}
    assert info_of(site, session) == {}
    assert caplog.text.count("was replaced") == 1


def test_a_missing_report_is_left_to_the_engine(site: FlywheelSite, session: Container) -> None:
    """The engine attaches it after the run, with its QC result."""
    left = marked(site, session, report=AttachedReport(session, "r.csv", is_there=False))
    (file,) = left["session"]["files"]
    assert (file["name"], file["info"].keys()) == ("r.csv", {"qc"})
    assert not [one for one in site.requests if "/files/" in one.path]


def test_a_report_whose_metadata_cannot_be_read_costs_only_its_qc_result(
    site: FlywheelSite, session: Container, caplog: pytest.LogCaptureFixture
) -> None:
    """The container is marked nevertheless."""
    assert marked(site, session, report=AttachedReport(session, "gone.csv")) == {}
    assert site.containers[session.id]["tags"] == ["dicom-send"]
    assert "404" in caplog.text


def test_an_input_file_that_cannot_be_read_is_not_marked(
    site: FlywheelSite, session: Container, file: InputFile, caplog: pytest.LogCaptureFixture
) -> None:
    """Its content cannot be compared then."""
    file.path.unlink()
    assert marked(site, session, file=file) == {}
    assert info_of(site, session) == {}
    assert "No such file" in caplog.text


@pytest.mark.parametrize("unknown", ["file_id", "version"])
def test_the_hash_decides_without_id_or_version(
    site: FlywheelSite, session: Container, file: InputFile, unknown: str
) -> None:
    """Old sites have neither."""
    record = site.containers[session.id]["files"][0]
    if unknown == "version":
        record["version"] = 0
    of_job = {"file_id": record["file_id"], "version": record["version"]}
    versioned = replace(file, **{**of_job, unknown: type(of_job[unknown])()})
    marked(site, session, file=versioned)
    assert KEY in info_of(site, session)
    file.path.write_bytes(b"other")
    record["info"] = {}
    marked(site, session, file=versioned)
    assert info_of(site, session) == {}
