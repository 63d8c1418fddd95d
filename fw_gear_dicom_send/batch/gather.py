"""Gathers the reports of a batch's jobs into one CSV, one report in memory at a time."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from ..errors import SiteError, UsageError
from ..models import Container, FileStatus
from ..report.csv_rows import read_rows, write_row
from ..report.files_csv import COLUMNS, report_head, report_pattern
from .models import Batch, Job, Outcome, Place, StoredFile

OWN_COLUMNS = ("Session ID", "Session", "Job ID", "Job State")

_SLACK = timedelta(minutes=1)
"""For how long after a job's end its report may be attached."""
_RUNNING = "Gather the batch again when the job has ended: dicom-send-batch gather."
_CANCELLED = "Start it again: dicom-send-batch start --not-yet-sent."
_FAILED = "Look at the job's log; dicom-send-batch retry runs it again."
_LOOK = "Look at the page about the run, which is attached to the session."
_NO_REPORT = "Look at the job's log. A session that was renamed since has no report that is found."
_NO_FILE = "Check that the session has files of type dicom, or set file_types."
_ADVICE = {"pending": _RUNNING, "running": _RUNNING, "cancelled": _CANCELLED, "failed": _FAILED}
"""What to do about a job by its state."""

Row = Mapping[str, str]


def gather(
    batch: Batch,
    where: Callable[[Container], Place],
    jobs_on: Callable[[str], Iterable[Job]],
    read: Callable[[StoredFile], bytes],
    path: Path,
) -> list[Outcome]:
    """Write the rows of all reports to `path`, and return what became of each session.

    A job without report has one row, whose status is the reason. `where` returns where
    a job ran, `jobs_on` the jobs on a session, `read` what a file holds. Raises SiteError if the
    site does not answer, and UsageError if the file cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            write = partial(write_row, file)
            write([*OWN_COLUMNS, *COLUMNS])
            outcomes = [
                _gather_one(write, job, where, partial(_others, batch, job, jobs_on), read)
                for job in batch.newest
            ]
        part.replace(path)
    except OSError as exc:
        raise UsageError(f"--report-folder: {exc.strerror}") from exc
    finally:
        with suppress(OSError):
            part.unlink()
    return outcomes


def _gather_one(
    write: Callable[[Sequence[str]], object],
    job: Job,
    where: Callable[[Container], Place],
    others: Callable[[str], Iterable[Job]],
    read: Callable[[StoredFile], bytes],
) -> Outcome:
    seconds = (job.ended - job.started).total_seconds() if job.ended else None
    outcome = Outcome(job.container.id, "", job.id, job.state, seconds=seconds)
    rows, trouble = None, "there is no report"
    causes: tuple[tuple[str, int], ...] = ()
    try:
        place = where(job.container)
        outcome = replace(
            outcome,
            session_id=place.session.id,
            label=place.session.label,
            subject=place.session.subject,
            url=place.url,
        )
        if report := _newest_report(job, place, others):
            trouble = "the report cannot be read"
            rows = _rows(read(report))
            if rows and job.state == "failed":
                causes = _causes(place, report, read)
    except SiteError as exc:
        if not exc.is_final:
            raise
        trouble = str(exc)
    outcome = replace(_counted(outcome, job, rows, trouble), causes=causes)
    own = (outcome.session_id, outcome.label, job.id, job.state)
    for row in rows or ():
        write([*own, *(row[column] for column in COLUMNS)])
    if not rows:
        write([*own, *[""] * (len(COLUMNS) - 1), outcome.reason])
    return outcome


def _others(
    batch: Batch, job: Job, jobs_on: Callable[[str], Iterable[Job]], session_id: str
) -> Iterator[Job]:
    """Yield the other jobs on a job's container, as far as the site shows them."""
    found = {other.id: other for other in batch.jobs}
    try:
        found |= {other.id: other for other in jobs_on(session_id)}
    except SiteError as exc:
        if not exc.is_final:
            raise
    for other in found.values():
        if other.container == job.container and other.id != job.id:
            yield other


def _newest_report(
    job: Job, place: Place, others: Callable[[str], Iterable[Job]]
) -> StoredFile | None:
    """Return the newest report of a job on its container as a whole.

    Reports on one of its acquisitions, and those of other jobs, may lie beside it. A report of
    which the site does not tell the job is that of the only job that ran when it was attached.
    """
    name = report_pattern(report_head(is_dry=job.is_dry_run), place.report_label)
    reports = [file for file in place.files if name.fullmatch(file.name)]
    own = [file for file in reports if file.job_id == job.id]
    if not own:
        last = job.ended + _SLACK if job.ended else None
        own = [
            file
            for file in reports
            if not file.job_id
            and file.created >= job.started
            and (not last or file.created <= last)
        ]
        if own:
            running = list(others(place.session.id))
            own = [file for file in own if not any(one.ran_at(file.created) for one in running)]
    return max(own, key=lambda file: file.created, default=None)


def _causes(
    place: Place, report: StoredFile, read: Callable[[StoredFile], bytes]
) -> tuple[tuple[str, int], ...]:
    """Return the codes in the summary beside a report, with their images; none without it."""
    name = f"{report.name.removesuffix('.csv')}_summary.json"
    for file in place.files:
        if file.name == name and file.parent == report.parent:
            try:
                failed = json.loads(read(file))["failed"]
                return tuple((str(code), int(images)) for code, images in failed.items())
            except (AttributeError, KeyError, TypeError, ValueError):
                return ()
    return ()


def _rows(content: bytes) -> list[Row] | None:
    """Return the rows of a report, None for something else."""
    try:
        header, *cells = read_rows(io.StringIO(content.decode("utf-8"), newline=""))
        if tuple(header) != COLUMNS:
            return None
        rows: list[Row] = [dict(zip(COLUMNS, row, strict=True)) for row in cells]
        for row in rows:
            int(row["Images in Series"]), int(row["Images Sent"])
    except (csv.Error, ValueError):
        return None
    return rows


def _counted(outcome: Outcome, job: Job, rows: Sequence[Row] | None, trouble: str) -> Outcome:
    # A dry run's report does not tell whether all would be sent; its exit code does.
    is_good_dry_run = job.is_dry_run and job.state == "complete"
    good = FileStatus.DRY_RUN if is_good_dry_run else FileStatus.COMPLETE
    complete = sum(row["Status"] == good for row in rows or ())
    is_short = rows is not None and complete < len(rows)
    if is_short and job.state in ("complete", "failed"):
        reason, advice = f"not all images {'would be' if job.is_dry_run else 'were'} sent", _LOOK
    elif job.state != "complete":
        reason, advice = job.reason, _ADVICE.get(job.state, "")
    elif rows is None:
        reason, advice = trouble, _NO_REPORT
    else:
        reason, advice = ("", "") if rows else ("there was no file to send", _NO_FILE)
    return replace(
        outcome,
        images=sum(int(row["Images in Series"]) for row in rows or ()),
        sent=sum(int(row["Images Sent"]) for row in rows or ()),
        files=len(rows or ()),
        complete_files=complete,
        reason=reason,
        advice=advice,
    )
