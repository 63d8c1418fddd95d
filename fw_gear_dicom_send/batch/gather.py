"""Merges the reports of a batch's jobs into one CSV, with few reports in memory at a time."""

import io
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from ..errors import SiteError, UsageError
from ..models import FileStatus
from ..report.csv_rows import Row, read_table, write_row
from ..report.output import remove
from ..report.schemas import FILES, JOB, names, needed
from ..report_names import files_pattern, summary_beside
from ..text import printable, quantity
from ..values import field, frozen
from .api import BatchAPI
from .models import WAITING, Batch, Job, JobResult, Place, StoredFile
from .parallel import in_order

log = logging.getLogger(__name__)

MAX_CODES = 100
"""Maximum number of codes that are read from a summary."""
MAX_TEXT = 500
"""Maximum number of characters of its cause and its advice."""

_COUNTS = ("Images in Series", "Images Sent")
_COUNT = re.compile(r"[0-9]{1,9}")
_CODE = re.compile(r"[a-z0-9-]{1,40}")
_INVALID = "the report is invalid"
_SLACK = timedelta(minutes=1)
"""Maximum time between the end of a job and the attachment of its report."""
_RUNNING = "Merge the reports again when the job has ended: dicom-send-batch gather."
_LOOK = "See the reports of the run, which are attached to the session."
_NO_REPORT = "Check the job's log. A report is not found if the session was renamed after the job."
_NO_FILE = "Check that the session has files of type dicom, or set file_types."
_ADVICE = {
    "pending": _RUNNING,
    "running": _RUNNING,
    "cancelled": "Start a new job: dicom-send-batch start --not-yet-sent.",
    "failed": "Check the job's log, then retry: dicom-send-batch retry.",
    WAITING: "Start the waiting jobs: dicom-send-batch follow.",
}
"""Advice for each state of a job."""


def gather(api: BatchAPI, batch: Batch, path: Path) -> list[JobResult]:
    """Write the rows of all reports to `path`, and return the result of each session's newest job.

    The table has the columns of this version. A cell is empty if a report lacks its column. A job
    without a valid report has one more row, whose status is the reason. Raises SiteError if the
    site does not respond, and UsageError if the file cannot be written.
    """
    # Another command may merge the same reports at the same time.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            write_row(file, [*JOB, *names(FILES)])
            results = []
            read = partial(_gather_one, api, batch)
            for rows, result in in_order(read, batch.newest, "Merging reports"):
                for row in rows:
                    write_row(file, row)
                results.append(result)
        part.replace(path)
    except OSError as exc:
        raise UsageError(f"--report-folder: cannot write {path}: {exc.strerror}") from exc
    finally:
        remove(part)
    return results


def _gather_one(api: BatchAPI, batch: Batch, job: Job) -> tuple[list[list[str]], JobResult]:
    """Return the rows of a job's session, and its result."""
    session_id, label, subject, url = job.container.id, "", "", ""
    rows: Sequence[Row] = ()
    summary = _NO_SUMMARY
    project = ""
    problem = "no report"
    try:
        place = api.place_of(job.container)
        session = place.session
        session_id, label, subject, url = session.id, session.label, session.subject, place.url
        if report := _newest_report(api, batch, job, place):
            rows, problem = _rows(report.name, api.read(report))
            if rows and job.state == "failed":
                summary = _summary(api, place, report)
        project = api.project(session.project_id).path
    except SiteError as exc:
        if not exc.is_final:
            raise
        if not rows:
            problem = str(exc)
    # Only the exit code of a dry run says whether it would send all images.
    is_good_dry_run = job.is_dry_run and job.state == "complete"
    good = FileStatus.DRY_RUN if is_good_dry_run else FileStatus.COMPLETE
    complete = sum(row["Status"] == good for row in rows)
    reason, advice = summary.cause, summary.advice
    if not reason:
        reason, advice = _reason(job, problem, len(rows), complete)
    own = (session_id, label, job.id, job.state)
    last = {"Status": problem if rows else reason}
    found = (*rows, last) if problem or not rows else rows
    return [[*own, *(row.get(name, "") for name in names(FILES))] for row in found], JobResult(
        label=label or session_id,
        subject=subject,
        url=url,
        state=job.state,
        seconds=(job.ended - job.started).total_seconds() if job.ended else None,
        images=sum(int(row["Images in Series"]) for row in rows),
        sent=sum(int(row["Images Sent"]) for row in rows),
        files=len(rows),
        complete_files=complete,
        reason=reason,
        advice=advice,
        codes={} if summary.cause else summary.codes,
        texts=summary.texts,
        is_explained=bool(summary.codes),
        project=project,
    )


