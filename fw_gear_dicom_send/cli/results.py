"""Results of a run for the JSON summary, and for the closing line of the log."""

import logging
from collections.abc import Sequence
from pathlib import Path

from ..config import SendConfig
from ..errors import ExitCode
from ..left_out import LeftOutFiles
from ..models import FileReport, Outcome
from ..report.events import Observer
from ..report.skipped import SkippedFiles
from ..report.summary import RunFacts
from ..report.verification import VerificationSummary
from ..report.wording import at_least
from ..report_names import Report
from ..text import duration, quantity
from . import server_words
from .local_source import LocalReports

log = logging.getLogger(__name__)
# --quiet hides all other lines of this level.
log.setLevel(logging.INFO)


class Results(Observer):
    """Results of a run so far."""

    def __init__(self) -> None:
        """Start without results."""
        self.error = ""
        self.exit_code: int = ExitCode.NOT_ALL_SENT
        self.reports = LocalReports()
        self.left_out = LeftOutFiles()
        self.config: SendConfig | None = None
        self.outcome: Outcome | None = None
        self._rows: Sequence[FileReport] = ()
        self._verification: VerificationSummary | None = None
        self._skipped = SkippedFiles()

    def verified(self, summary: VerificationSummary) -> None:
        """Keep the result of the verification."""
        self._verification = summary

    def file(self, report: FileReport) -> None:
        """Count the skipped files."""
        self._skipped.file(report)

    def done(self, rows: Sequence[FileReport]) -> None:
        """Keep the rows of the report."""
        self._rows = rows

    def conclude(self, outcome: Outcome) -> None:
        """Keep the outcome of the run."""
        self.outcome = outcome

    @property
    def has_started(self) -> bool:
        """Whether the run reached its first image, or ended without images and errors."""
        return bool(self.outcome and (self.outcome.images or not self.error))

    def facts(self) -> RunFacts:
        """Return all results."""
        return RunFacts(
            exit_code=self.exit_code,
            config=self.config,
            outcome=self.outcome,
            rows=self._rows,
            verification=self._verification,
            skipped=self._skipped.by_name(),
            left_out=self.left_out.counted(),
            reports=[str(path) for path in self.reports.paths],
            error=self.error,
        )


def log_result(facts: RunFacts, seconds: float) -> None:
    """Log the result of a run, which took `seconds`, as one line."""
    outcome, config = facts.outcome, facts.config
    if not (outcome and config):
        return
    parts = [f"{_counts(facts, outcome, config)} in {duration(seconds)}"]
    rows = facts.rows
    if unreached := sum(row.is_unreached for row in rows):
        parts.append(f"{unreached:,} of {quantity(len(rows), 'path')} not processed")
    incomplete = sum(not row.is_complete for row in rows) - unreached
    if facts.verification and not facts.verification.is_whole:
        parts.append(f"{outcome.images - facts.verification.verified:,} not verified")
    if incomplete and _missing(facts, outcome) == 0:
        parts.append(f"{incomplete:,} of {quantity(len(rows), 'path')} without DICOM images")
    if not outcome.is_reported:
        parts.append("a report could not be written")
    page = next((path for path in facts.reports if path.endswith(Report.PAGE.suffix)), "")
    if report := page or next(iter(facts.reports), ""):
        parts.append(f"see {_short(report)}")
    level = logging.INFO if facts.exit_code == ExitCode.SUCCESS else logging.ERROR
    log.log(level, "%s", "; ".join(parts))


def _missing(facts: RunFacts, outcome: Outcome) -> int:
    """Return the number of images that are neither on the server nor planned by a dry run."""
    planned = sum(row.planned or 0 for row in facts.rows)
    return outcome.images - outcome.sent - outcome.already_stored - planned


def _counts(facts: RunFacts, outcome: Outcome, config: SendConfig) -> str:
    peer = config.peer
    server = server_words.word_of(peer.called_ae, peer.host, peer.port)
    images, already = outcome.images, outcome.already_stored
    if not images:
        return f"No images found to send to {server}"
    would = "would be sent" if config.dry_run else "sent"
    if missing := _missing(facts, outcome):
        verb = "would not be sent" if config.dry_run else "not sent"
        return (
            f"{missing:,} of {at_least(facts.rows)}{quantity(images, 'image')} {verb} to {server}"
        )
    there = f" ({already:,} already there)" if already else ""
    return f"{quantity(images - already, 'image')} {would} to {server}{there}"


def _short(path: str) -> str:
    """Return a path relative to the current folder if it is below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
