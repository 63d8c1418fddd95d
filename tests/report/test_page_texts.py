"""Texts on the page of a run, without the charts."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given

from fw_gear_dicom_send.account import Account, ThroughputCounts, VerificationSummary
from fw_gear_dicom_send.config import server_name
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, Origin, Remark
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.page_sections import contexts_section
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.reasons import Kind, Program, Reason
from tests.support import pages, wording
from tests.support.drawn_datasets import bounded
from tests.support.html_reading import Element, parsed
from tests.support.html_texts import EVIL, TEXTS
from tests.support.pages import options, render

NOTHING = ThroughputCounts()
PEER = PeerAE("pacs.example.org", 104, "PACS", "flywheel")
HEAD = 4
"""Number of facts before the numbers."""
STARTED = datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))


def facts(title: str = "T", **changes: Any) -> Account:
    known = Account(
        title=title,
        started=STARTED,
        server=server_name(PEER, ""),
        sections=[contexts_section({})],
        options=options(port=104),
        versions=[("x", "1")],
    )
    return replace(known, **changes)


def rows_of(page: Element, name: str) -> list[list[str]]:
    """Return the cells of a table."""
    (table,) = (one for one in page.all("table") if one.attributes.get("id") == name)
    return [row.texts("td") for row in table.one("tbody").all("tr")]


def numbers_of(page: Element) -> dict[str, str]:
    """Return the facts of the head and the numbers below it by name."""
    return dict(zip(page.texts("dt"), page.texts("dd"), strict=True))


def page_of(*reports: FileReport) -> Element:
    return parsed(render(reports, facts()))


def report(name: str, images: int, sent: int, *remarks: Remark) -> FileReport:
    return FileReport(FileEntry(Container("session", "s"), name, name), images, sent, remarks)


def test_rows_have_the_colour_of_their_status() -> None:
    """The bar of each row and the outcome have it, too; failed files come first."""
    page = page_of(report("a", 2, 2), report("b", 2, 1), report("c", 2, 0))
    rows = [one for one in page.all("tr") if "class" in one.attributes]
    states = ["bad", "part", "good"]
    assert [one.attributes["class"] for one in rows] == states
    assert [one.all("rect")[1].attributes["class"] for one in rows] == states
    assert rows_of(page, "files") == [
        ["c", "0", "2", "", "Failed"],
        ["b", "1", "2", "", "Incomplete"],
        ["a", "2", "2", "", "Complete"],
    ]
    assert page.all("p")[0].attributes["class"] == "outcome bad"
    good = page_of(report("a", 2, 2))
    assert good.all("p")[0].attributes["class"] == "outcome good"


def test_files_are_sorted_naturally() -> None:
    """Series 2 comes before series 10, in any case."""
    names = ["Series 10", "series 2", "Series 1", "b"]
    page = page_of(*(report(name, 1, 1) for name in names))
    assert [row[0] for row in rows_of(page, "files")] == [
        "b",
        "Series 1",
        "series 2",
        "Series 10",
    ]


def test_many_complete_files_are_collapsed() -> None:
    """Failed files are not; a long list is truncated and names the complete report."""
    bad, good = [report(f"x{n}", 1, 0) for n in range(3)], [report(f"y{n}", 1, 1) for n in range(9)]
    page = page_of(*bad, *good * 3)
    assert "27 complete files" in page.texts("summary")
    assert len(rows_of(page, "files")) == 3
    long = parsed(render(good * 500, facts(reports=["report.csv"])))
    assert len(rows_of(long, "complete-files")) == 1000
    assert "3,500 more files not shown. The full list is in report.csv." in long.texts("p")


@pytest.mark.parametrize(
    ("verification", "outcome", "number", "line"),
    [
        (
            VerificationSummary("C-FIND", 176, 176, 0),
            wording.ALL_SENT,
            "176 of 176",
            "176 of 176 images verified by C-FIND.",
        ),
        (
            VerificationSummary("C-FIND", 176, 0, 0, ((Reason(Kind.NOT_OFFERED, "C-FIND"), 176),)),
            f"{wording.ALL_SENT}, {wording.BUT_NOT_ALL_VERIFIED}",
            "0 of 176",
            f"0 of 176 images verified: {wording.NOT_SUPPORTED} C-FIND. " + Kind.NOT_OFFERED.advice,
        ),
    ],
    ids=["all", "none"],
)
def test_verification_has_a_number_and_a_line(
    verification: VerificationSummary, outcome: str, number: str, line: str
) -> None:
    """An unverified run is not successful, and the page has advice."""
    verified = replace(report("a", 176, 176), verified=verification.verified)
    page = parsed(render([verified], facts(verification=verification)))
    assert numbers_of(page)["Images verified"] == number
    assert rows_of(page, "files")[0][2] == f"{verification.verified}"
    message, *lines = page.texts("p")
    assert message == outcome
    assert line in lines
    assert (f"{wording.NOTHING_WRONG}." in lines) == verification.is_whole


def test_existing_images_are_distinguished_from_sent_ones() -> None:
    """Only sent images count for the rate."""
    known = [replace(report("a", 300, 0), already_stored=300), report("b", 4, 2)]
    throughput = replace(
        NOTHING, images=(2,), bytes=(3_000_000,), seconds=8.0, rated_images=2, rated_seconds=4.0
    )
    page = parsed(render(known, facts(throughput=throughput)))
    assert dict(list(numbers_of(page).items())[HEAD:]) == {
        "Images on the server": "302 of 304",
        "Already there": "300",
        "Images sent": "2",
        "Files complete": "1 of 2",
        "Data sent": "3.0 MB",
        "Time": "8.0 s",
        "Rate": "0.5 images/s",
    }
    assert page.texts("p")[0] == wording.NOT_ALL_ON_SERVER
    assert rows_of(page, "files") == [
        ["b", "2", "0", "4", "", "Incomplete"],
        ["a", "300", "300", "300", "", "Complete"],
    ]
    assert "Images on the server" in page.texts("th")


def test_a_dry_run_shows_planned_images() -> None:
    """Each file has the colour of its expected result."""
    known = [
        replace(report("a", 2, 0), planned=2),
        replace(report("b", 2, 0), planned=1),
        replace(report("c", 2, 0), planned=0),
        replace(report("d", 3, 0), planned=1, already_stored=2),
    ]
    page = parsed(render(known, facts(throughput=replace(NOTHING, seconds=4.0))))
    assert dict(list(numbers_of(page).items())[HEAD:]) == {
        "Would be sent": "4 of 9",
        "Already there": "2",
        "Files that would be complete": "2 of 4",
        "Data sent": "0.0 MB",
        "Time": "4.0 s",
        "Rate": "-",
    }
    assert rows_of(page, "files") == [
        ["c", "0", "0", "2", "", "Dry run"],
        ["b", "1", "0", "2", "", "Dry run"],
        ["a", "2", "0", "2", "", "Dry run"],
        ["d", "1", "2", "3", "", "Dry run"],
    ]
    assert "Would be sent" in page.texts("th")
    assert "Images sent" not in page.text


def test_failures_are_counted_over_all_files() -> None:
    """Images and files with a reason are added up; remarks without failure are left out."""
    refused, lost = Reason(Kind.REFUSED, "0xC000"), Reason(Kind.NOT_STORED)
    page = page_of(
        report("a", 9, 2, Remark((lost,), 1, failure=True)),
        report("b", 9, 2, Remark((refused,), 3, failure=True), Remark((lost,), 1, failure=True)),
        report("c", 9, 2, Remark((refused,), 4, failure=True), Remark((lost,), 9, failure=False)),
    )
    failures = page.all("table")[0]
    assert failures.texts("th") == ["Reason", "Images", "Files", "What to do"]
    assert [line.texts("td") for line in failures.one("tbody").all("tr")] == [
        [refused.text, "7", "2", refused.kind.advice],
        [lost.text, "2", "2", lost.kind.advice],
    ]


def test_a_cause_lists_its_first_images_and_its_other_texts() -> None:
    """It lists at most twenty images, then the name of the complete report."""
    page = parsed(pages.run_page())
    refused, not_accepted, damaged = page.all("tbody")[0].all("tr")
    assert refused.texts("summary") == ["First 20 of 21,000 affected images"]
    images = refused.texts("li")
    uid = f"1.2.826.0.1.3680043.8.498.{1:040}"
    assert (len(images), images[1]) == (20, f"{pages.ENTRY.path}, member 1, {uid}")
    assert refused.texts("p")[-1].endswith("_instances.csv.")
    assert not_accepted.texts("summary") == ["10 similar messages"]
    assert len(not_accepted.texts("li")) == 10
    assert not_accepted.texts("td")[1:3] == ["22", "1"]
    assert damaged.texts("summary") == ["1 affected file"]
    assert damaged.texts("li")[0].endswith("files/damaged.zip")


def test_warnings_and_changes_have_a_section() -> None:
    """Coerced, converted and replaced images are not failures, and the page names them."""
    page = parsed(pages.run_page())
    assert wording.WARNINGS_AND_CHANGES in page.texts("h2")
    rows = page.all("tbody")[1].all("tr")
    assert [row.texts("p")[0] for row in rows] == [
        f"Converted: {wording.ACCEPTED} MR only as Explicit VR",
        "Stored with warning: status 0xB000 Coercion of Data Elements",
        f"File replaced: {Kind.REPLACED.template}",
    ]
    assert wording.WARNINGS_AND_CHANGES not in page_of(report("a", 1, 1)).texts("h2")


def test_modalities_have_their_series_and_images() -> None:
    """Numbers have commas."""
    page = parsed(pages.run_page())
    assert rows_of(page, "modalities")[0] == ["CT", "12", "1,234,567", "9.0 MB"]


def test_contexts_are_a_matrix() -> None:
    """Rows are SOP classes, columns are transfer syntaxes; unproposed pairs are empty."""
    ct, implicit, rle = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"
    contexts = {
        Context(ct, implicit): True,
        Context(ct, rle): False,
        Context("1.2.3", implicit): False,
    }
    page = parsed(render([], facts(sections=[contexts_section(contexts)])))
    (matrix,) = (one for one in page.all("table") if one.attributes.get("class") == "matrix")
    assert [row.texts("th") + row.texts("td") for row in matrix.all("tr")] == [
        ["SOP class", "Implicit VR Little Endian", "RLE Lossless"],
        ["CT Image Storage", "yes", "no"],
        ["1.2.3", "no", ""],
    ]
    assert "1 of 3 accepted" in page.texts("summary")


def test_a_page_without_files_says_so_in_each_part() -> None:
    """It has the head and says that nothing was sent, and not that nothing went wrong."""
    page = parsed(render([], facts("Title")))
    assert page.texts("h2") == [
        "What went wrong",
        "Files",
        "Images per second",
        "C-STORE times",
        "Presentation contexts",
        "Configuration",
        "Versions",
    ]
    assert page.texts("p") == [
        wording.NOT_ALL_SENT,
        f"{wording.NO_IMAGE_SENT}.",
        f"{wording.NO_IMAGE_SENT}.",
        "No presentation context was proposed.",
        "Include these details in support requests.",
    ]
    assert rows_of(page, "files") == []
    assert numbers_of(page) == {
        "Server": "AE PACS at pacs.example.org, port 104, no TLS",
        "Calling AE": "flywheel",
        "Started": "2024-01-02 03:04:05 UTC+05:30",
        "Ended": "2024-01-02 03:04:05 UTC+05:30, 0.0 s",
        "Images sent": "0 of 0",
        "Files complete": "0 of 0",
        "Data sent": "0.0 MB",
        "Time": "0.0 s",
        "Rate": "-",
    }


def test_the_head_shows_the_source_of_the_images() -> None:
    """It has the session and its link, the job, TLS and the end time."""
    url = "https://fw.example.org/#/projects/p/sessions/s"
    known = facts(
        origin=Origin(Program.GEAR, "lab/Study/S1/V1", url, "65f0"),
        server=server_name(PEER, "BCP 195"),
        throughput=replace(NOTHING, seconds=3725.0),
    )
    page = parsed(render([], known))
    numbers = numbers_of(page)
    assert numbers["Server"] == "AE PACS at pacs.example.org, port 104, TLS (BCP 195)"
    assert numbers["Source"] == "lab/Study/S1/V1"
    assert page.all("a")[0].attributes["href"] == url
    assert numbers["Ended"] == "2024-01-02 04:06:10 UTC+05:30, 1 h 2 min"
    assert numbers["Job"] == "65f0"
    assert page.all("table")[-1].texts("td") == ["Job", "65f0", "Session", url, "x", "1"]


def test_the_page_of_the_command_has_no_gear_terms() -> None:
    """Advice and headings are those of the command."""
    lost = Remark((Reason(Kind.GIVEN_UP, "300 s"),), 1, failure=True)
    known = facts(origin=Origin(Program.COMMAND, "/data/study"))
    page = parsed(render([report("/data/study/a.zip", 2, 1, lost)], known))
    text = page.one("main").text
    assert "Increase --send-retry-time if it is often unavailable" in text
    assert numbers_of(page)["Paths complete"] == "0 of 1"
    for word in ("gear", "Flywheel", "Files", "FW Path", "Acquisition ID", "Upload", "job"):
        assert word not in text


@bounded
@given(TEXTS, TEXTS)
@example(EVIL, EVIL)
def test_titles_and_paths_are_texts(title: str, path: str) -> None:
    """Labels and names come from users, and are shown unchanged."""
    page = parsed(render([report(path, 1, 1)], facts(title)))
    assert page.one("h1").text == title
    assert rows_of(page, "files")[0][0] == path
    assert page.all("script") == []
