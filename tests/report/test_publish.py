"""The reports of a run are written, delivered to their containers, and never lost."""

import csv
import json
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from fw_gear_dicom_send.config import SendConfig
from fw_gear_dicom_send.delivery.results import Planned, Transfer
from fw_gear_dicom_send.delivery.sender import Sender, SenderFacts
from fw_gear_dicom_send.errors import SiteError
from fw_gear_dicom_send.models import (
    Container,
    FileEntry,
    FileReport,
    ImageRecord,
    Selection,
)
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.page_sections import contexts_section
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.report import schemas
from fw_gear_dicom_send.report.publish import Reports
from fw_gear_dicom_send.report_names import TIME_FORMAT, Report, report_name
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.configs import gear_config, send_config
from tests.support.gear import manifest
from tests.support.html_reading import Element, parsed
from tests.support.results import remark, sent

SESSION = Container("session", "s")
ENTRY = FileEntry(SESSION, "a.zip", "lab/a.zip")
ROWS = (FileReport(ENTRY, 3, 1, (remark("no", 2, failure=True),)),)
CONTEXTS = {Context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"): True}
PEER = PeerAE("pacs.example.org", 104, "PACS", "flywheel")
CONFIG = send_config(
    PEER,
    send_retry_time=300.0,
    associations=4,
)
SUFFIXES = [".csv", "_instances.csv", ".html", "_summary.json"]
NAMES = ["report", "per-image report", "page", "summary"]
"""Names of the reports in the log."""


class Destination:
    """Destination that accepts some reports and rejects the next, or leaves all in place."""

    def __init__(self, takes: int = 9, *, is_elsewhere: bool = True) -> None:
        self.delivered: list[tuple[Container, str]] = []
        self._takes = takes
        self._is_elsewhere = is_elsewhere

    def rows(self, reports: Sequence[FileReport]) -> Sequence[FileReport]:
        """Accept all."""
        return reports

    def deliver(self, parent: Container, path: Path) -> bool:
        """Record the report's name, and check that it exists."""
        if len(self.delivered) == self._takes:
            raise SiteError("403 Forbidden")
        assert path.stat().st_size
        self.delivered.append((parent, path.name))
        return self._is_elsewhere


def publish(
    output: Path,
    destination: Destination,
    config: SendConfig = CONFIG,
) -> bool:
    """Complete a run of one image; return whether all reports are written."""
    selection = Selection((ENTRY,), SESSION, "visit 1")
    reports = Reports(config, config.server.key, selection, output)
    for observer in reports.observers:
        result = Planned(Transfer()) if config.dry_run else sent()
        observer.image(ImageRecord(ENTRY, "1.dcm", result, size=2_000_000))
    sections = (contexts_section(CONTEXTS),)
    known = SimpleNamespace(facts=SenderFacts, sections=lambda: sections)
    account = reports.account(cast(Sender, known), ROWS, ROWS, None, None)
    return reports.publish(destination, account).is_reported


def suffixes(names: Sequence[str], head: str = "dicom-send_report-visit 1_") -> list[str]:
    """Return the suffixes of names with the same start and a time."""
    stem = len(head) + len("2024-03-05_07:08:09")
    assert all(name.startswith(head) for name in names)
    assert len({name[:stem] for name in names}) <= 1
    return [name[stem:] for name in names]


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def page_in(folder: Path) -> Element:
    (page,) = folder.glob("*.html")
    return parsed(page.read_text())


def shown_config(folder: Path) -> dict[str, str]:
    table = page_in(folder).all("table")[-2]
    rows = [row.texts("td") for row in table.one("tbody").all("tr")]
    return dict(rows)


def test_reports_are_delivered_to_the_session(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The per-file report is delivered first, and none stays behind."""
    caplog.set_level(logging.INFO)
    destination = Destination()
    publish(tmp_path, destination)
    assert [parent for parent, _ in destination.delivered] == [SESSION] * 4
    names = [name for _, name in destination.delivered]
    assert suffixes(names) == SUFFIXES
    assert left_in(tmp_path) == []
    warning, number, *attached, closing, table = caplog.records
    assert (warning.levelname, warning.message) == ("WARNING", "a.zip: 2 images not sent: no")
    assert number.message == "1 of 3 images sent"
    assert closing.levelname == "ERROR"
    assert closing.message.startswith("2 of 3 images not sent to AE ")
    assert [one.message for one in attached] == [
        f"The {name} is attached to the session: {file}"
        for name, file in zip(NAMES, names, strict=True)
    ]
    assert table.message.splitlines()[0] == "Report"
    assert table.message.splitlines()[2].split()[-3:] == ["3", "1", "Incomplete"]


def test_reports_may_stay_in_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A destination may leave them in the output folder; the log names it once."""
    caplog.set_level(logging.INFO)
    publish(tmp_path, Destination(is_elsewhere=False))
    names = left_in(tmp_path)
    assert sorted(suffixes(names)) == sorted(SUFFIXES)
    assert [line for line in caplog.messages if str(tmp_path) in line] == [
        f"The reports are in {tmp_path}"
    ]


@pytest.mark.parametrize("takes", [0, 1, 2, 3])
def test_a_rejected_report_stays_with_later_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, takes: int
) -> None:
    """The log has the reason once, and still has the table."""
    publish(tmp_path, Destination(takes))
    assert sorted(suffixes(left_in(tmp_path))) == sorted(SUFFIXES[takes:])
    refused = [line for line in caplog.messages if "403 Forbidden" in line]
    assert len(refused) == 1
    assert refused[0].startswith(f"Flywheel did not accept the {NAMES[takes]}: ")


@pytest.mark.parametrize(
    ("chosen", "written"),
    [
        ([Report.FILES], [".csv"]),
        ([Report.IMAGES], ["_instances.csv"]),
        ([Report.PAGE, Report.SUMMARY], [".html", "_summary.json"]),
        ([], []),
    ],
)
def test_only_chosen_reports_are_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, chosen: list[Report], written: list[str]
) -> None:
    """They do not need each other; the table is always in the log."""
    caplog.set_level(logging.INFO)
    destination = Destination()
    publish(tmp_path, destination, replace(CONFIG, report_files=tuple(chosen)))
    assert suffixes([name for _, name in destination.delivered]) == written
    assert left_in(tmp_path) == []
    assert caplog.messages[-1].splitlines()[0] == "Report"


