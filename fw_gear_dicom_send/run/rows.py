"""Rows of the report: results of the files, corrected by verification and by resent images."""

from collections.abc import Mapping, Sequence

from ..models import FileEntry, FileReport, Remark
from ..reasons import Kind, Reason
from ..report.file_counts import FileCounts
from ..report.verification import Verifications
from ..values import replace

Missing = Mapping[FileEntry, frozenset[str]]
"""SOP Instance UIDs of missing images by file."""


class Rows:
    """Current result of each file. The mutable state is the files with missing images."""

    def __init__(self, counts: FileCounts, verifications: Verifications | None) -> None:
        """Start with `counts`; `verifications` is None without verification."""
        self._counts = counts
        self._verifications = verifications
        self._revised: dict[FileEntry, FileReport] = {}

    def current(self) -> list[FileReport]:
        """Return the current result of each file."""
        verifications, rows = self._verifications, self._counts.reports()
        if not verifications:
            return rows
        current = []
        for row in rows:
            entry, absent = row.entry, verifications.absent[row.entry]
            # The run may stop before it resends absent images.
            known = self._revised.get(entry) or (_with_absent(row, absent) if absent else row)
            current.append(replace(known, verified=verifications.verified[entry]))
        return current

    def start_resending(self, missing: Missing) -> None:
        """Count missing images as not stored."""
        for entry, uids in missing.items():
            row = self._counts[entry].report()
            self._revised[entry] = _with_stored(row, row.stored - len(uids))

    def merge(self, resent: Sequence[FileReport], missing: Missing, absent: Missing) -> None:
        """Add the resent images. Of the `missing` ones, some are still `absent`."""
        for row in resent:
            entry = row.entry
            self._revised[entry] = _merged(
                self._revised[entry], row, len(missing[entry]), len(absent.get(entry, ()))
            )


def _merged(first: FileReport, resent: FileReport, repeated: int, absent: int) -> FileReport:
    """Merge a report with that of the resent images, `absent` of them still missing."""
    remarks = [*first.remarks, *resent.remarks]
    if (lost := repeated - resent.images) > 0:
        remarks.append(Remark((Reason(Kind.NOT_FOUND_AGAIN),), lost, failure=True))
    # A file may contain the same image twice.
    stored = min(first.stored + resent.stored, first.images)
    merged = replace(_with_stored(first, stored), remarks=tuple(remarks))
    return _with_absent(merged, absent) if absent else merged


def _with_absent(report: FileReport, absent: int) -> FileReport:
    """Return a report on a file with `absent` fewer images on the server."""
    remark = Remark((Reason(Kind.NOT_STORED),), absent, failure=True)
    fewer = _with_stored(report, report.stored - absent)
    return replace(fewer, remarks=(*report.remarks, remark))


def _with_stored(report: FileReport, stored: int) -> FileReport:
    """Return a report on a file with `stored` images on the server."""
    already = min(report.already_stored, stored)
    duplicates = min(report.duplicates, stored - already)
    sent = stored - already - duplicates
    return replace(report, sent=sent, already_stored=already, duplicates=duplicates)
