"""Names of all reports, as they are written and as they are found again."""

import re
from enum import StrEnum
from typing import Self

MAX_NAME = 255
"""Maximum length of a file name in bytes."""
TIME_FORMAT = "%Y-%m-%d_%H-%M-%S"
"""Format without colons, which Windows does not allow in file names."""
_TIME = r"\d{4}-\d\d-\d\d_\d\d.\d\d.\d\d"
"""Earlier versions of the gear wrote colons."""
_TIME_AT_END = re.compile(rf"_({_TIME})[^\d]*")
_PER_IMAGE = re.compile(r"dicom-send_report-.*_instances\.csv", re.DOTALL)


class Report(StrEnum):
    """A report of a run: its word in options, the end of its file name, its name in the log."""

    suffix: str
    text: str

    IMAGES = ("images", "_instances.csv", "per-image report")
    PAGE = ("page", ".html", "page")
    SUMMARY = ("summary", "_summary.json", "summary")
    FILES = ("files", ".csv", "report")

    def __new__(cls, word: str, suffix: str, text: str) -> Self:
        """Take the word, the end of the file name, and the name in the log."""
        member = str.__new__(cls, word)
        member._value_, member.suffix, member.text = word, suffix, text
        return member


def report_name(report: Report, label: str, time: str, *, is_dry: bool = False) -> str:
    """Return the file name of a report, at most 255 bytes; the label is safe on any file system."""
    head, tail = _head(is_dry=is_dry), f"_{time}{report.suffix}"
    room = MAX_NAME - len(head) - len(tail)
    if not re.fullmatch(r"[\w-]([\w .-]*[\w-])?", label) or len(label.encode()) > room:
        from pathvalidate import sanitize_filename  # it takes 0.03 s to import

        label = sanitize_filename(label, max_len=room) or "unnamed"
    return f"{head}{label}{tail}"


def report_of(name: str) -> Report:
    """Return the report that has a name, by the end of the name."""
    return next(report for report in Report if name.endswith(report.suffix))


def files_pattern(label: str, *, is_dry: bool) -> re.Pattern[str]:
    """Return a pattern for the names of a label's reports on files with any time."""
    any_time = "2000-01-01_00-00-00"
    name = report_name(Report.FILES, label, any_time, is_dry=is_dry)
    start = name.removesuffix(f"{any_time}{Report.FILES.suffix}")
    return re.compile(rf"{re.escape(start)}{_TIME}\.csv")


def is_per_image(name: str) -> bool:
    """Return whether a name is that of a per-image report, not of a dry run."""
    return bool(_PER_IMAGE.fullmatch(name))


def summary_beside(files_name: str) -> str:
    """Return the name of the summary of the run that wrote a report on files."""
    return f"{files_name.removesuffix(Report.FILES.suffix)}{Report.SUMMARY.suffix}"


def time_in(name: str) -> str:
    """Return the time in the name of a report, which can be compared; empty if it has none."""
    found = _TIME_AT_END.search(name)
    return found[1].replace(":", "-") if found else ""


def batch_name(batch_id: str, report: Report) -> str:
    """Return the file name of a report of a batch."""
    return f"dicom-send_batch-{batch_id}{report.suffix}"


def waiting_name(batch_id: str) -> str:
    """Return the name of the file with the sessions of a batch whose jobs start later."""
    return f"dicom-send_batch-{batch_id}_waiting.json"


def _head(*, is_dry: bool) -> str:
    return "dicom-send_dry-run-" if is_dry else "dicom-send_report-"