def test_an_unwritable_report_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The run ends normally; the rows and the table are in the log."""
    caplog.set_level(logging.INFO)
    destination = Destination()
    assert not publish(tmp_path / "missing", destination)
    assert destination.delivered == []
    columns = ",".join(schemas.names(schemas.FILES))
    rows = f"Rows of the report:\n{columns}\n,lab/a.zip,a.zip,3,1,Incomplete"
    assert caplog.messages.count(rows) == 1
    reason = "No such file or directory"
    for what in ("the report", "the page", "the summary"):
        logged = f"Cannot write {what} to the output folder: {reason}"
        assert caplog.messages.count(logged) == 1
    assert caplog.messages.count(f"{wording.CANNOT_WRITE_IMAGES}: {reason}") == 1
    assert caplog.messages[-1].splitlines()[0] == "Report"


def test_a_run_without_its_per_image_report_is_not_reported(tmp_path: Path) -> None:
    """The other reports are written and delivered."""
    destination = Destination()
    for seconds in range(60):
        time = f"{datetime.now() + timedelta(seconds=seconds):{TIME_FORMAT}}"
        report = tmp_path / report_name(Report.IMAGES, "visit 1", time)
        report.symlink_to(tmp_path / "missing" / "file")
    assert not publish(tmp_path, destination)
    start = len(f"dicom-send_report-visit 1_{time}")
    assert [name[start:] for _, name in destination.delivered] == [
        ".csv",
        ".html",
        "_summary.json",
    ]


class Unwritable(str):
    """Object without a text form."""

    __slots__ = ()

    def __str__(self) -> str:
        """Fail."""
        raise ValueError("Doe")


def test_a_page_that_fails_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The other reports are delivered; the log has the place of the error but no data."""
    destination = Destination()
    assert not publish(
        tmp_path, destination, replace(CONFIG, tls_security_profile=Unwritable(), tls_enabled=True)
    )
    assert suffixes([name for _, name in destination.delivered]) == [*SUFFIXES[:2], "_summary.json"]
    assert f"The page about the run {wording.CONTINUES_WITHOUT} (ValueError" in caplog.text
    assert "Doe" not in caplog.text


