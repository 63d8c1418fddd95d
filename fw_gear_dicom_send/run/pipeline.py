"""Sequence of a run: select, check, send, verify, report."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ..account import Account
from ..config import SendConfig
from ..delivery.sender import Sender
from ..errors import CancelledError, DicomSendError, NothingToSendError, WorkFolderError
from ..exit_codes import deferred_signals
from ..models import Selection
from ..reasons import Kind, Reason, texts
from ..report.events import Observer, ObserverGroup
from ..report.file_counts import FileCounts
from ..report.progress import Progress
from ..report.publish import Reports, ReportSink
from ..report.verification import Verifications
from ..retry import RetryPolicy
from ..source import ImageSource
from ..text import quantity, sentence
from ..values import frozen, replace
from .concurrency import AdaptiveLimit
from .first_encoding import first_encoding
from .freed_memory import keep_freed_memory
from .known_images import KnownImages
from .quarantine import DEFAULT_QUARANTINE, QuarantinePolicy
from .rows import Rows
from .steps import Resources, is_missing, send
from .verify import VERIFY_POLICY, Verifier

log = logging.getLogger(__name__)


@frozen
class Waits:
    """Waits of a run, besides those of its sender."""

    quarantine: QuarantinePolicy = DEFAULT_QUARANTINE
    verify: RetryPolicy = VERIFY_POLICY


DEFAULT_WAITS = Waits()

ProgressFactory = Callable[..., Progress]
"""Creates the progress display from the files, the sender and `is_dry`."""
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
    conclude: Callable[[Account], object] = lambda _: None,
    earlier_reports: EarlierReports | None = None,
) -> Account:
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
        conclude: Gets the account, even if the run raises an error.
        earlier_reports: Images that were sent according to these reports are skipped.

    Returns the account of the run.

    Raises ConfigError, UsageError or SiteError if the run cannot start. After the report, raises
    NothingToSendError if no file is selected, ServerError or WorkFolderError if no image can be
    sent, and CancelledError if a signal stops the run.
    """
    texts()
    selection = source.select()
    sending = _Sending(
        config, sender, sink, selection=selection, output=output, observer=observer or Observer()
    )
    error: DicomSendError | None = None
    try:
        if not selection.entries:
            _log_selection(selection, config)
            raise NothingToSendError(sum(left_out.number for left_out in selection.left_out))
        with _temporary_folder(work) as folder:
            # The first image may need the association of a study, or be skipped.
            is_next = not (config.association_per_study or earlier_reports)
            first = selection.first if is_next else None
            sender.check(first_encoding(first, config.names, folder))
            _log_selection(selection, config)
            keep_freed_memory(selection.entries)
            known = KnownImages(sender.finder() if config.skip_existing else None)
            if earlier_reports:
                known.add_reports(earlier_reports(folder), config.server.key)
            sending.run(source, folder, make_progress, waits, known)
    except DicomSendError as exc:
        error = exc
        raise
    finally:
        account = _conclude(sending, error, conclude)
    return account


def _conclude(
    sending: "_Sending",
    error: DicomSendError | None,
    conclude: Callable[[Account], object],
) -> Account:
    """Report a run. A signal ends it only after the report, which therefore cannot name it."""
    try:
        with deferred_signals():
            account = sending.report(error)
            conclude(account)
    except CancelledError as exc:
        log.error("%s", exc)
        raise
    return account


def _log_selection(selection: Selection, config: SendConfig) -> None:
    """Log the number of files, and the files that are left out."""
    files = quantity(len(selection.entries), selection.origin.program.row_noun)
    log.info("Found %s to send to %s", files, config.server.label)
    for warning in config.warnings:
        log.warning("%s", sentence(warning))
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
        raise WorkFolderError(str(exc.strerror)) from exc
    with folder as name:
        yield Path(name)


class _Sending:
    """Sending and verification of all files, with the results so far."""

    def __init__(
        self,
        config: SendConfig,
        sender: Sender,
        sink: ReportSink,
        *,
        selection: Selection,
        output: Path,
        observer: Observer,
    ) -> None:
        self._config = config
        self._sender = sender
        self._sink = sink
        self._reports = Reports(config, config.server.key, selection, output)
        self._observer = ObserverGroup([*self._reports.observers, observer])
        self._counts = FileCounts(selection.entries, is_dry=config.dry_run)
        self._verifications: Verifications | None = None
        if config.verify != "none" and not config.dry_run:
            self._verifications = Verifications(config.server.proofs[config.verify])
        self._rows = Rows(self._counts, self._verifications)
        self._limit: AdaptiveLimit | None = None

    def report(self, error: DicomSendError | None) -> Account:
        """Publish the reports, unless the run failed before its first image."""
        reports, sink, verifications = self._reports, self._sink, self._verifications
        rows = self._rows.current()
        account = reports.account(self._sender, rows, sink.rows(rows), verifications, error)
        if self._limit:
            by_study, facts = self._config.association_per_study, self._sender.facts()
            account = replace(account, connections=self._limit.used(facts, by_study=by_study))
        if account.has_started or sink.reports_failed_starts:
            return reports.publish(sink, account, verifications)
        reports.discard()
        return account

    def run(
        self,
        source: ImageSource,
        folder: Path,
        make_progress: ProgressFactory,
        waits: Waits,
        known: KnownImages,
    ) -> None:
        """Send and verify all images."""
        config, sender = self._config, self._sender
        with ExitStack() as stack:
            stack.callback(sender.abort)
            progress = make_progress(list(self._counts), sender, is_dry=config.dry_run)
            stack.enter_context(progress)
            verifier = None
            if self._verifications:
                inquirer = sender.inquirer(config.verify)
                verifier = Verifier(inquirer, self._verifications, waits.verify, progress.note)
            resources = Resources(
                config,
                source,
                folder,
                sender,
                ObserverGroup([progress, self._observer], [verifier] if verifier else []),
                known,
                waits.quarantine,
            )
            self._limit = resources.limit
            send(resources, self._counts)
            if verifier:
                self._verify(resources, verifier, progress)
            sender.close()

    def _verify(self, resources: Resources, verifier: Verifier, progress: Progress) -> None:
        """Resend missing images once, and report those that are still missing."""
        missing = verifier.missing()
        if not missing:
            return
        images = quantity(sum(map(len, missing.values())), "image")
        log.warning("Resending %s: acknowledged, but missing on the server", images)
        progress.note(f"resending {images}")
        progress.start_resending()
        self._reports.start_resending()
        self._rows.start_resending(missing)
        resent = FileCounts(missing)
        once_more = replace(resources, known=KnownImages())
        send(once_more, resent, partial(is_missing, resources, missing))
        absent = verifier.missing()
        self._rows.merge(resent.reports(), missing, absent)
        for entry, uids in absent.items():
            for uid in uids:
                self._reports.mark_missing(entry, uid, Reason(Kind.NOT_STORED))
