"""Writing and delivery of all reports of a run."""

import json
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Protocol

from .. import __version__
from ..account import Account
from ..config import SendConfig
from ..delivery.sender import Sender, ServerKey
from ..errors import DicomSendError, SiteError
from ..left_out import LeftOutFiles
from ..models import Container, Exclusion, FileEntry, FileReport, Selection
from ..reasons import Kind, Program, Reason, Skipped
from ..report_names import TIME_FORMAT, Report, report_name
from ..text import quantity
from ..values import replace
from . import files_csv, run_page, schemas
from .events import Observer, surviving
from .image_notes import ImageNotes, missing_text
from .images_csv import ImagesCSV
from .modality_counts import ModalityCounts
from .output import write_whole
from .reason_groups import ImageExamples, main_cause
from .result_line import result_line
from .throughput import Throughput
from .verification import Verifications
from .wording import image_counts, skipped_files

log = logging.getLogger(__name__)

_LIBRARIES = ("pynetdicom", "pydicom", "flywheel_gear_toolkit", "fw_core_client")
_INSTALLED = re.compile(rf"({'|'.join(_LIBRARIES)})-([^-]+).*\.(?:dist|egg)-info")


def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions of this package, of Python and of installed libraries.

    `importlib.metadata` takes 0.02 s to import.
    """
    found = {}
    for folder in reversed(sys.path):
        with suppress(OSError):
            for name in filter(None, map(_INSTALLED.fullmatch, os.listdir(folder or os.curdir))):
                found[name[1]] = name[2]
    own = [("dicom-send", __version__), ("Python", sys.version.split()[0])]
    return (*own, *((name.replace("_", "-"), found[name]) for name in _LIBRARIES if name in found))


class ReportSink(Protocol):
    """Receiver of the reports of a run.

    `reports_failed_starts` enables reports of runs that fail before the first image.
    """

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
        server: ServerKey,
        selection: Selection,
        output: Path,
    ) -> None:
        """Start the reports in `output`."""
        self._config = config
        self._selection = selection
        self._program = selection.origin.program
        self._output = output
        self._started = datetime.now().astimezone()
        self._time = self._free_time()
        self._throughput = Throughput()
        self._modalities = ModalityCounts()
        self._examples = ImageExamples()
        self._notes = ImageNotes()
        self._written: list[Report] = []
        self._is_whole = True
        self._is_refused = False
        self._is_kept = False
        self.images: ImagesCSV | None = None
        if Report.IMAGES in config.report_files:
            self.images = ImagesCSV(self._path(Report.IMAGES), server, self._program)

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Observers that collect data for the reports."""
        counts = (self._throughput, self._modalities, self._examples, self._notes)
        return (*counts, self.images) if self.images else counts

    def start_resending(self) -> None:
        """From now on, let resent images replace their earlier results."""
        self._throughput.start_resending()
        self._modalities.start_resending()
        self._notes.start_resending()
        if self.images:
            self.images.start_resending()

    def mark_missing(self, entry: FileEntry, sop_instance_uid: str, reason: Reason) -> None:
        """Change a resent image to not sent."""
        self._examples.mark_missing(entry, sop_instance_uid, reason)
        if self.images:
            self.images.mark_missing(entry, sop_instance_uid, reason)

    def account(
        self,
        sender: Sender,
        all_rows: Sequence[FileReport],
        rows: Sequence[FileReport],
        verifications: Verifications | None,
        error: DicomSendError | None,
    ) -> Account:
        """Return the account of the run; `rows` are those of `all_rows` in the report."""
        passed_over = LeftOutFiles()
        skipped: Counter[Skipped] = Counter()
        places = {row.entry.parent for row in rows}
        for row in all_rows:
            skipped.update(dict(row.skipped))
            if self._program is Program.COMMAND and row.entry.parent not in places:
                places.add(row.entry.parent)
                passed_over.add(Exclusion.NO_IMAGE_BELOW, row.entry.parent.id)
        config, selection, facts = self._config, self._selection, sender.facts()
        note = " (dry run: nothing was sent)" * config.dry_run
        return Account(
            server=config.server,
            options=tuple(config.in_effect()),
            warnings=config.warnings,
            title=f"DICOM send: {selection.report_label}{note}",
            origin=selection.origin,
            left_out=selection.left_out,
            started=self._started,
            rows=rows,
            without_image=passed_over.counted(),
            skipped={kind: skipped[kind] for kind in Skipped if skipped[kind]},
            verification=verifications.summary() if verifications else None,
            throughput=self._throughput.counts(facts.lost_at),
            modalities=self._modalities.counts(),
            is_series_cut=self._modalities.is_cut,
            examples=self._examples.counted(),
            missing_identifiers=dict(self._notes.missing),
            other_content=dict(self._notes.content),
            retries=facts.retries,
            losses=facts.losses,
            given_up=facts.given_up,
            sections=sender.sections(),
            versions=versions(),
            error=error,
        )

    def publish(
        self, sink: ReportSink, account: Account, verifications: Verifications | None = None
    ) -> Account:
        """Log the results, write and deliver all enabled reports, and return the account of them.

        `verifications` are the verdicts on each image, None without the option `verify`. If the
        report on files cannot be written, its rows are logged.
        """
        self._log(account)
        account = self._publish(sink, account, verifications)
        if self._program is Program.GEAR:
            # The closing line of the command has the counts.
            if account.has_started:
                level = logging.INFO if account.is_success else logging.ERROR
                log.log(level, "%s", result_line(account, account.server.label))
            title = self._text(Report.FILES).capitalize()
            log.info("%s\n%s", title, files_csv.render_table(account.rows))
        return account

    def discard(self) -> None:
        """Close the reports of a run that never started."""
        if self.images:
            self.images.close()

    def _log(self, account: Account) -> None:
        """Log the results, the reason why the run ended early or sent nothing first."""
        cause = main_cause(account)
        if account.has_started and cause and not account.is_cancelled:
            log.error("%s", cause)
        for left_out in account.without_image:
            log.info("%s", left_out.text)
        for line in files_csv.render_remarks(account.rows):
            log.warning("%s", line)
        if self._program is Program.GEAR:  # the closing line of the command has the counts
            log.info("%s", image_counts(*account.rows))
        if number := account.images_with(Kind.CONVERTED_AS_ASKED):
            log.info("%s converted (option conversion)", quantity(number, "image"))
        if number := account.images_with(Kind.NOT_LOOKED_UP):
            log.warning("%s not looked up on the server, so not skipped", quantity(number, "image"))
        if checked := account.verification:
            log.log(logging.INFO if checked.is_whole else logging.WARNING, "%s", checked.text)
        if used := account.connections:
            log.log(logging.INFO if self._program is Program.GEAR else logging.DEBUG, used.text)
        if account.skipped:
            log.info("%s", skipped_files(account.skipped))
        if account.is_dry and (missing := missing_text(account.missing_identifiers)):
            log.warning("%s", missing)

    def _publish(
        self, sink: ReportSink, account: Account, verifications: Verifications | None
    ) -> Account:
        chosen = self._config.report_files
        if Report.FILES in chosen:
            text = files_csv.render_csv(account.rows, self._program)
            if not self._write(Report.FILES, text):
                log.error("Rows of the report:\n%s", text.rstrip())
        if self.images:
            if self.images.close(verifications):
                self._written.append(Report.IMAGES)
            self._is_whole &= not self.images.has_failed
        if Report.PAGE in chosen:
            with surviving("The page about the run"):
                self._write(Report.PAGE, run_page.render(self._with_reports(account)))
            self._is_whole &= Report.PAGE in self._written
        account = self._with_reports(account)
        self._deliver(sink, self._written)
        if Report.SUMMARY in chosen:
            summary = json.dumps(schemas.summary(account), indent=2)
            if self._write(Report.SUMMARY, f"{summary}\n"):
                self._deliver(sink, [Report.SUMMARY])
        if self._is_kept:
            of_run = " of a dry run" if self._config.dry_run else ""
            log.info("The reports%s are in %s", of_run, self._output)
        return self._with_reports(account)

    def _with_reports(self, account: Account) -> Account:
        """Return an account of the reports that are written so far."""
        names = [self._path(report).name for report in self._written]
        return replace(account, reports=names, is_reported=self._is_whole)

    def _write(self, report: Report, text: str) -> bool:
        """Write a report; return whether it is written."""
        try:
            write_whole(self._path(report), text)
        except OSError as exc:
            self._is_whole = False
            folder = "output" if self._program is Program.GEAR else "report"
            log.error("Cannot write the %s to the %s folder: %s", report.text, folder, exc.strerror)
            return False
        self._written.append(report)
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
            self._is_kept |= not is_gone

    def _text(self, report: Report) -> str:
        """Return the name of a report for the log."""
        return f"{report.text} of a dry run" if self._config.dry_run else report.text

    def _free_time(self) -> str:
        """Return the first time from the start on that no other report in the folder has."""
        for seconds in count():
            self._time = f"{self._started + timedelta(seconds=seconds):{TIME_FORMAT}}"
            if not any(os.path.isfile(self._path(report)) for report in Report):
                break
        return self._time

    def _path(self, report: Report) -> Path:
        label, is_dry = self._selection.report_label, self._config.dry_run
        return self._output / report_name(report, label, self._time, is_dry=is_dry)