def test_a_dry_run_is_marked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The mark is in the names, in the title of the page, in each row and in the log."""
    caplog.set_level(logging.INFO)
    publish(tmp_path, Destination(is_elsewhere=False), replace(CONFIG, dry_run=True))
    names = left_in(tmp_path)
    assert sorted(suffixes(names, "dicom-send_dry-run-visit 1_")) == sorted(SUFFIXES)
    title = page_in(tmp_path).one("h1").text
    assert title == "DICOM send: visit 1 (dry run: nothing was sent)"
    (images,) = tmp_path.glob("*_instances.csv")
    with images.open(newline="") as file:
        assert [row["Outcome"] for row in csv.DictReader(file)] == ["would be sent"]
    assert any(line.startswith("The reports of a dry run are in ") for line in caplog.messages)
    assert caplog.messages[-1].splitlines()[0] == "Report of a dry run"
    assert shown_config(tmp_path)["dry_run"] == "true"


def test_the_page_shows_the_configuration(tmp_path: Path) -> None:
    """Each option with an effect has its value as users write it; no key is shown."""
    config = replace(CONFIG, include=("a*", "b"), key=Path("k.pem"), bandwidth_limit=2.5)
    publish(tmp_path, Destination(is_elsewhere=False), config)
    shown = shown_config(tmp_path)
    expected = {
        "destination": "pacs.example.org",
        "port": "104",
        "stamp": "false",
        "include": "a*, b",
        "exclude": "empty",
        "conversion": "when needed",
        "bandwidth_limit": "2.5 MB/s",
        "send_retry_time": "300 s",
        "associations": "4",
        "report_files": "files, images, page, summary",
        "verify": "none",
    }
    assert expected.items() <= shown.items()
    assert not {"key", "group", "tls_security_profile", "downloads"} & shown.keys()


def test_the_page_says_that_there_is_no_limit(tmp_path: Path) -> None:
    """0 means no limit, and 0 MB/s would be one."""
    publish(tmp_path, Destination(is_elsewhere=False))
    shown = shown_config(tmp_path)
    assert shown["bandwidth_limit"] == shown["max_images_per_association"] == "no limit"


def test_the_page_shows_the_private_element_and_tls(tmp_path: Path) -> None:
    """The group is hexadecimal; only options with an effect are shown."""
    config = replace(CONFIG, stamp=True, identifier="Creator", tls_enabled=True)
    publish(tmp_path, Destination(is_elsewhere=False), config)
    shown = shown_config(tmp_path)
    assert [shown[name] for name in ("group", "identifier", "tag_value")] == [
        "0x0021",
        "Creator",
        "DICOM send",
    ]
    assert {name: value for name, value in shown.items() if name.startswith("tls_")} == {
        "tls_enabled": "true",
        "tls_security_profile": "BCP 195",
        "tls_require_peer_cert": "true",
        "tls_check_hostname": "false",
    }


def test_the_summary_has_the_options(tmp_path: Path) -> None:
    """Their values have the types of the manifest."""
    config = replace(CONFIG, include=("a*", "b"), key=Path("k.pem"), bandwidth_limit=2.5)
    publish(tmp_path, Destination(is_elsewhere=False), config)
    (path,) = tmp_path.glob("*_summary.json")
    options = json.loads(path.read_text())["options"]
    expected = {"include": ["a*", "b"], "bandwidth_limit": 2.5, "conversion": "when needed"}
    assert expected | {"stamp": False, "port": 104} == {
        name: options[name] for name in (*expected, "stamp", "port")
    }
    assert not {"key", "group", "downloads"} & options.keys()


def test_the_page_of_the_gear_shows_its_options(tmp_path: Path) -> None:
    """These are the options of the manifest, without those of DICOMweb."""
    config = gear_config(PEER, container=SESSION, sent_tag="", tls_enabled=True)
    publish(tmp_path, Destination(is_elsewhere=False), config)
    shown = shown_config(tmp_path)
    web = ("on_conflict", "images_per_request")
    assert list(shown) == [name for name in manifest()["config"] if name not in web]
    assert (shown["sent_tag"], shown["file_download_retry_time"]) == ("empty", "60 s")


def test_the_page_shows_counts_and_versions(tmp_path: Path) -> None:
    """It has bytes, contexts and software versions."""
    publish(tmp_path, Destination(is_elsewhere=False))
    page = page_in(tmp_path)
    assert page.one("h1").text == "DICOM send: visit 1"
    assert "2.0 MB" in page.texts("dd")
    contexts, _, versions = page.all("table")[-3:]
    names = ["SOP class", "Implicit VR Little Endian", "CT Image Storage"]
    assert (contexts.texts("th"), contexts.texts("td")) == (names, ["yes"])
    software = [row.texts("td") for row in versions.one("tbody").all("tr")]
    assert [name for name, _ in software] == [
        "dicom-send",
        "Python",
        "pynetdicom",
        "pydicom",
        "flywheel-gear-toolkit",
        "fw-core-client",
    ]
    assert all(number[0].isdigit() for _, number in software)
