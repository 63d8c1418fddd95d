"""What became of the files: as CSV, as a table and as remarks."""

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from pathvalidate import sanitize_filename

from ..models import FileReport
from ..reasons import Kind, Program
from ..text import printable
from .csv_rows import write_row

COLUMNS = (
    "Acquisition ID",
    "FW Path",
    "Filename",
    "Images in Series",
    "Images Sent",
    "Status",
)
_OWN_COLUMNS = ("Path", "Images", "Images Sent", "Status")
"""Columns for the command, which knows neither acquisitions nor a path on Flywheel."""
MAX_NAME = 255
_NOT_SENT_AGAIN = (Kind.ALREADY_STORED, Kind.SENT_EARLIER)
MAX_LINES = 100
"""Lines of the table, and lines of remarks, in the log."""


def render_csv(reports: Sequence[FileReport], program: Program = Program.GEAR) -> str:
    r"""Return the report as CSV, a row for each file; lines end with `\n`."""
    text = io.StringIO()
    for row in (_columns(program), *(_row(report, program) for report in reports)):
        write_row(text, row)
    return text.getvalue()


def render_table(reports: Sequence[FileReport], program: Program = Program.GEAR) -> str:
    """Return the report as a table with aligned columns, of at most 100 rows.

    Of more files it has those that are not complete, and says how many it leaves out.
    """
    shown, left_out = list(reports), ""
    if len(reports) > MAX_LINES:
        shown = [report for report in reports if not report.is_complete][:MAX_LINES]
        counts = Counter(report.status for report in reports)
        words = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        left_out = f"\n{len(shown)} of {len(reports)} files are shown; in all: {words}"
    cells = ([printable(cell) for cell in _row(report, program)] for report in shown)
    rows = [_columns(program), *cells]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return table + left_out


def render_remarks(reports: Sequence[FileReport]) -> list[str]:
    """Return a line for each remark on a file or its images, and no more than 100 lines.

    Conversions that were asked for are not remarkable.
    """
    unreached = [report for report in reports if _is_unreached(report)]
    rest = [report for report in reports if len(unreached) < 2 or not _is_unreached(report)]
    lines = [printable(line) for report in rest for line in _remarks(report)]
    if len(unreached) > 1:
        lines.insert(0, f"{len(unreached)} files: the run ended before them")
    more = len(lines) - MAX_LINES
    return lines if more <= 0 else [*lines[:MAX_LINES], f"{more} more such lines are left out"]


def _is_unreached(report: FileReport) -> bool:
    """Tell whether nothing is known of a file but that the run ended before it."""
    return {remark.kind for remark in report.remarks} == {Kind.NOT_REACHED}


def report_head(*, is_dry: bool) -> str:
    """Return how the names of a run's reports begin."""
    return "dicom-send_dry-run-" if is_dry else "dicom-send_report-"


def report_name(head: str, label: str, time: str, suffix: str) -> str:
    """Return a report's file name, fit for any file system but for the time: at most 255 bytes."""
    tail = f"_{time}{suffix}"
    safe = sanitize_filename(label) or "unnamed"
    room = MAX_NAME - len(head) - len(tail)
    # A character that is cut in its middle is dropped.
    return f"{head}{safe.encode()[:room].decode(errors='ignore')}{tail}"


def report_pattern(head: str, label: str) -> re.Pattern[str]:
    """Return what matches the names of a label's reports on files, whenever they were written."""
    any_time = "2000-01-01_00:00:00"
    start = report_name(head, label, any_time, ".csv").removesuffix(f"_{any_time}.csv")
    return re.compile(re.escape(start) + r"_\d{4}-\d\d-\d\d_\d\d.\d\d.\d\d\.csv")


def _columns(program: Program) -> tuple[str, ...]:
    return COLUMNS if program is Program.GEAR else _OWN_COLUMNS


def _row(report: FileReport, program: Program) -> tuple[str, ...]:
    entry = report.entry
    counts = (str(report.images), str(0 if report.planned is not None else report.stored))
    if program is Program.COMMAND:
        return (entry.fw_path, *counts, report.status)
    return (entry.acquisition_id, entry.fw_path, entry.name, *counts, report.status)


def _remarks(report: FileReport) -> Iterator[str]:
    sent = "sent" if report.planned is None else "would be sent"
    for remark in report.remarks:
        if not remark.failure and remark.kind is Kind.CONVERTED_AS_ASKED:
            continue
        images = "1 image" if remark.images == 1 else f"{remark.images} images"
        if remark.images == 0:
            about = ": "
        elif remark.failure:
            about = f": {images} not sent: "
        elif remark.kind in _NOT_SENT_AGAIN:
            about = f": {images} "
        else:
            about = f": {images} {sent}, "
        first = "first: " if remark.images > 1 else ""
        where = f" ({first}{remark.member})" if remark.failure and remark.member else ""
        yield f"{report.entry.name}{about}{remark.text}{where}"
