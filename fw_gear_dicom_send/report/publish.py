"""Writing and delivery of all reports of a run."""

import json
import logging
import platform
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from .. import __version__
from ..config import SendConfig
from ..delivery.sender import ServerName
from ..errors import DicomSendError, SiteError
from ..left_out import LeftOutFiles
from ..models import Container, Exclusion, FileEntry, FileReport, LeftOut, Outcome, Selection
from ..reasons import Kind, Program, Reason
from ..report_names import Report, report_name
from ..sections import Section
from ..text import quantity
from . import files_csv, run_page
from .events import Observer, surviving
from .images_csv import ImagesCSV
from .modality_counts import ModalityCounts
from .output import write_whole
from .reason_groups import ImageExamples
from .skipped import SkippedFiles
from .summary import RunFacts, summary
from .throughput import Throughput, ThroughputCounts
from .verification import Verifications, VerificationSummary
from .wording import image_counts, number_of_images_with

log = logging.getLogger(__name__)

_LIBRARIES = ("pynetdicom", "pydicom", "flywheel-gear-toolkit", "fw-core-client")


def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of this package, of Python and of libraries."""
    own = [("dicom-send", __version__), ("Python", platform.python_version())]
    return (*own, *((name, version(name)) for name in _LIBRARIES))


class ReportSink(Protocol):
    """Receiver of the reports of a run.

    `time_format` is the format of the time in their names. `reports_failed_starts` enables reports
    of runs that fail before the first image.
    """

    time_format: str
    reports_failed_starts: bool

    def rows(self, reports: Sequence[FileReport]) -> Sequence[FileReport]:
        """Return the rows that belong in the report."""

    def deliver(self, parent: Container, path: Path, /) -> bool:
        """Deliver a report; return whether the caller can delete the file.

        Raises SiteError if the sink refuses the report.
        """


class Reports:
    """Enabled reports of a run: report on files, per-image report, page and summary."""

    def __init__(
        self,
        config: SendConfig,
        server: ServerName,
        selection: Selection,
        output: Path,
        time_format: str,
    ) -> None:
        """Start the reports in `output`; `time_format` is the format of the time in their names."""
        self._config = config
        self._server = server
        self._selection = selection
        self._program = selection.origin.program
        self._output = output
        self._started = datetime.now().astimezone()
        self._time = f"{self._started:{time_format}}"
        self._throughput = Throughput()
        self._skipped = SkippedFiles()
        self._modalities = ModalityCounts()
        self._examples = ImageExamples()
        self._without_image: Sequence[LeftOut] = ()
        self._written: Sequence[Report] = ()
        self._is_refused = False
        self.images: ImagesCSV | None = None
        if config.report and config.instance_report:
            self.images = ImagesCSV(self._path(Report.IMAGES), server.key, self._program)

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Observers that collect data for the reports."""
        counts = (self._throughput, self._skipped, self._modalities, self._examples)
        return (*counts, self.images) if self.images else counts

    def start_resending(self) -> None:
        """From now on, let resent images replace their earlier results."""
        self._modalities.start_resending()
        if self.images:
            self.images.start_resending()

    def mark_missing(self, entry: FileEntry, sop_instance_uid: str, reason: Reason) -> None:
        """Change a resent image to not sent."""
        self._examples.mark_missing(entry, sop_instance_uid, reason)
        if self.images:
            self.images.mark_missing(entry, sop_instance_uid, reason)

    def add_without_image(self, reports: Iterable[FileReport]) -> None:
        """Note the files without a row: archives that contain no image."""
        passed_over = LeftOutFiles()
        for report in reports:
            if report.entry.is_any_archive:
                passed_over.add(Exclusion.NO_IMAGE, report.entry.name)
        self._without_image = passed_over.counted()

    def publish(
        self,
        sink: ReportSink,
        rows: Sequence[FileReport],
        sections: Sequence[Section],
        verifications: Verifications | None = None,
        *,
        losses: Sequence[float] = (),
        cause: str = "",
    ) -> bool:
        """Log the results, and write and deliver all reports except the summary.

        Args:
            sink: Receives the reports.
            rows: Rows of the report on files. They are logged if that report cannot be written.
            sections: Sections about the server, for the page.
            verifications: Verdict on each image, None without the option `verify`.
            losses: Times of lost associations, on the clock of the retry policies.
            cause: Reason why the run ended early; it is logged first.

        Returns whether all enabled reports were written completely.
        """
        if cause:
            log.error("%s", cause)
        for left_out in self._without_image:
            log.info("%s", left_out.text)
        for line in files_csv.render_remarks(rows):
            log.warning("%s", line)
        if self._program is Program.GEAR:  # the closing line of the command has the counts
            log.info("%s", image_counts(*rows))
        if number := number_of_images_with(Kind.CONVERTED_AS_ASKED, rows):
            log.info("%s converted (option conversion)", quantity(number, "image"))
        summary = verifications.summary() if verifications else None
        if summary:
            log.log(logging.INFO if summary.is_whole else logging.WARNING, "%s", summary.text)
        if self._skipped.text:
            log.info("%s", self._skipped.text)
        is_whole = True
        if self._config.report:
            text = files_csv.render_csv(rows, self._program)
            reports = {Report.FILES: self._write(Report.FILES, text)}
            if not reports[Report.FILES]:
                log.error("Rows of the report:\n%s", text.rstrip())
            if self.images and (self.images.close(verifications) or self.images.has_failed):
                reports[Report.IMAGES] = not self.images.has_failed
            if self._config.html_report:
                has_images = reports.get(Report.IMAGES, False)
                facts = partial(self._facts, sections, summary, losses, has_images)
                reports[Report.PAGE] = self._page(rows, facts)
            is_whole = all(reports.values())
            self._written = [report for report, is_written in reports.items() if is_written]
            self._deliver(sink, self._written)
        return is_whole

    def discard(self) -> None:
        """Close the reports of a run that never started."""
        if self.images:
            self.images.close()

    def publish_summary(
        self,
        sink: ReportSink,
        rows: Sequence[FileReport],
        outcome: Outcome,
        error: DicomSendError | None,
        verifications: Verifications | None = None,
    ) -> bool:
        """Write and deliver the summary if it is enabled; return False if it cannot be written."""
        if not (self._config.report and self._config.summary_report):
            return True
        text = json.dumps(
            summary(
                RunFacts(
                    exit_code=error.exit_code if error else outcome.exit_code,
                    config=self._config,
                    outcome=outcome,
                    rows=rows,
                    verification=verifications.summary() if verifications else None,
                    skipped=self._skipped.by_name(),
                    left_out=self._selection.left_out,
                    reports=[self._path(report).name for report in self._written],
                    error=str(error or ""),
                )
            ),
            indent=2,
        )
        is_written = self._write(Report.SUMMARY, f"{text}\n")
        if is_written:
            self._deliver(sink, [Report.SUMMARY])
        return is_written

    def log_table(self, rows: Sequence[FileReport]) -> None:
        """Log the report on files as a table, which ends the log of the gear.

        The command has logged each path, and its closing line has the counts.
        """
        if self._program is Program.GEAR:
            log.info("%s\n%s", self._text(Report.FILES).capitalize(), files_csv.render_table(rows))

    def work(self) -> ThroughputCounts:
        """Return the throughput so far."""
        return self._throughput.counts()

    def _page(self, rows: Sequence[FileReport], facts: Callable[[], run_page.Facts]) -> bool:
        """Write the page about the run."""
        with surviving("The page about the run"):
            return self._write(Report.PAGE, run_page.render(rows, facts()))
        return False

    def _write(self, report: Report, text: str) -> bool:
        """Write a report; return whether it is written."""
        try:
            write_whole(self._path(report), text)
        except OSError as exc:
            folder = "output" if self._program is Program.GEAR else "report"
            log.error("Cannot write the %s to the %s folder: %s", report.text, folder, exc.strerror)
            return False
        return True

    def _deliver(self, sink: ReportSink, reports: Iterable[Report]) -> None:
        """Deliver reports until one is refused; it and the rest stay in the output folder."""
        parent = self._selection.report_parent
        for report in reports if not self._is_refused else ():
            path, name = self._path(report), self._text(report)
            try:
                is_gone = sink.deliver(parent, path)
            except SiteError as exc:
                log.warning(
                    "Flywheel did not accept the %s: %s. It stays in the output folder, like all "
                    "further reports; the engine attaches them",
                    name,
                    exc,
                )
                self._is_refused = True
                return
            if is_gone:
                path.unlink()
                log.info("The %s is attached to the %s: %s", name, parent.type, path.name)
            else:
                log.info("The %s is in %s", name, path)

    def _text(self, report: Report) -> str:
        """Return the name of a report for the log."""
        return f"{report.text} of a dry run" if self._config.dry_run else report.text

    def _path(self, report: Report) -> Path:
        label, is_dry = self._selection.report_label, self._config.dry_run
        return self._output / report_name(report, label, self._time, is_dry=is_dry)

    def _facts(
        self,
        sections: Sequence[Section],
        verification: VerificationSummary | None,
        losses: Sequence[float],
        has_images: bool,
    ) -> run_page.Facts:
        """Return the facts for the page; `has_images` says whether there is a per-image report."""
        config, label = self._config, self._selection.report_label
        origin = self._selection.origin
        return run_page.Facts(
            title=f"DICOM send: {label}" + (" (dry run: nothing was sent)" * config.dry_run),
            started=self._started,
            throughput=self._throughput.counts(losses),
            server=self._server,
            sections=sections,
            origin=origin,
            verification=verification,
            modalities=self._modalities.counts(),
            is_series_cut=self._modalities.is_cut,
            examples=self._examples,
            files_csv=self._path(Report.FILES).name,
            images_csv=self._path(Report.IMAGES).name if has_images else "",
            skipped=self._skipped.text,
            left_out=[files.text for files in (*self._selection.left_out, *self._without_image)],
            config=[
                (origin.program.option(option.name), option.show(value))
                for option, value in config.in_effect()
            ],
            versions=versions(),
        )
