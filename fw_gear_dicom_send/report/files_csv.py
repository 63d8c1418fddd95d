"""Report on files: as CSV, as a table and as remarks."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence

from ..models import FileReport
from ..reasons import NOT_SENT_AGAIN, Kind, Program
from ..text import printable, quantity
from .csv_rows import write_row
from .schemas import FILES, cells, names
from .wording import NOT_COUNTED, is_uncounted

MAX_LINES = 100
"""Maximum number of table rows, and of remarks, in the log."""


def render_csv(reports: Sequence[FileReport], program: Program = Program.GEAR) -> str:
    r"""Return the report as CSV with one row per file; lines end with `\n`."""
    text = io.StringIO()
    write_row(text, names(FILES, program))
    for report in reports:
        write_row(text, cells(FILES, report, program))
    return text.getvalue()


def render_table(reports: Sequence[FileReport]) -> str:
    """Return the gear's report as a table with aligned columns and at most 100 rows.

    With more files it shows only files that are not complete, and adds the counts of all files.
    """
    shown, left_out = list(reports), ""
    if len(reports) > MAX_LINES:
        shown = [report for report in reports if not report.is_complete][:MAX_LINES]
        counts = Counter(report.status for report in reports)
        words = ", ".join(f"{status} {count:,}" for status, count in sorted(counts.items()))
        files = quantity(len(reports), "file")
        left_out = f"\nShowing {len(shown):,} of {files}; totals: {words}"
    lines = ([printable(cell) for cell in _shown(report)] for report in shown)
    rows = [names(FILES), *lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return table + left_out


def _shown(report: FileReport) -> list[str]:
    """Return the cells of a row for people, who would read 0 as a result."""
    row = dict(zip(names(FILES), cells(FILES, report), strict=True))
    if is_uncounted([report]):
        row["Images in Series"] = NOT_COUNTED
    return list(row.values())


def render_remarks(reports: Sequence[FileReport]) -> list[str]:
    """Return one line per remark on a file or its images, and at most 100 lines.

    Requested conversions are left out.
    """
    unreached = [report for report in reports if report.is_unreached]
    rest = [report for report in reports if len(unreached) < 2 or not report.is_unreached]
    lines = [printable(line) for report in rest for line in _remarks(report)]
    if len(unreached) > 1:
        lines.insert(0, f"{quantity(len(unreached), 'file')} not processed: the run stopped early")
    if (more := len(lines) - MAX_LINES) > 0:
        lines[MAX_LINES:] = [f"{quantity(more, 'more remark')} not shown"]
    return lines


def _remarks(report: FileReport) -> Iterator[str]:
    for remark in report.remarks:
        if not remark.failure and remark.kind is Kind.CONVERTED_AS_ASKED:
            continue
        images = quantity(remark.images, "image")
        if remark.images == 0:
            line = remark.text
        elif remark.failure:
            line = f"{images} not sent: {remark.text}"
        elif remark.kind in NOT_SENT_AGAIN:
            line = f"{images} {remark.text}"
        else:
            is_converted = any(reason.kind is Kind.CONVERTED for reason in remark.reasons)
            verb = "converted and sent" if is_converted else "sent"
            would_be = "" if report.planned is None else "would be "
            line = f"{images} {would_be}{verb} ({remark.text})"
        first = "first: " if remark.images > 1 else ""
        where = f" ({first}{remark.member})" if remark.failure and remark.member else ""
        yield f"{report.entry.name}: {line}{where}"
