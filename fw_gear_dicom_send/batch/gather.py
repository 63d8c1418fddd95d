"""Merges the reports of a batch's jobs into one CSV, with one report in memory at a time."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from ..errors import SiteError, UsageError
from ..models import Container, FileStatus
from ..report.csv_rows import Row, read_table, write_row
from ..report.schemas import FILES, JOB, names, needed
from ..report_names import files_pattern, summary_beside
from ..text import quantity
from .models import Batch, Job, Outcome, Place, StoredFile

log = logging.getLogger(__name__)

_COUNTS = ("Images in Series", "Images Sent")
_COUNT = re.compile(r"[0-9]{1,9}")
_INVALID = "the report is invalid"
_SLACK = timedelta(minutes=1)
"""Maximum time between the end of a job and the attachment of its report."""
_RUNNING = "Merge the reports again when the job has ended: dicom-send-batch gather."
_CANCELLED = "Start a new job: dicom-send-batch start --not-yet-sent."
_FAILED = "Check the job's log, then retry: dicom-send-batch retry."
_LOOK = "See the page of the run, which is attached to the session."
_NO_REPORT = "Check the job's log. A report is not found if the session was renamed after the job."
_NO_FILE = "Check that the session has files of type dicom, or set file_types."
_ADVICE = {"pending": _RUNNING, "running": _RUNNING, "cancelled": _CANCELLED, "failed": _FAILED}
"""Advice for each state of a job."""


def gather(
    batch: Batch,
    place_of: Callable[[Container], Place],
    jobs_on: Callable[[str], Iterable[Job]],
    read: Callable[[StoredFile], bytes],
    path: Path,
) -> list[Outcome]:
    """Write the rows of all reports to `path`, and return the outcome of each session.

    The table has the columns of this version. A cell is empty if a report lacks its column. A job
    without a valid report has one more row, whose status is the reason. `place_of` returns the
    place of a job's container, `jobs_on` the jobs on a session, `read` the content of a file.
    Raises SiteError if the site does not respond, and UsageError if the file cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            write = partial(write_row, file)
            write([*JOB, *names(FILES)])
            outcomes = [
                _gather_one(write, job, place_of, partial(_others, batch, job, jobs_on), read)
                for job in batch.newest
            ]
        part.replace(path)
    except OSError as exc:
        raise UsageError(f"--report-folder: cannot write {path}: {exc.strerror}") from exc
    finally:
        with suppress(OSError):
            part.unlink()
    return outcomes


def _gather_one(
    write: Callable[[Sequence[str]], object],
    job: Job,
    place_of: Callable[[Container], Place],
    others: Callable[[str], Iterable[Job]],
    read: Callable[[StoredFile], bytes],
) -> Outcome:
    seconds = (job.ended - job.started).total_seconds() if job.ended else None
    outcome = Outcome(job.container.id, "", job.id, job.state, seconds=seconds)
    rows: Sequence[Row] = ()
    problem = "no report"
    causes: tuple[tuple[str, int], ...] = ()
    try:
        place = place_of(job.container)
        outcome = replace(
            outcome,
            session_id=place.session.id,
            label=place.session.label,
            subject=place.session.subject,
            url=place.url,
        )
        if report := _newest_report(job, place, others):
            rows, problem = _rows(report.name, read(report))
            if rows and job.state == "failed":
                causes = _causes(place, report, read)
    except SiteError as exc:
        if not exc.is_final:
            raise
        if not rows:
            problem = str(exc)
    outcome = replace(_counted(outcome, job, rows, problem), causes=causes)
    own = (outcome.session_id, outcome.label, job.id, job.state)
    last = {"Status": problem if rows else outcome.reason}
    for row in (*rows, last) if problem or not rows else rows:
        write([*own, *(row.get(name, "") for name in names(FILES))])
    return outcome


def _others(
    batch: Batch, job: Job, jobs_on: Callable[[str], Iterable[Job]], session_id: str
) -> Iterator[Job]:
    """Yield the other jobs on a job's container, without those that the site hides."""
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
    """Return the newest report of a job on its whole container.

    The container may also have reports of single acquisitions and of other jobs. If the site does
    not name the job of a report, the report belongs to the only job that ran when it was attached.
    """
    name = files_pattern(place.report_label, is_dry=job.is_dry_run)
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
            other_jobs = list(others(place.session.id))
            own = [file for file in own if not any(job.ran_at(file.created) for job in other_jobs)]
    return max(own, key=lambda file: file.created, default=None)


def _causes(
    place: Place, report: StoredFile, read: Callable[[StoredFile], bytes]
) -> tuple[tuple[str, int], ...]:
    """Return the codes in the summary of a report, each with its number of images."""
    name = summary_beside(report.name)
    for file in place.files:
        if file.name == name and file.parent == report.parent:
            try:
                failed = json.loads(read(file))["failed"]
                return tuple(
                    (code, images)
                    for code, images in failed.items()
                    if _COUNT.fullmatch(str(images))
                )
            except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
                return ()
    return ()


def _rows(name: str, content: bytes) -> tuple[Sequence[Row], str]:
    """Return the rows of a report without damaged ones, and the problem with it, if any."""
    # The last line may have no end.
    table = read_table(io.BytesIO(content + b"\n"), needed(FILES))
    if table is None:
        return (), _INVALID
    found = list(table)
    rows = [row for row in found if row and all(_COUNT.fullmatch(row[name]) for name in _COUNTS)]
    if damaged := len(found) - len(rows):
        log.warning("Skipping %s in the report %s", quantity(damaged, "damaged row"), name)
    return rows, _INVALID if damaged else ""


def _counted(outcome: Outcome, job: Job, rows: Sequence[Row], problem: str) -> Outcome:
    """Return the outcome with the counts of the report, and with reason and advice."""
    # Only the exit code of a dry run says whether it would send all images.
    is_good_dry_run = job.is_dry_run and job.state == "complete"
    good = FileStatus.DRY_RUN if is_good_dry_run else FileStatus.COMPLETE
    complete = sum(row["Status"] == good for row in rows)
    is_short = complete < len(rows)
    if is_short and job.state in ("complete", "failed"):
        reason, advice = f"not all images {'would be' if job.is_dry_run else 'were'} sent", _LOOK
    elif job.state != "complete":
        reason, advice = job.reason, _ADVICE.get(job.state, "")
    elif problem:
        reason, advice = problem, _NO_REPORT
    else:
        reason, advice = ("", "") if rows else ("no files to send", _NO_FILE)
    return replace(
        outcome,
        images=sum(int(row["Images in Series"]) for row in rows),
        sent=sum(int(row["Images Sent"]) for row in rows),
        files=len(rows),
        complete_files=complete,
        reason=reason,
        advice=advice,
    )
