"""What the page about a run says, without the charts."""

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import example, given

from fw_gear_dicom_send.models import Container, FileEntry, FileReport, Remark
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.run_page import Facts, render
from fw_gear_dicom_send.report.throughput import ThroughputCounts
from fw_gear_dicom_send.report.verification import VerificationSummary
from tests.support.drawn_datasets import bounded
from tests.support.html_reading import Element, parsed
from tests.support.html_texts import EVIL, TEXTS

NOTHING = ThroughputCounts(1.0, (), (), (0,) * 13, 0.0)


def facts(title: str = "T") -> Facts:
    return Facts(title, datetime(2024, 1, 2, 3, 4, 5), NOTHING, [], [("port", "104")], [("x", "1")])


def page_of(*reports: FileReport) -> Element:
    return parsed(render(reports, facts()))


def report(name: str, images: int, sent: int, *remarks: Remark) -> FileReport:
    return FileReport(FileEntry(Container("session", "s"), name, name), images, sent, remarks)


def test_rows_have_the_colour_of_their_status() -> None:
    """So has the bar of each row, and the outcome."""
    page = page_of(report("a", 2, 2), report("b", 2, 1), report("c", 2, 0))
    rows = [one for one in page.all("tr") if "class" in one.attributes]
    states = ["good", "part", "bad"]
    assert [one.attributes["class"] for one in rows] == states
    assert [one.all("rect")[1].attributes["class"] for one in rows] == states
    assert [one.texts("td") for one in rows] == [
        ["a", "2 of 2", "", "Complete"],
        ["b", "1 of 2", "", "Incomplete"],
        ["c", "0 of 2", "", "Failed"],
    ]
    assert page.all("p")[1].attributes["class"] == "outcome bad"
    good = page_of(report("a", 2, 2))
    assert good.all("p")[1].attributes["class"] == "outcome good"


@pytest.mark.parametrize(
    ("verification", "outcome", "number", "line"),
    [
        (
            VerificationSummary("C-FIND", 176, 176, 0),
            "All images were sent",
            "176 of 176",
            "176 of 176 verified by C-FIND.",
        ),
        (
            VerificationSummary("C-FIND", 176, 0, 0, ((Reason(Kind.NOT_OFFERED, "C-FIND"), 176),)),
            "All images were sent, but not all were verified",
            "0 of 176",
            "Verified: 0 of 176, the server does not answer C-FIND. " + Kind.NOT_OFFERED.advice,
        ),
    ],
    ids=["all", "none"],
)
def test_verification_has_a_number_and_a_line(
    verification: VerificationSummary, outcome: str, number: str, line: str
) -> None:
    """A run that was not verified is no good run, and the page says what to do."""
    page = parsed(render([report("a", 176, 176)], replace(facts(), verification=verification)))
    shown = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert shown["Images verified"] == number
    _, told, *lines = page.texts("p")
    assert told == outcome
    assert line in lines
    assert ("Nothing went wrong." in lines) == verification.is_whole


def test_existing_images_are_told_from_those_sent() -> None:
    """The rate counts only what was sent."""
    known = [replace(report("a", 300, 0), already_stored=300), report("b", 4, 2)]
    throughput = replace(NOTHING, images=(2,), bytes=(3_000_000,), seconds=4.0)
    page = parsed(render(known, replace(facts(), throughput=throughput)))
    assert dict(zip(page.texts("dt"), page.texts("dd"), strict=True)) == {
        "Images on the server": "302 of 304",
        "Already there": "300",
        "Images sent": "2",
        "Files complete": "1 of 2",
        "Data sent": "3.0 MB",
        "Time": "4.0 s",
        "Rate": "0.5 images/s",
    }
    assert page.texts("p")[1] == "Not all images are on the server"
    rows = [one.texts("td") for one in page.all("tr") if "class" in one.attributes]
    assert rows == [
        ["a", "300 of 300 (300 already there)", "", "Complete"],
        ["b", "2 of 4", "", "Incomplete"],
    ]
    assert "Images on the server" in page.texts("th")


