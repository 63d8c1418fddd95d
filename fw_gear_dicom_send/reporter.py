"""What became of the files: as CSV, as a table and as remarks."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from pathvalidate import sanitize_filename

from .models import FileReport

COLUMNS = (
    "Acquisition ID",
    "FW Path",
    "Filename",
    "Images in Series",
    "Images Sent",
    "Status",
)
LONGEST_NAME = 255


def render_csv(reports: Sequence[FileReport]) -> str:
    r"""Return the report as CSV, a row for each file; lines end with `\n`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_row(report) for report in reports)
    return text.getvalue()


def render_table(reports: Sequence[FileReport]) -> str:
    """Return the report as a table with aligned columns."""
    rows = [COLUMNS, *([_printable(cell) for cell in _row(report)] for report in reports)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def render_remarks(reports: Sequence[FileReport]) -> list[str]:
    """Return a line for each remark on a file or its images."""
    return [_printable(line) for report in reports for line in _remarks(report)]


def report_name(label: str, now: datetime) -> str:
    """Return the report's file name, fit for any file system: at most 255 bytes."""
    head, tail = "dicom-send_report-", f"_{now:%Y-%m-%d_%H:%M:%S}.csv"
    safe = sanitize_filename(label) or "unnamed"
    room = LONGEST_NAME - len(head) - len(tail)
    # A character that is cut in its middle is dropped.
    return f"{head}{safe.encode()[:room].decode(errors='ignore')}{tail}"


def write(reports: Sequence[FileReport], folder: Path, label: str, now: datetime) -> Path:
    """Write the report as CSV (UTF-8) into a folder and return its path.

    Raises OSError if it cannot be written.
    """
    path = folder / report_name(label, now)
    path.write_text(render_csv(reports), encoding="utf-8", newline="")
    return path


def _row(report: FileReport) -> tuple[str, ...]:
    entry = report.entry
    counts = (str(report.images), str(report.sent))
    return (entry.acquisition_id, entry.fw_path, entry.name, *counts, report.status)


def _remarks(report: FileReport) -> Iterator[str]:
    for remark in report.remarks:
        images = "1 image" if remark.images == 1 else f"{remark.images} images"
        if remark.images == 0:
            about = ": "
        elif remark.failure:
            about = f": {images} not sent: "
        else:
            about = f": {images} sent, "
        yield f"{report.entry.name}{about}{remark.text}"


def _printable(text: str) -> str:
    """Keep a line one line: a name may hold a line break."""
    return "".join(char if char.isprintable() else "?" for char in text)
