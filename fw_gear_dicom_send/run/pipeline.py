"""Sequence of a run: select, check, send, verify, report."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

from ..errors import DicomSendError, NothingToSendError, WorkFolderError
from ..models import FileEntry, FileReport, Outcome, Remark, Selection, SendConfig
from ..network import identity, preflight, tls
from ..network.association import resolve
from ..network.contexts import Context
from ..network.store import RESEND_POLICY, StorageSCU
from ..network.throttle import Throttle
from ..network.timeouts import DEFAULT_TIMEOUTS, Timeouts
from ..network.transport import Transport
from ..network.types import UserIdentity
from ..reasons import Kind, Reason
from ..report.events import Observer, ObserverGroup
from ..report.file_counts import FileCounts
from ..report.progress import Progress, Sender
from ..report.publish import ReportDestination, Reports, versions
from ..report.verification import Verifications
from ..report.wording import is_complete, status_of
from ..retry import RetryPolicy
from ..source import ImageSource
from ..text import MEGABYTE, quantity
from .conversion import Conversion
from .earlier_images import earlier_images
from .existing_images import ExistingImages
from .quarantine import DEFAULT_QUARANTINE, QuarantinePolicy
from .sent_images import SentImages
from .steps import Resources, is_missing, send
from .verify import VERIFY_POLICY, Verifier
from .work_folder import InnerRoom, WorkFolder

if TYPE_CHECKING:
    from ..network.commitment_listener import CommitmentListener
    from ..network.inquiry import Inquirer
    from ..network.query import FindSCU

log = logging.getLogger(__name__)


class ProgressFactory(Protocol):
    """Factory for progress displays."""

    def __call__(
        self, entries: Sequence[FileEntry], sender: Sender, /, *, is_dry: bool
    ) -> Progress:
        """Create the progress display of a run that sends `entries`, each a `noun`."""


@dataclass(frozen=True)
class Waits:
    """Timeouts and retry policies of a run."""

    timeouts: Timeouts = DEFAULT_TIMEOUTS
    resend: RetryPolicy = RESEND_POLICY
    quarantine: QuarantinePolicy = DEFAULT_QUARANTINE
    verify: RetryPolicy = VERIFY_POLICY


DEFAULT_WAITS = Waits()

EarlierReports = Callable[[Path], Iterable[Path]]
"""Returns the paths of earlier per-image reports; downloads them to the given folder if needed."""


def run(
    config: SendConfig,
    source: ImageSource,
    destination: ReportDestination,
    work: Path,
    output: Path,
    *,
    observer: Observer | None = None,
    make_progress: ProgressFactory = Progress,
    waits: Waits = DEFAULT_WAITS,
    conclude: Callable[[Outcome], object] = lambda _: None,
    earlier_reports: EarlierReports | None = None,
    listener: "CommitmentListener | None" = None,
) -> Outcome:
    """Send all files that the source selects, and write the reports.

    Args:
        config: How to send.
        source: Selects and fetches the files.
        destination: Receives the reports. It decides whether a run that fails before the first
            image has a report.
        work: Folder for temporary data.
        output: Folder for reports that `destination` does not move elsewhere.
        observer: Gets the events of the run.
        make_progress: Creates the progress display.
        waits: Timeouts and retry policies.
        conclude: Gets the outcome, even if the run raises an error.
        earlier_reports: Images that were sent according to these reports are skipped.
        listener: Receives storage commitment reports over associations that the server opens.

    Returns the outcome of the run.

    Raises ConfigError, UsageError or SiteError if the run cannot start. After the report, raises
    NothingToSendError if no file is selected, ServerError or WorkFolderError if no image can be
    sent, and CancelledError if a signal stops the run.
    """
    resolve(config.peer)
    if config.identity_file:
        config = _with_identity(config, identity.read(config.identity_file))
    tls_context = tls.make_context(config.tls) if config.tls else None
    selection = source.select()
    reports = Reports(config, selection, output, destination.time_format)
    watchers = ObserverGroup([*reports.observers, observer or Observer()])
    sending = _Sending(
        config,
        source,
        tls_context=tls_context,
        counts=FileCounts(selection.entries, is_dry=config.dry_run),
        reports=reports,
        observer=watchers,
        make_progress=make_progress,
        waits=waits,
        earlier_reports=earlier_reports,
        listener=listener,
    )
    error: DicomSendError | None = None
    try:
        if not selection.entries:
            _log_selection(selection, config)
            raise NothingToSendError(sum(left_out.number for left_out in selection.left_out))
        with _temporary_folder(work) as folder:
            policy = replace(waits.resend, max_time=config.send_retry_time)
            preflight.check(config.peer, tls_context, policy=policy, timeouts=waits.timeouts)
            if config.query_peer and _sends_queries(config):
                preflight.check(
                    config.query_peer,
                    tls_context,
                    policy=policy,
                    timeouts=waits.timeouts,
                    purpose="queries",
                )
            _log_selection(selection, config)
            sending.run(folder)
    except DicomSendError as exc:
        error = exc
        raise
    finally:
        all_rows = sending.rows()
        has_started = any(row.images for row in all_rows) or not error
        rows = destination.rows(all_rows)
        reported = {row.entry for row in rows}
        reports.add_without_image(row for row in all_rows if row.entry not in reported)
        verifications = sending.verifications
        if verifications:
            watchers.verified(verifications.summary())
        watchers.done(rows)
        if has_started or destination.reports_failed_starts:
            cause = (str(error or "") or sending.given_up) if has_started else ""
            is_reported = reports.publish(
                destination,
                rows,
                source.options,
                sending.contexts,
                verifications,
                losses=sending.lost_at,
                cause=cause,
            )
            outcome = sending.outcome(rows, is_reported=is_reported)
            if not reports.publish_summary(destination, rows, outcome, error, verifications):
                outcome = replace(outcome, is_reported=False)
            reports.log_table(rows)
        else:
            reports.discard()
            outcome = sending.outcome(rows, is_reported=True)
        conclude(outcome)
    return outcome


def _with_identity(config: SendConfig, user: UserIdentity) -> SendConfig:
    """Return a configuration with the user identity for both peers."""
    peer, query_peer = replace(config.peer, identity=user), config.query_peer
    if query_peer:
        query_peer = replace(query_peer, identity=user)
    return replace(config, peer=peer, query_peer=query_peer)


def _sends_queries(config: SendConfig) -> bool:
    """Return whether a run sends queries to the server."""
    return config.skip_existing or (config.verify != "none" and not config.dry_run)


def _log_selection(selection: Selection, config: SendConfig) -> None:
    """Log the number of files, and the files that are left out."""
    peer = config.peer
    log.info(
        "Found %s to send to AE %s at %s, port %d",
        quantity(len(selection.entries), selection.origin.program.row_noun),
        peer.called_ae,
        peer.host,
        peer.port,
    )
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
        source: ImageSource,
        *,
        tls_context: tls.TLSContext | None,
        counts: FileCounts,
        reports: Reports,
        observer: Observer,
        make_progress: ProgressFactory,
        waits: Waits,
        earlier_reports: EarlierReports | None,
        listener: "CommitmentListener | None",
    ) -> None:
        self._config = config
        self._source = source
        self._observer = observer
        self._make_progress = make_progress
        self._waits = waits
        self._earlier_reports = earlier_reports
        self._listener = listener
        self._tls_context = tls_context
        self._counts = counts
        self._reports = reports
        self._revised: dict[FileEntry, FileReport] = {}
        self._scu: StorageSCU | None = None
        self.verifications: Verifications | None = None
        if config.verify != "none" and not config.dry_run:
            self.verifications = Verifications(config.verify)

    @property
    def contexts(self) -> Mapping[Context, bool]:
        """Proposed presentation contexts, and whether the server accepted them."""
        return self._scu.contexts if self._scu else {}

    @property
    def given_up(self) -> str:
        """Reason for giving up the server; empty if the run did not give up."""
        return self._scu.lost_server.text if self._scu and self._scu.lost_server else ""

    @property
    def lost_at(self) -> Sequence[float]:
        """Times at which an association was lost while an image was sent."""
        return tuple(self._scu.lost_at) if self._scu else ()

    def outcome(self, rows: Sequence[FileReport], *, is_reported: bool) -> Outcome:
        """Return the outcome of the run; `rows` are the rows of its report."""
        verified, scu = self.verifications, self._scu
        is_verified = not verified or verified.summary().is_whole
        is_good = is_complete(rows)
        work = self._reports.work()
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
            retries=scu.retries if scu else 0,
            lost_associations=scu.lost_associations if scu else 0,
            given_up=self.given_up,
            versions=versions(),
        )

    def rows(self) -> list[FileReport]:
        """Return the current result of each file."""
        verifications = self.verifications
        if not verifications:
            return self._counts.reports()
        rows = []
        for report in self._counts.reports():
            entry, absent = report.entry, verifications.absent[report.entry]
            # The run may stop before it resends absent images.
            row = self._revised.get(entry) or (_with_absent(report, absent) if absent else report)
            rows.append(replace(row, verified=verifications.verified[entry]))
        return rows

    def run(self, folder: Path) -> None:
        """Send and verify all images."""
        config, waits = self._config, self._waits
        room = WorkFolder()
        # An image that waits for disk space keeps its association.
        inside = InnerRoom(room.images, lambda: scu.open_associations)
        conversion = Conversion(inside, folder)
        self._scu = scu = StorageSCU(
            config.peer,
            conversion,
            associations=config.associations,
            retry_time=config.send_retry_time,
            transport=Transport(
                self._tls_context,
                replace(waits.timeouts, response=config.response_timeout),
                Throttle(limit * MEGABYTE) if (limit := config.bandwidth_limit) else None,
            ),
            is_dry=config.dry_run,
            conversion=config.conversion,
            policy=waits.resend,
            max_images=config.max_images_per_association,
            query_peer=config.query_peer,
        )
        with ExitStack() as stack:
            stack.enter_context(conversion)
            stack.callback(scu.abort)
            progress = self._make_progress(self._counts.entries, scu, is_dry=config.dry_run)
            stack.enter_context(progress)
            earlier = None
            if self._earlier_reports:
                earlier = earlier_images(self._earlier_reports(folder), config.peer)
            existing = ExistingImages(self._find_scu(scu)) if config.skip_existing else None
            verifier = None
            if self.verifications:
                verifier = Verifier(self._inquirer(scu), self.verifications, waits.verify)
            needed = [verifier] if verifier else []
            observer = ObserverGroup([progress, self._observer], needed)
            resources = Resources(
                config,
                self._source,
                folder,
                scu,
                observer,
                existing,
                room,
                quarantine=waits.quarantine,
                earlier=earlier,
            )
            send(resources, self._counts)
            if verifier:
                self._verify(resources, verifier)
            scu.close()

    def _find_scu(self, scu: StorageSCU) -> "FindSCU":
        """Create the C-FIND client. It takes long to import, and few runs need it."""
        from ..network.query import FindSCU

        shares_associations = self._config.query_peer is None
        return FindSCU(
            scu.queries, timeouts=self._waits.timeouts, shares_associations=shares_associations
        )

    def _inquirer(self, scu: StorageSCU) -> "Inquirer":
        """Create the client that verifies images by C-FIND or storage commitment."""
        if self._config.verify == "find":
            return self._find_scu(scu)
        from ..network.commitment import CommitmentSCU

        return CommitmentSCU(
            scu.queries,
            timeouts=self._waits.timeouts,
            shares_associations=self._config.query_peer is None,
            listener=self._listener,
        )

    def _verify(self, resources: Resources, verifier: Verifier) -> None:
        """Resend missing images once, and report those that are still missing."""
        missing = verifier.missing()
        if not missing:
            return
        images = quantity(sum(map(len, missing.values())), "image")
        log.warning("Resending %s: acknowledged, but missing on the server", images)
        self._reports.start_resending()
        first = {entry: self._counts[entry].report() for entry in missing}
        for entry, uids in missing.items():
            self._revised[entry] = _with_stored(first[entry], first[entry].stored - len(uids))
        resent = FileCounts(missing)
        once_more = replace(resources, existing=None, earlier=None, sent=SentImages())
        send(once_more, resent, partial(is_missing, resources, missing))
        absent = verifier.missing()
        for report in resent.reports():
            entry = report.entry
            self._revised[entry] = _merge(
                self._revised[entry], report, len(missing[entry]), len(absent.get(entry, ()))
            )
        for entry, uids in absent.items():
            for uid in uids:
                self._reports.mark_missing(entry, uid, Reason(Kind.NOT_STORED))


def _merge(first: FileReport, resent: FileReport, repeated: int, absent: int) -> FileReport:
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
    return replace(report, sent=stored - already, already_stored=already)