def test_a_dry_run_says_what_would_be_sent() -> None:
    """Each file has the colour of what it would come to."""
    known = [
        replace(report("a", 2, 0), planned=2),
        replace(report("b", 2, 0), planned=1),
        replace(report("c", 2, 0), planned=0),
        replace(report("d", 3, 0), planned=1, already_stored=2),
    ]
    page = parsed(render(known, replace(facts(), throughput=replace(NOTHING, seconds=4.0))))
    assert dict(zip(page.texts("dt"), page.texts("dd"), strict=True)) == {
        "Would be sent": "4 of 9",
        "Already there": "2",
        "Files that would be complete": "2 of 4",
        "Data sent": "0.0 MB",
        "Time": "4.0 s",
        "Rate": "0.0 images/s",
    }
    rows = [one for one in page.all("tr") if "class" in one.attributes]
    assert [one.attributes["class"] for one in rows] == ["good", "part", "bad", "good"]
    assert [one.texts("td")[1] for one in rows] == [
        "2 of 2",
        "1 of 2",
        "0 of 2",
        "3 of 3 (2 already there)",
    ]
    assert {one.texts("td")[3] for one in rows} == {"Dry run"}
    assert "Would be sent" in page.texts("th")
    assert "Images sent" not in page.text


def test_failures_are_counted_over_all_files() -> None:
    """Images and files of a reason are added up; what is no failure is left out."""
    refused, lost = Reason(Kind.REFUSED, "0xC000"), Reason(Kind.NOT_STORED)
    page = page_of(
        report("a", 9, 2, Remark((lost,), 1, failure=True)),
        report("b", 9, 2, Remark((refused,), 3, failure=True), Remark((lost,), 1, failure=True)),
        report("c", 9, 2, Remark((refused,), 4, failure=True), Remark((lost,), 9, failure=False)),
    )
    failures = page.all("table")[0]
    assert failures.texts("th") == ["Reason", "Images", "Files", "What to do"]
    assert [line.texts("td") for line in failures.one("tbody").all("tr")] == [
        [refused.text, "7", "2", refused.advice],
        [lost.text, "2", "2", lost.advice],
    ]


def test_contexts_are_named_with_whether_they_were_accepted() -> None:
    """A private SOP class has no name but its UID."""
    ct, implicit = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"
    contexts = [(Context(ct, implicit), True), (Context("1.2.3", implicit), False)]
    page = parsed(render([], replace(facts(), contexts=contexts)))
    assert [line.texts("td") for line in page.all("tbody")[1].all("tr")] == [
        ["CT Image Storage", "Implicit VR Little Endian", "yes"],
        ["1.2.3", "Implicit VR Little Endian", "no"],
    ]


def test_the_page_has_nothing_else() -> None:
    """All that a page without files says."""
    lines = [
        line for line in parsed(render([], facts("Title"))).one("main").text.splitlines() if line
    ]
    assert lines == [
        "Title",
        "Started on 2024-01-02 03:04:05",
        "Not all images were sent",
        "Images sent0 of 0Files complete0 of 0Data sent0.0 MBTime0.0 sRate-",
        "What went wrong",
        "Nothing went wrong.",
        "Files",
        "FileImages sentShare",
        "Status",
        "Images a second",
        "No image was sent.",
        "C-STORE times",
        "No image was sent.",
        "Presentation contexts",
        "SOP classTransfer syntaxAccepted",
        "Configuration",
        "OptionValueport104",
        "Versions",
        "SoftwareVersionx1",
    ]


@bounded
@given(TEXTS, TEXTS)
@example(EVIL, EVIL)
def test_titles_and_paths_are_texts(title: str, path: str) -> None:
    """Labels and names come from people, and are shown as they are."""
    page = parsed(render([report(path, 1, 1)], facts(title)))
    assert page.one("h1").text == title
    assert page.all("tbody")[0].texts("td")[0] == path
    assert page.all("script") == []
