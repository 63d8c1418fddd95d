"""Memory, page and summary of a run with many paths stay small."""

import gc
import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fw_gear_dicom_send.cli.local_source import LocalSource
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, FileStatus, Remark
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.file_counts import FileCounts
from fw_gear_dicom_send.report.run_page import MAX_FILES as MAX_LISTED
from fw_gear_dicom_send.report.schemas import MAX_FILES, summary
from fw_gear_dicom_send.values import replace
from tests.support.html_reading import parsed
from tests.support.pages import facts, render

FEW, MANY = 4_000, 24_000
VERY_MANY = 40_000
MAX_BYTES_A_PATH = 1_000


def reports(number: int, *, sent: int = 1) -> list[FileReport]:
    """Return the results of files with one image each."""
    parent = Container("folder", "f")
    names = (f"{sent}-{place}.dcm" for place in range(number))
    return [FileReport(FileEntry(parent, name, f"f/{name}"), 1, sent) for name in names]


def summary_of(rows: Sequence[FileReport]) -> dict[str, Any]:
    return summary(facts(rows=rows))


def peak(work: Callable[[int], object], number: int) -> int:
    """Return the most bytes that Python's objects take while `work` handles a number of paths."""
    gc.collect()
    tracemalloc.start()
    try:
        work(number)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_path_costs_little_memory() -> None:
    """From the selection to its row in the report, a path takes less than 1,000 bytes."""

    def work(number: int) -> None:
        paths = [str(Path("nowhere") / f"{place}.dcm") for place in range(number)]
        entries = LocalSource((), listed=paths).select().entries
        del paths
        counts = FileCounts(entries)
        for count in counts.values():
            count.begin()
            count.end(0, None)
        assert len(counts) == number

    work(1)
    assert peak(work, MANY) - peak(work, FEW) < MAX_BYTES_A_PATH * (MANY - FEW)


@pytest.mark.parametrize("view", [summary_of, lambda rows: render(rows, facts())])
def test_views_of_many_files_need_no_more_memory(
    view: Callable[[Sequence[FileReport]], object],
) -> None:
    """The page and the summary take a pointer or two for each further file."""
    rows = {number: reports(number) for number in (FEW, VERY_MANY)}
    view(rows[FEW])
    growth = peak(lambda n: view(rows[n]), VERY_MANY) - peak(lambda n: view(rows[n]), FEW)
    assert growth < 40 * (VERY_MANY - FEW)


def test_the_summary_lists_failed_files_first() -> None:
    """It has 1,000 files, in the order of the report, and the number of the others."""
    good, bad = reports(MAX_FILES), reports(7, sent=0)
    found = summary_of([*good, *bad])
    files, failed = found["files"], found["files"][:7]
    assert [file["path"] for file in failed] == [row.entry.path for row in bad]
    assert (len(files), found["files_not_listed"]) == (MAX_FILES, 7)
    assert {file["status"] for file in files[7:]} == {FileStatus.COMPLETE}
    assert found["images"] == MAX_FILES + 7
    whole = summary_of([*good[7:], *bad])
    assert [file["path"] for file in whole["files"]][-7:] == [row.entry.path for row in bad]
    assert whole["files_not_listed"] == 0


def test_the_summary_lists_a_file_for_each_cause() -> None:
    """A cause of few files among many failed ones is in the list, as others read its text there."""
    rows = reports(2 * MAX_FILES, sent=0)
    kinds = [*[Kind.NOT_STORED] * (len(rows) - 1), Kind.GIVEN_UP]
    failed = [
        replace(row, remarks=(Remark((Reason(kind),), 1, failure=True),))
        for kind, row in zip(kinds, rows, strict=True)
    ]
    paths = [file["path"] for file in summary_of(failed)["files"]]
    assert paths[:3] == [rows[place].entry.path for place in (0, -1, 1)]


def test_the_page_has_a_bounded_size() -> None:
    """It grows with its numbers only once it has the first 1,000 files of each kind."""
    few, many = (
        render([*reports(number), *reports(number, sent=0)], facts())
        for number in (MAX_LISTED, 10 * MAX_LISTED)
    )
    assert len(many) < len(few) + 20_000
    tables = [table.one("tbody").all("tr") for table in parsed(many).all("table")]
    assert [len(rows) for rows in tables].count(MAX_LISTED) == 2


def test_the_summary_has_a_bounded_size() -> None:
    """It grows with its numbers only once it has 1,000 files."""
    few, many = (len(json.dumps(summary_of(reports(number)))) for number in (MAX_FILES, MANY))
    assert many < few + 1_000
