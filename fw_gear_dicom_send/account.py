"""Account of a run: what happened, counted once. Log, page, summary and marks are views of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .delivery.sender import ServerName, Why
from .errors import CancelledError, DicomSendError, ExitCode
from .models import FileReport, FileStatus, LeftOut, Origin
from .option_types import Option
from .reasons import Kind, Program, Reason, Skipped
from .report_names import Report, report_of
from .sections import Section
from .text import quantity, sentence
from .values import field, frozen

NO_SERVER = ServerName(("", "", ""), "", "", "")
"""Before the configuration is read."""


_NO_IMAGE = {Kind.NO_IMAGE, Kind.UNKNOWN_TYPE, Kind.EMPTY_FILE, Kind.REPLACED}


@frozen
class StoreTimes:
    """Median, 95th percentile (both within 2 %) and maximum of C-STORE times, in seconds."""

    median: float
    p95: float
    maximum: float


@frozen
class ThroughputCounts:
    """Counts of sent images.

    `images` and `bytes` are counts for each slot of `slot_seconds`. `durations` are numbers of
    images by C-STORE time, in the classes between `LIMITS`; the last class has no upper limit.
    `times` are statistics of the C-STORE times, None without any. `losses` are the times of lost
    associations, in seconds since the start. `seconds` is the duration of the run. The rates are
    those of `rated_images` and `rated_bytes`, which were sent in the first `rated_seconds`.
    """

    slot_seconds: float = 1.0
    images: tuple[int, ...] = ()
    bytes: tuple[int, ...] = ()
    durations: tuple[int, ...] = ()
    seconds: float = 0.0
    times: StoreTimes | None = None
    losses: tuple[float, ...] = ()
    rated_images: int = 0
    rated_bytes: int = 0
    rated_seconds: float = 0.0

    @property
    def images_per_second(self) -> float:
        """Images per second while images were sent, without the time of verification."""
        return self.rated_images / self.rated_seconds if self.rated_seconds else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Bytes per second in the same time."""
        return self.rated_bytes / self.rated_seconds if self.rated_seconds else 0.0


@frozen
class ConnectionsUsed:
    """Numbers of parallel connections: `peak` at most, and `number` at the end. `why` says why."""

    number: int
    peak: int
    noun: str
    why: Why

    @property
    def text(self) -> str:
        """Numbers and reason as one line."""
        most = f", at most {self.peak} at once" if self.peak != self.number else ""
        return f"{quantity(self.number, self.noun)}{most}: {self.why.text}"


@frozen
class Example:
    """An image with a remark: path of its file, member of the archive and UID, each if known."""

    path: str
    member: str
    uid: str


@frozen
class ModalityCount:
    """Number of series, images and dataset bytes of a modality."""

    modality: str
    series: int
    images: int
    bytes: int


@frozen
class VerificationSummary:
    """Number of verified images among those that were sent or already there.

    `absent` is the number of images that are not on the server. `causes` are the numbers of unknown
    images by reason.
    """

    method: str
    images: int
    verified: int
    absent: int
    causes: tuple[tuple[Reason, int], ...] = ()

    @property
    def unverified(self) -> int:
        """Number of these images that are not verified."""
        return self.images - self.verified

    @property
    def is_whole(self) -> bool:
        """Whether all images are verified."""
        return not self.unverified

    @property
    def text(self) -> str:
        """Numbers and causes as one line."""
        count = f"{self.verified:,} of {quantity(self.images, 'image')} verified"
        if self.is_whole:
            return f"{count} by {self.method}"
        parts = [(reason.text, number) for reason, number in self.causes]
        if self.absent:
            parts.insert(0, ("not on the server", self.absent))
        if len(parts) == 1:
            return f"{count}: {parts[0][0]}"
        return f"{count}: " + "; ".join(f"{text} ({number:,})" for text, number in parts)


