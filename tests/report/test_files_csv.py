"""Report as CSV, table and remarks."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fw_gear_dicom_send.models import Container, FileEntry, FileReport, Remark
from fw_gear_dicom_send.reasons import Kind, Program, Reason
from fw_gear_dicom_send.report import files_csv as reporter
from fw_gear_dicom_send.report.csv_rows import read_rows
from fw_gear_dicom_send.text import printable
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.drawn_datasets import bounded
from tests.support.results import remark


def report(
    name: str = "t1.zip",
    *,
    images: int = 3,
    sent: int = 3,
    level: str = "acquisition",
    remarks: tuple[Remark, ...] = (),
) -> FileReport:
    entry = FileEntry(Container(level, "a1"), name, f"g/p/s/v/t1/files/{name}")
    return FileReport(entry, images, sent, remarks)


def test_csv_has_a_row_for_each_file() -> None:
    """The CSV has the specified header and a row for each file, in order."""
    reports = [report(), report("t2.zip", sent=1), report("t3.zip", images=0, sent=0)]
    assert reporter.render_csv(reports) == (
        "Acquisition ID,FW Path,Filename,Images in Series,Images Sent,Status\n"
        "a1,g/p/s/v/t1/files/t1.zip,t1.zip,3,3,Complete\n"
        "a1,g/p/s/v/t1/files/t2.zip,t2.zip,3,1,Incomplete\n"
        "a1,g/p/s/v/t1/files/t3.zip,t3.zip,0,0,Failed\n"
    )


def test_csv_without_files_is_the_header() -> None:
    """A run without files has a report with the header only."""
    assert reporter.render_csv([]).count("\n") == 1


@bounded
@given(name=st.text(), path=st.text())
@example('a,"b".zip', "line\nbreak\r\n.zip")
@example("=SUM(A1)", "é 画像\u2028.zip")
def test_csv_keeps_any_name(name: str, path: str) -> None:
    """A CSV reader returns file name and path as they are shown everywhere."""
    entry = FileEntry(Container("acquisition", "a1"), name, path)
    text = reporter.render_csv([FileReport(entry, 3, 1)])
    _, row = read_rows(io.StringIO(text, newline=""))
    assert row == ["a1", printable(path), printable(name), "3", "1", "Incomplete"]


def test_csv_has_no_formula() -> None:
    """A name that a spreadsheet would run gets a leading apostrophe."""
    _, row = reporter.render_csv([report("=SUM(A1)")]).splitlines()
    assert row.split(",")[2] == "'=SUM(A1)"


def test_csv_of_a_file_outside_an_acquisition_has_no_acquisition_id() -> None:
    """The acquisition id is empty if the file belongs to a session."""
    text = reporter.render_csv([report(level="session")])
    assert text.splitlines()[1].startswith(",g/p/s/v")


def test_table_is_aligned() -> None:
    """Each column of the table starts at the same position in all lines."""
    lines = reporter.render_table([report(), report("a longer name.zip", sent=0)]).splitlines()
    starts = [lines[0].index(column) for column in ("Filename", "Images Sent", "Status")]
    cells = [[line[start:].split("  ")[0].strip() for start in starts] for line in lines]
    assert cells == [
        ["Filename", "Images Sent", "Status"],
        ["t1.zip", "3", "Complete"],
        ["a longer name.zip", "0", "Failed"],
    ]


@bounded
@given(st.text())
@example("line\nbreak.zip")
def test_table_has_one_line_for_each_file(name: str) -> None:
    """A line break in a name does not break the table."""
    assert len(reporter.render_table([report(name)]).splitlines()) == 2


@pytest.mark.parametrize(
    ("remark", "line"),
    [
        (remark("A700", images=3, failure=True), "t1.zip: 3 images not sent: A700"),
        (remark("A700", images=1, failure=True), "t1.zip: 1 image not sent: A700"),
        (remark("decoded", images=12, failure=False), "t1.zip: 12 images sent (decoded)"),
        (remark("decoded", images=1, failure=False), "t1.zip: 1 image sent (decoded)"),
        (
            Remark((Reason(Kind.CONVERTED, "A only as B"),), 1, failure=False),
            f"t1.zip: 1 image converted and sent ({wording.ACCEPTED} A only as B)",
        ),
        (remark("404 Not Found", images=0, failure=True), "t1.zip: 404 Not Found"),
    ],
)
def test_remark_has_the_number_of_its_images(remark: Remark, line: str) -> None:
    """A remark has a number of images or only the file."""
    assert reporter.render_remarks([report(remarks=(remark,))]) == [line]


def test_a_failure_has_the_first_member() -> None:
    """A remark about sent images has none."""
    lost = replace(remark("lost", images=3, failure=True), member="member 7")
    single = replace(lost, images=1)
    decoded = replace(remark("decoded", images=3, failure=False), member="member 1")
    assert reporter.render_remarks([report("a", remarks=(lost, single, decoded))]) == [
        "a: 3 images not sent: lost (first: member 7)",
        "a: 1 image not sent: lost (member 7)",
        "a: 3 images sent (decoded)",
    ]


def test_requested_conversions_are_not_listed() -> None:
    """They would hide important remarks, unless they occur together."""
    asked, refused = Reason(Kind.CONVERTED_AS_ASKED, "A to B"), Reason(Kind.REFUSED, "C000")
    remarks = (
        Remark((asked,), 200, failure=False),
        Remark((asked, Reason(Kind.WARNING, "B000")), 2, failure=False),
        Remark((asked, refused), 3, failure=True),
    )
    assert reporter.render_remarks([report("a", remarks=remarks)]) == [
        "a: 2 images sent (converted from A to B; status B000)",
        "a: 3 images not sent: converted from A to B; status C000",
    ]


def test_remarks_are_listed_by_file() -> None:
    """All remarks of all files are listed in order."""
    first = remark("one", images=0, failure=True)
    second = remark("two", images=0, failure=True)
    reports = [report("a", remarks=(first, second)), report("b"), report("c", remarks=(first,))]
    assert reporter.render_remarks(reports) == ["a: one", "a: two", "c: one"]


def test_remark_is_one_line() -> None:
    """A line break in a name cannot forge a log line."""
    lost = remark("lost", images=0, failure=True)
    (line,) = reporter.render_remarks([report("a\nERROR", remarks=(lost,))])
    assert line == "a\\nERROR: lost"


def test_table_of_many_files_has_only_incomplete_ones() -> None:
    """The log does not grow with the number of files; the report itself has them all."""
    reports = [report(f"{n}.dcm", images=1, sent=int(n % 3 > 0)) for n in range(240)]
    lines = reporter.render_table(reports).splitlines()
    assert len(lines) == 82
    assert all(line.endswith("Failed") for line in lines[1:-1])
    assert lines[-1] == "Showing 80 of 240 files; totals: Complete 160, Failed 80"
    assert reporter.render_csv(reports).count("\n") == 241


def test_remarks_of_many_files_are_limited() -> None:
    """There are at most a hundred lines, and one with the number of omitted ones."""
    lost = remark("lost", images=1, failure=True)
    lines = reporter.render_remarks([report(f"{n}", remarks=(lost,)) for n in range(130)])
    assert len(lines) == 101
    assert lines[-1] == "30 more remarks not shown"


def test_a_hundred_files_and_a_hundred_remarks_are_shown() -> None:
    """At the limit all lines are shown, and none are reported as omitted."""
    lost = remark("lost", images=1, failure=True)
    reports = [report(f"{n}", remarks=(lost,)) for n in range(100)]
    assert len(reporter.render_table(reports).splitlines()) == 101
    assert len(reporter.render_remarks(reports)) == 100
    assert all(
        line.endswith(": 1 image not sent: lost") for line in reporter.render_remarks(reports)
    )


def test_the_table_of_many_failed_files_is_limited() -> None:
    """It has a hundred of them, and the total number."""
    reports = [report(f"{n}", sent=n % 2) for n in range(300)]
    lines = reporter.render_table(reports).splitlines()
    assert len(lines) == 102
    assert lines[-1] == "Showing 100 of 300 files; totals: Failed 150, Incomplete 150"


def test_images_on_the_server_count_as_sent() -> None:
    """The column counts the images on the server after the run, from any sender."""
    known = replace(report(sent=1), already_stored=2)
    assert known.status == "Complete"
    assert reporter.render_csv([known]).endswith("t1.zip,3,3,Complete\n")
    remarks = (Remark((Reason(Kind.ALREADY_STORED),), 2, failure=False),)
    lines = reporter.render_remarks([replace(known, remarks=remarks)])
    assert lines == ["t1.zip: 2 images already there"]


def test_a_dry_run_sends_nothing() -> None:
    """Neither the columns nor the remarks say that an image was sent."""
    known = replace(report(sent=0), planned=3, remarks=(remark("decoded", 2, failure=False),))
    assert reporter.render_csv([known]).endswith("t1.zip,3,0,Dry run\n")
    assert reporter.render_remarks([known]) == ["t1.zip: 2 images would be sent (decoded)"]


def test_the_table_of_a_large_dry_run_has_only_failures() -> None:
    """Of many files those are shown that have an image that would not be sent."""
    reports = [replace(report(f"{n}", sent=0), planned=3 - (n == 5)) for n in range(200)]
    lines = reporter.render_table(reports).splitlines()
    assert [line.split()[2] for line in lines[1:-1]] == ["5"]
    assert lines[-1] == "Showing 1 of 200 files; totals: Dry run 200"


def test_unprocessed_files_are_one_line() -> None:
    """A cancelled run of many files has one line for them; a single file has its own line."""
    unreached = Remark((Reason(Kind.NOT_REACHED),), 0, failure=True)
    some = [report(name, images=0, sent=0, remarks=(unreached,)) for name in "abc"]
    assert reporter.render_remarks(some) == ["3 files not processed: the run stopped early"]
    assert reporter.render_remarks(some[:1]) == [f"a: {wording.NOT_REACHED}"]


def test_an_unopened_file_has_no_count_in_the_table() -> None:
    """Its 0 in the CSV is for programs."""
    unreached = Remark((Reason(Kind.NOT_REACHED),), 0, failure=True)
    some = [report("a", images=0, sent=0, remarks=(unreached,)), report("b", images=0, sent=0)]
    first, second = reporter.render_table(some).splitlines()[1:]
    assert first.split()[3:] == ["not", "counted", "0", "Failed"]
    assert second.split()[3:] == ["0", "0", "Failed"]
    assert [row.split(",")[3] for row in reporter.render_csv(some).splitlines()[1:]] == ["0", "0"]


def test_the_command_has_its_own_columns() -> None:
    """It has neither acquisitions nor Flywheel paths."""
    header, row = reporter.render_csv([report("a.zip")], Program.COMMAND).splitlines()
    assert header == "Path,Images,Images Sent,Status"
    assert row == "g/p/s/v/t1/files/a.zip,3,3,Complete"
