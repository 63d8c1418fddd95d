"""Collects the results of a run for the closing line and the JSON summary."""

from collections.abc import Sequence

from ..config import SendConfig
from ..errors import ExitCode
from ..left_out import LeftOutFiles
from ..models import FileReport, Outcome
from ..report.events import Observer
from ..report.skipped import SkippedFiles
from ..report.summary import RunFacts
from ..report.verification import VerificationSummary
from .local_source import LocalReports


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