@frozen(kw_only=True)
class Account:
    """What happened in a run. Facts are missing if the run ended early; none is confidential.

    `warnings` are risks of the configuration. `started` is None before the first step. `rows` are
    the rows of the report on files, and `without_image` are the paths without one. `skipped`
    counts files in them that are no image. `verification` is None without the option `verify`.
    `examples` are the first images of each cause. `missing_identifiers` are the numbers of images
    without each identifier, and `other_content` those that may have other content on the server, by
    cause. `losses` is the number of lost associations. `connections` are the numbers of parallel
    ones, None if none was opened. `given_up` is the reason why the run gave up the server.
    `sections` are those of the server. `reports` are the names of the reports so far,
    and `is_reported` says that each could be written. `error` ended the run. `error_code` is the
    exit code if it does not follow from the rest.
    """

    server: ServerName = NO_SERVER
    options: Sequence[tuple[Option, Any]] = ()
    warnings: Sequence[str] = ()
    title: str = ""
    origin: Origin = field(default_factory=Origin)
    left_out: Sequence[LeftOut] = ()
    started: datetime | None = None
    rows: Sequence[FileReport] = ()
    without_image: Sequence[LeftOut] = ()
    skipped: Mapping[Skipped, int] = field(default_factory=dict)
    verification: VerificationSummary | None = None
    throughput: ThroughputCounts = ThroughputCounts()
    modalities: Sequence[ModalityCount] = ()
    is_series_cut: bool = False
    examples: Mapping[Reason, Sequence[Example]] = field(default_factory=dict)
    missing_identifiers: Mapping[str, int] = field(default_factory=dict)
    other_content: Mapping[str, int] = field(default_factory=dict)
    retries: int = 0
    losses: int = 0
    connections: ConnectionsUsed | None = None
    given_up: Reason | None = None
    sections: Sequence[Section] = ()
    versions: Sequence[tuple[str, str]] = ()
    reports: Sequence[str] = ()
    is_reported: bool = True
    error: DicomSendError | None = None
    error_code: int | None = None

    @property
    def images(self) -> int:
        """Number of images found."""
        return sum(row.images for row in self.rows)

    @property
    def sent(self) -> int:
        """Number of images that were sent."""
        return sum(row.sent for row in self.rows)

    @property
    def already_stored(self) -> int:
        """Number of images that were on the server before."""
        return sum(row.already_stored for row in self.rows)

    @property
    def duplicates(self) -> int:
        """Number of copies of images of this run."""
        return sum(row.duplicates for row in self.rows)

    @property
    def planned(self) -> int:
        """Number of images that a dry run would send."""
        return sum(row.planned or 0 for row in self.rows)

    @property
    def is_dry(self) -> bool:
        """Whether the rows are from a dry run."""
        return any(row.planned is not None for row in self.rows)

    @property
    def is_complete(self) -> bool:
        """Whether there is any image, and all are sent, already there, or would be sent."""
        return self.images > 0 and all(row.is_complete for row in self.rows)

    @property
    def is_without_images(self) -> bool:
        """Whether there are files, and none is DICOM or an archive with DICOM images."""
        kinds = {reason.kind for row in self.rows for one in row.remarks for reason in one.reasons}
        return bool(self.rows) and not self.images and kinds <= _NO_IMAGE

    @property
    def is_verified(self) -> bool:
        """Whether all images are verified, if that was requested."""
        return not self.verification or self.verification.is_whole

    @property
    def is_success(self) -> bool:
        """Whether all images were sent, and everything requested was done."""
        return self.is_complete and self.is_reported and self.is_verified

    @property
    def has_started(self) -> bool:
        """Whether the run reached its first image, or ended without images and errors."""
        return self.started is not None and bool(self.images or not self.error)

    @property
    def status(self) -> FileStatus:
        """The status of all files together."""
        if self.is_dry:
            return FileStatus.DRY_RUN
        if self.is_success:
            return FileStatus.COMPLETE
        is_any = any(row.stored for row in self.rows)
        return FileStatus.INCOMPLETE if is_any else FileStatus.FAILED

    @property
    def cause(self) -> str:
        """The reason why the run ended early, empty if it did not."""
        if self.error:
            return self.error.cause
        return self.given_up.text if self.given_up else ""

    @property
    def advice(self) -> str:
        """The advice for the cause, in sentences; empty if there is none."""
        program = self.origin.program
        if self.is_cancelled:
            return Kind.NOT_REACHED.advice_for(program)
        if self.error:
            return sentence(self.error.advice)
        return self.given_up.kind.advice_for(program) if self.given_up else ""

    @property
    def is_cancelled(self) -> bool:
        """Whether a signal ended the run."""
        return isinstance(self.error, CancelledError)

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        if self.error_code is not None:
            return self.error_code
        if self.error:
            return self.error.exit_code
        if self.given_up:
            return ExitCode.SERVER
        if self.is_without_images and self.origin.program is Program.COMMAND:
            return ExitCode.USAGE
        if not (self.is_complete and self.is_reported):
            return ExitCode.NOT_ALL_SENT
        return ExitCode.SUCCESS if self.is_verified else ExitCode.NOT_VERIFIED

    def images_with(self, *kinds: Kind) -> int:
        """Return the number of images with a remark of one of these kinds."""
        return sum(
            remark.count
            for row in self.rows
            for remark in row.remarks
            if any(reason.kind in kinds for reason in remark.reasons)
        )

    def report(self, kind: Report) -> str:
        """Return the name of a report, empty if there is none."""
        return next((name for name in self.reports if report_of(name) is kind), "")
