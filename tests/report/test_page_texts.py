"""Texts on the page of a run, without the charts."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given

from fw_gear_dicom_send.account import Account, Example, ThroughputCounts, VerificationSummary
from fw_gear_dicom_send.config import server_name
from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, Origin, Remark
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.page_sections import contexts_section
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.reasons import Kind, Program, Reason
from fw_gear_dicom_send.report.reason_groups import cause_of
from fw_gear_dicom_send.values import replace
from tests.support import pages, wording
from tests.support.drawn_datasets import bounded
from tests.support.html_reading import Element, parsed
from tests.support.html_texts import EVIL, TEXTS
from tests.support.pages import options, render

NOTHING = ThroughputCounts()
PEER = PeerAE("pacs.example.org", 104, "PACS", "flywheel")
HEAD = 3
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
    assert good.texts("th")[:4] == ["File", "Images sent", "Images found", "Status"]


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
    assert page.texts("p")[0] == f"{outcome}. {line}"
    assert "What went wrong" not in page.texts("h2")
    failed = replace(report("b", 1, 0, Remark((pages.REFUSED,), 1, failure=True)), verified=0)
    page = parsed(render([verified, failed], facts(verification=verification)))
    assert (line in page.texts("p")) == (not verification.is_whole)


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
        "Time": "4.0 s",
    }
    assert rows_of(page, "files") == [
        ["c", "0", "0", "2", ""],
        ["b", "1", "0", "2", ""],
        ["a", "2", "0", "2", ""],
        ["d", "1", "2", "3", ""],
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
    """It lists twenty images below the path of their file, then UIDs to copy."""
    page = parsed(pages.run_page())
    _, refused, not_accepted, similar, _, damaged = page.all("tbody")[0].all("tr")
    assert refused.texts("summary") == [
        "First 20 of 21,000 affected images",
        "First 30 of 21,000 SOP Instance UIDs to copy",
    ]
    images = refused.texts("li")
    uids = [f"1.2.826.0.1.3680043.8.498.{number:040}" for number in range(30)]
    assert refused.texts("p")[0] == pages.ENTRY.path
    assert (len(images), images[1]) == (20, f"member 1, {uids[1]}")
    assert refused.texts("p")[-1].endswith("_instances.csv.")
    assert refused.one("pre").text.split("\n") == uids
    assert similar.texts("summary") == ["10 similar messages"]
    assert len(similar.texts("li")) == 10
    assert not_accepted.texts("td")[1:] == ["22", "1", Kind.NOT_ACCEPTED.advice]
    assert damaged.texts("summary") == ["1 affected file"]
    assert damaged.texts("li") == ["damaged.zip"]


def test_the_common_folder_of_paths_is_shown_once() -> None:
    """It ends with a slash of its system; the path of a single file is shown whole."""
    remark = Remark((Reason(Kind.CORRUPT_ARCHIVE),), 0, failure=True)
    for folder in ("lab/S 1/", "C:\\data\\S 1\\"):
        page = page_of(report(f"{folder}T1.zip", 0, 0, remark), report(f"{folder}T2/b.zip", 1, 1))
        assert numbers_of(page)["Paths are in"] == folder
        assert [row[0] for row in rows_of(page, "files")] == ["T1.zip", "T2/b.zip"]
        assert page.texts("li") == ["T1.zip"]
    page = page_of(report("lab/S 1/T1.zip", 0, 0, remark))
    assert "Paths are in" not in numbers_of(page)
    assert page.texts("li") == ["lab/S 1/T1.zip"]
    refused = Remark((pages.REFUSED,), 1, failure=True)
    both = [report("lab/S 1/a.zip", 1, 1), report("lab/S 1/b.zip", 1, 0, refused)]
    examples = {cause_of(pages.REFUSED): [Example("lab/S 1/b.zip", "", "1.2.3")]}
    origin = Origin(Program.GEAR, "lab/S 1")
    page = parsed(render(both, facts(origin=origin, examples=examples)))
    assert "Paths are in" not in numbers_of(page)
    assert [row[0] for row in rows_of(page, "files")] == ["b.zip", "a.zip"]
    assert page.one("pre").text == "1.2.3"
    assert "b.zip" in page.texts("p")


def test_the_head_names_the_most_frequent_failure() -> None:
    """It has its number, its advice, and the number of further causes."""
    damaged = Remark((Reason(Kind.CORRUPT_ARCHIVE),), 0, failure=True)
    refused = Remark((pages.REFUSED,), 3, failure=True)
    page = page_of(report("a", 5, 2, refused), report("b", 0, 0, damaged))
    text = f"3 images: {pages.REFUSED.text}. {pages.REFUSED.kind.advice} 1 more cause below."
    assert page.texts("p")[0] == f"{wording.NOT_ALL_SENT}. {text}"
    page = page_of(report("a", 1, 1), report("b", 0, 0, damaged))
    text = f"1 file: {Kind.CORRUPT_ARCHIVE.template}. {Kind.CORRUPT_ARCHIVE.advice}"
    assert page.texts("p")[0] == f"{wording.NOT_ALL_SENT}. {text}"


def test_files_that_were_not_reached_are_collapsed() -> None:
    """The head says why; without a single image, there are neither counts nor causes."""
    remark = Remark((Reason(Kind.NOT_REACHED),), 0, failure=True)
    rows = [report(f"p/{number}.zip", 0, 0, remark) for number in range(3)]
    page = parsed(render(rows, facts(error=ServerError("no answer", "check the port"))))
    assert page.texts("p")[0] == "No answer: nothing was sent. Check the port."
    assert page.texts("h2") == ["Files", "Details for support requests"]
    assert page.texts("summary")[0] == "3 files not processed"
    assert page.texts("li") == ["0.zip", "1.zip", "2.zip"]
    assert page.texts("dt") == ["Server", "Calling AE", "Paths are in", "Started", "Images"]
    assert page.texts("dd")[-1] == wording.NOT_COUNTED


def test_warnings_of_the_configuration_stand_below_the_outcome() -> None:
    """They are risks, also of a run without failures."""
    page = parsed(render([report("a", 1, 1)], facts(warnings=["the certificate was not verified"])))
    assert page.texts("p")[:2] == [
        wording.ALL_SENT,
        "Warning: The certificate was not verified.",
    ]
    assert page.all("p")[1].attributes["class"] == "outcome part"


def test_the_window_says_outcome_server_and_time() -> None:
    """A browser's list of windows and bookmarks shows it."""
    page = parsed(render([report("a", 1, 1)], facts("DICOM send: visit 1")))
    assert page.one("title").text == (
        f"{wording.ALL_SENT} | DICOM send: visit 1 | "
        "AE PACS at pacs.example.org, port 104 | 2024-01-02 03:04"
    )