def _reason(job: Job, problem: str, files: int, complete: int) -> tuple[str, str]:
    """Return why a session is incomplete, and the advice; two empty strings if it is complete."""
    if complete < files and job.state in ("complete", "failed"):
        return f"not all images {'would be' if job.is_dry_run else 'were'} sent", _LOOK
    if job.state != "complete":
        return job.reason, _ADVICE.get(job.state, "")
    if problem:
        return problem, _NO_REPORT
    return ("", "") if files else ("no files to send", _NO_FILE)


def _newest_report(api: BatchAPI, batch: Batch, job: Job, place: Place) -> StoredFile | None:
    """Return the newest report of a job on its whole container.

    The container may also have reports of single acquisitions and of other jobs. If the site does
    not name the job of a report, the report belongs to the only job that ran when it was attached.
    """
    if job.state == WAITING:
        return None
    name = files_pattern(place.report_label, is_dry=job.is_dry_run)
    reports = [file for file in place.files if name.fullmatch(file.name)]
    own = [file for file in reports if file.job_id == job.id]
    if not own:
        unnamed = [file for file in reports if not file.job_id and job.ran_at(file.created, _SLACK)]
        others = list(_others(api, batch, job, place.session.id)) if unnamed else []
        own = [file for file in unnamed if not any(other.ran_at(file.created) for other in others)]
    return max(own, key=lambda file: file.created, default=None)


def _others(api: BatchAPI, batch: Batch, job: Job, session_id: str) -> Iterator[Job]:
    """Yield the other jobs on a job's container, without those that the site hides."""
    found = {other.id: other for other in (*batch.jobs, *(api.jobs_on(session_id) or ()))}
    for other in found.values():
        if other.container == job.container and other.id != job.id:
            yield other


@frozen
class _Summary:
    """Parts of a run's summary: the codes with their images and texts, and its early end."""

    codes: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    cause: str = ""
    advice: str = ""


_NO_SUMMARY = _Summary()


def _summary(api: BatchAPI, place: Place, report: StoredFile) -> _Summary:
    """Return the summary beside a report, without what is not valid."""
    name = summary_beside(report.name)
    for file in place.files:
        if file.name == name and file.parent == report.parent:
            try:
                summary = json.loads(api.read(file))
                found = [
                    (code, int(images))
                    for code, images in summary["failed"].items()
                    if _CODE.fullmatch(code) and _COUNT.fullmatch(str(images))
                ]
                remarks = [
                    (str(remark["code"]), _text(remark["text"]))
                    for row in reversed(summary.get("files", ()))
                    for remark in reversed(row["remarks"])
                ]
                cause, advice = (_text(summary.get(part)) for part in ("cause", "advice"))
            except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
                break
            codes = dict(found[:MAX_CODES])
            texts = {code: text for code, text in remarks if code in codes}
            return _Summary(codes, texts, cause, advice)
    return _NO_SUMMARY


def _text(value: object) -> str:
    """Return a text of a summary in printable form, truncated if it is long."""
    return printable(value[:MAX_TEXT]) if isinstance(value, str) else ""


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
