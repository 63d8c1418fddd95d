"""Sequence of a run: select, check, send, verify, report."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from ..config import SendConfig
from ..delivery.sender import Sender
from ..errors import CancelledError, DicomSendError, NothingToSendError, WorkFolderError
from ..exit_codes import deferred_signals
from ..models import FileEntry, FileReport, Outcome, Selection
from ..reasons import Kind, Reason
from ..report.events import Observer, ObserverGroup
from ..report.file_counts import FileCounts
from ..report.progress import Progress
from ..report.publish import Reports, ReportSink, versions
from ..report.verification import Verifications
from ..report.wording import is_complete, status_of
from ..retry import RetryPolicy
from ..source import ImageSource
from ..text import quantity
from .known_images import KnownImages
from .quarantine import DEFAULT_QUARANTINE, QuarantinePolicy
from .rows import Rows
from .steps import Resources, is_missing, send
from .verify import VERIFY_POLICY, Verifier

log = logging.getLogger(__name__)


class ProgressFactory(Protocol):
    """Factory for progress displays."""

    def __call__(
        self, entries: Sequence[FileEntry], sender: Sender, /, *, is_dry: bool
    ) -> Progress:
        """Create the progress display of a run that sends `entries`, each a `noun`."""


@dataclass(frozen=True)
class Waits:
    """Waits of a run, besides those of its sender."""

    quarantine: QuarantinePolicy = DEFAULT_QUARANTINE
    verify: RetryPolicy = VERIFY_POLICY


DEFAULT_WAITS = Waits()

EarlierReports = Callable[[Path], Iterable[Path]]
"""Returns the paths of earlier per-image reports; downloads them to the given folder if needed."""


def run(
    config: SendConfig,
    source: ImageSource,
    sender: Sender,
    sink: ReportSink,
    *,
    work: Path,
    output: Path,
    observer: Observer | None = None,
    make_progress: ProgressFactory = Progress,
    waits: Waits = DEFAULT_WAITS,
    conclude: Callable[[Outcome], object] = lambda _: None,
    earlier_reports: EarlierReports | None = None,
) -> Outcome:
    """Send all files that the source selects, and write the reports.

    Args:
        config: How to send.
        source: Selects and fetches the files.
        sender: Sends the images.
        sink: Receives the reports. It decides whether a run that fails before the first
            image has a report.
        work: Folder for temporary data.
        output: Folder for reports that `sink` does not move elsewhere.
        observer: Gets the events of the run.
        make_progress: Creates the progress display.
        waits: Retry policies.
        conclude: Gets the outcome, even if the run raises an error.
        earlier_reports: Images that were sent according to these reports are skipped.

    Returns the outcome of the run.

    Raises ConfigError, UsageError or SiteError if the run cannot start. After the report, raises
    NothingToSendError if no file is selected, ServerError or WorkFolderError if no image can be
    sent, and CancelledError if a signal stops the run.
    """
    selection = source.select()
    reports = Reports(config, sender.server, selection, output, sink.time_format)
    watchers = ObserverGroup([*reports.observers, observer or Observer()])
    counts = FileCounts(selection.entries, is_dry=config.dry_run)
    sending = _Sending(config, sender, counts=counts, reports=reports, observer=watchers)
    error: DicomSendError | None = None
    try:
        if not selection.entries:
            _log_selection(selection, config, sender)
            raise NothingToSendError(sum(left_out.number for left_out in selection.left_out))
        with _temporary_folder(work) as folder:
            sender.check()
            _log_selection(selection, config, sender)
            known = KnownImages(sender.finder() if config.skip_existing else None)
            if earlier_reports:
                known.add_reports(earlier_reports(folder), sender.server.key)
            sending.run(source, folder, make_progress, waits, known)
    except DicomSendError as exc:
        error = exc
        raise
    finally:
        outcome = _conclude(sending, sink, error, conclude)
    return outcome


def _conclude(
    sending: "_Sending",
    sink: ReportSink,
    error: DicomSendError | None,
    conclude: Callable[[Outcome], object],
) -> Outcome:
    """Report a run. A signal ends it only after the report, which therefore cannot name it."""
    try:
        with deferred_signals():
            outcome = _report(sending, sink, error)
            conclude(outcome)
    except CancelledError as exc:
        log.error("%s", exc)
        raise
    return outcome


def _report(sending: "_Sending", sink: ReportSink, error: DicomSendError | None) -> Outcome:
    """Write and publish the reports, unless the run failed before its first image."""
    reports, verifications, facts = sending.reports, sending.verifications, sending.sender.facts()
    all_rows = sending.rows.current()
    has_started = any(row.images for row in all_rows) or not error
    rows = sink.rows(all_rows)
    reported = {row.entry for row in rows}
    reports.add_without_image(row for row in all_rows if row.entry not in reported)
    if verifications:
        sending.observer.verified(verifications.summary())
    sending.observer.done(rows)
    if not (has_started or sink.reports_failed_starts):
        reports.discard()
        return sending.outcome(rows, is_reported=True)
    given_up = facts.given_up.text if facts.given_up else ""
    is_reported = reports.publish(
        sink,
        rows,
        sending.sender.sections(),
        verifications,
        losses=facts.lost_at,
        cause=(str(error or "") or given_up) if has_started else "",
    )
    outcome = sending.outcome(rows, is_reported=is_reported)
    if not reports.publish_summary(sink, rows, outcome, error, verifications):
        outcome = replace(outcome, is_reported=False)
    reports.log_table(rows)
    return outcome


def _log_selection(selection: Selection, config: SendConfig, sender: Sender) -> None:
    """Log the number of files, and the files that are left out."""
    files = quantity(len(selection.entries), selection.origin.program.row_noun)
    log.info("Found %s to send to %s", files, sender.server.label)
    for left_out in selection.left_out:
        log.info("%s", left_out.text)
    if config.dry_run:
        log.info("Dry run: nothing is sent")


@contextmanager
def _temporary_folder(work: Path) -> Iterator[Path]:
    """Create a temporary folder in `work`."""
    try:
        folder = TemporaryDirectory(dir=work, ignore_cleanup_errors=True)
    except OSError as exc:
        raise WorkFolderError(f"Cannot write to the work folder: {exc.strerror}") from exc
    with folder as name:
        yield Path(name)


class _Sending:
    """Sending and verification of all files, with the results so far."""

    def __init__(
        self,
        config: SendConfig,
        sender: Sender,
        *,
        counts: FileCounts,
        reports: Reports,
        observer: Observer,
    ) -> None:
        self._config = config
        self.sender = sender
        self.reports = reports
        self.observer = observer
        self._counts = counts
        self.verifications: Verifications | None = None
        if config.verify != "none" and not config.dry_run:
            self.verifications = Verifications(config.verify)
        self.rows = Rows(self._counts, self.verifications)

    def outcome(self, rows: Sequence[FileReport], *, is_reported: bool) -> Outcome:
        """Return the outcome of the run; `rows` are the rows of its report."""
        verified, facts = self.verifications, self.sender.facts()
        is_verified = not verified or verified.summary().is_whole
        is_good = is_complete(rows)
        work = self.reports.work()
        return Outcome(
            status=status_of(rows, is_success=is_good and is_reported and is_verified),
            is_complete=is_good,
            is_reported=is_reported,
            is_verified=is_verified,
            images=sum(row.images for row in rows),
            sent=sum(row.sent for row in rows),
            already_stored=sum(row.already_stored for row in rows),
            bytes=sum(work.bytes),
            seconds=work.seconds,
            retries=facts.retries,
            lost_associations=facts.losses,
            given_up=facts.given_up.text if facts.given_up else "",
            versions=versions(),
        )

    def run(
        self,
        source: ImageSource,
        folder: Path,
        make_progress: ProgressFactory,
        waits: Waits,
        known: KnownImages,
    ) -> None:
        """Send and verify all images."""
        config, sender = self._config, self.sender
        with ExitStack() as stack:
            stack.callback(sender.abort)
            progress = make_progress(self._counts.entries, sender, is_dry=config.dry_run)
            stack.enter_context(progress)
            verifier = None
            if self.verifications:
                inquirer = sender.inquirer(config.verify)
                verifier = Verifier(inquirer, self.verifications, waits.verify)
            resources = Resources(
                config,
                source,
                folder,
                sender,
                ObserverGroup([progress, self.observer], [verifier] if verifier else []),
                known,
                waits.quarantine,
            )
            send(resources, self._counts)
            if verifier:
                self._verify(resources, verifier)
            sender.close()

    def _verify(self, resources: Resources, verifier: Verifier) -> None:
        """Resend missing images once, and report those that are still missing."""
        missing = verifier.missing()
        if not missing:
            return
        images = quantity(sum(map(len, missing.values())), "image")
        log.warning("Resending %s: acknowledged, but missing on the server", images)
        self.reports.start_resending()
        self.rows.start_resending(missing)
        resent = FileCounts(missing)
        once_more = replace(resources, known=KnownImages())
        send(once_more, resent, partial(is_missing, resources, missing))
        absent = verifier.missing()
        self.rows.merge(resent.reports(), missing, absent)
        for entry, uids in absent.items():
            for uid in uids:
                self.reports.mark_missing(entry, uid, Reason(Kind.NOT_STORED))