def test_warnings_and_changes_have_a_section() -> None:
    """Coerced, converted and replaced images are not failures, and the page names them."""
    page = parsed(pages.run_page())
    assert wording.WARNINGS_AND_CHANGES in page.texts("h2")
    rows = [row.texts("td") for row in page.all("tbody")[1].all("tr")]
    assert [row[0] for row in rows if len(row) > 1] == [
        f"Converted: {wording.ACCEPTED} MR only as Explicit VR",
        "Stored with warning: status 0xB000 Coercion of Data Elements",
        f"File replaced: {Kind.REPLACED.template}",
    ]
    assert wording.WARNINGS_AND_CHANGES not in page_of(report("a", 1, 1)).texts("h2")


def test_modalities_have_their_series_and_images() -> None:
    """Numbers have commas, and small sizes are in kilobytes."""
    page = parsed(pages.run_page())
    ct, mr = rows_of(page, "modalities")
    assert (ct, mr[-1]) == (["CT", "12", "1,234,567", "9.0 MB"], "0.0 kB")


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


def test_a_page_without_files_has_only_a_head() -> None:
    """It has no empty section, no number of zero, and no word on what did not happen."""
    page = parsed(render([], facts("Title")))
    assert page.texts("h2") == ["Details for support requests"]
    assert page.texts("p") == [wording.NOT_ALL_SENT]
    assert numbers_of(page) == {
        "Server": "AE PACS at pacs.example.org, port 104, no TLS",
        "Calling AE": "flywheel",
        "Started": "2024-01-02 03:04:05, ended 03:04:05 UTC+05:30",
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
    assert numbers["Started"] == "2024-01-02 03:04:05, ended 04:06:10 UTC+05:30"
    assert numbers["Job"] == "65f0"
    assert page.all("table")[-1].texts("td") == ["x", "1"]
    known = replace(known, throughput=replace(NOTHING, seconds=80_000.0))
    started = numbers_of(parsed(render([], known)))["Started"]
    assert started == "2024-01-02 03:04:05, ended 2024-01-03 01:17:25 UTC+05:30"


def test_the_page_of_the_command_has_no_gear_terms() -> None:
    """Advice and headings are those of the command."""
    lost = Remark((Reason(Kind.GIVEN_UP, "300 s"),), 1, failure=True)
    known = facts(origin=Origin(Program.COMMAND, "/data/study"))
    page = parsed(render([report("/data/study/a.zip", 2, 1, lost)], known))
    text = page.one("main").text
    assert "Increase --send-retry-time if it is often unavailable" in text
    assert "Paths" in page.texts("h2")
    assert "Paths complete" not in numbers_of(page)
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
