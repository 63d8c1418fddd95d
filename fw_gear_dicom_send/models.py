"""The frozen types that travel between the steps of a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

from .dicom.types import PrivateTag
from .errors import ExitCode
from .name_patterns import NO_PATTERNS, NamePatterns
from .network.types import ConversionMode, PeerAE, StoreResult, TLSConfig
from .reasons import Kind, Program, Reason, Skipped


@dataclass(frozen=True)
class Container:
    """A Flywheel container: its type (`session`, `acquisition`, ...) and its id."""

    type: str
    id: str


@dataclass(frozen=True)
class InputFile:
    """The file given as input: where it lies, its Flywheel name and its container.

    `tags` and `info`, its custom information, are those that it had when the job was made.
    """

    path: Path
    name: str
    parent: Container
    tags: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Cause(Enum):
    """Why a run leaves files out, as a part of a sentence, and what selects them."""

    ARCHIVE = ("of type archive", " (see the option file_types)")
    OTHER_TYPE = ("of other types",)
    MODALITY = ("of other modalities",)
    NO_TAG = ("without any of the file_tags",)
    NOT_INCLUDED = ("not matched by include",)
    EXCLUDED = ("matched by exclude",)
    NO_IMAGE = ("of type archive without a DICOM image", "", "passed over")

    def __init__(self, text: str, hint: str = "", verb: str = "not selected") -> None:
        """Take the text, where to look if a default leaves them out, and what is done to them."""
        self.text = text
        self.hint = hint
        self.verb = verb


@dataclass(frozen=True)
class NameChoice:
    """Which files to send by their names; without patterns to include, all are included."""

    include: NamePatterns = NO_PATTERNS
    exclude: NamePatterns = NO_PATTERNS

    def cause(self, name: str) -> Cause | None:
        """Return why a file of this name is left out, None where it is selected."""
        if self.include and not self.include.match(name):
            return Cause.NOT_INCLUDED
        return Cause.EXCLUDED if self.exclude.match(name) else None

    def selects(self, name: str) -> bool:
        """Tell whether a file of this name is selected."""
        return self.cause(name) is None


ANY_NAME = NameChoice()


@dataclass(frozen=True, kw_only=True)
class SendConfig:
    """How to send, wherever the images come from; without `tag` datasets stay as they are.

    Times are in seconds, `bandwidth_limit` is in MB/s, 0 for none. `identity_file` holds what the
    server is told of who sends; the run reads it. `query_peer` answers queries, None where `peer`
    does.
    """

    peer: PeerAE
    tls: TLSConfig | None
    tag: PrivateTag | None
    send_retry_time: float
    associations: int
    report: bool
    instance_report: bool = True
    html_report: bool = True
    summary_report: bool = True
    show_member_names: bool = False
    verify: str = "none"
    skip_existing: bool = False
    dry_run: bool = False
    response_timeout: float = 300.0
    names: NameChoice = ANY_NAME
    bandwidth_limit: float = 0.0
    identity_file: Path | None = None
    max_images_per_association: int = 0
    query_peer: PeerAE | None = None
    conversion: ConversionMode = ConversionMode.WHEN_NEEDED


@dataclass(frozen=True, kw_only=True)
class GearConfig(SendConfig):
    """A checked gear configuration."""

    destination: Container
    input_file: InputFile | None
    api_key: str = field(repr=False)
    downloads: int
    file_download_retry_time: float
    sent_tag: str = ""
    file_types: str = "dicom"
    modalities: tuple[str, ...] = ()
    file_tags: tuple[str, ...] = ()
    resume: bool = False
    job_id: str = ""


@dataclass(frozen=True)
class FileEntry:
    """A Flywheel file that is to be sent.

    `name` and `fw_path` are for people, and printable. `size` (bytes) and `hash` are what the
    site's file record says, where it does. `key` is what the source finds the file by.
    `is_any_archive` tells that the site knows it as an archive, which need not hold an image.
    """

    parent: Container
    name: str
    fw_path: str
    size: int | None = None
    hash: str | None = None
    key: str = field(default="", kw_only=True)
    is_any_archive: bool = field(default=False, kw_only=True)

    @property
    def acquisition_id(self) -> str:
        """Id of the acquisition that holds the file, empty where none does."""
        return self.parent.id if self.parent.type == "acquisition" else ""


@dataclass(frozen=True)
class LeftOut:
    """Files that a run does not look at, all for one cause.

    `examples` are names of some of them or, for other types, how many there are of a type; all
    are printable. `more` is how many there are that are not among these.
    """

    cause: Cause
    number: int
    examples: tuple[str, ...]
    more: int = 0

    @property
    def text(self) -> str:
        """What was left out, in a sentence without its full stop."""
        files = "1 file" if self.number == 1 else f"{self.number} files"
        verb = f"{'was' if self.number == 1 else 'were'} {self.cause.verb}"
        more = f" and {self.more} more" if self.more else ""
        named = f": {', '.join(self.examples)}{more}" if self.examples else ""
        return f"{files} {self.cause.text} {verb}{named}{self.cause.hint}"


@dataclass(frozen=True)
class Origin:
    """Where the images of a run come from, for people, and the program that sends them.

    `path` is that of a container or of folders, `url` leads there in a browser. `job_id` is that
    of the gear's job. Each is empty where there is none.
    """

    program: Program = Program.GEAR
    path: str = ""
    url: str = ""
    job_id: str = ""


@dataclass(frozen=True)
class Selection:
    """What a run sends, where its report belongs, and what was found but is not sent.

    `tags` are those that the input file, or else the container, has; `info` is the custom
    information of the input file. `origin` says for people where all comes from.
    """

    entries: tuple[FileEntry, ...]
    report_parent: Container
    report_label: str
    tags: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict, repr=False)
    left_out: tuple[LeftOut, ...] = ()
    origin: Origin = Origin()


@dataclass(frozen=True)
class DownloadFailure:
    """A Flywheel file that could not be had, and why.

    `retry_after` is for how many seconds to wait at least before it is tried again, None where
    that is of no use.
    """

    reason: Reason
    retry_after: float | None = None


@dataclass(frozen=True)
class NewerVersion:
    """A Flywheel file that was replaced after it was selected: what came instead, and a remark."""

    path: Path
    remark: Reason


Fetch = Path | NewerVersion | DownloadFailure
"""What comes of fetching a file."""


@dataclass(frozen=True)
class ImageRecord:
    """An image of a Flywheel file, and what became of it.

    `name` is what the member of the archive is called, empty for a file that came alone; UIDs
    and `size`, in bytes, are those of the dataset, empty and 0 where it could not be read. `crc32`
    is that of all its bytes, None where it is not known.
    """

    entry: FileEntry
    name: str
    result: StoreResult
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    transfer_syntax_uid: str = ""
    size: int = 0
    crc32: int | None = None

    @property
    def sent_size(self) -> int:
        """Length of the dataset as it was sent, else of the dataset as it is."""
        return self.result.transfer.size or self.size


class FileStatus(StrEnum):
    """The status of a file, as the report has it."""

    DRY_RUN = "Dry run"
    COMPLETE = "Complete"
    INCOMPLETE = "Incomplete"
    FAILED = "Failed"


@dataclass(frozen=True)
class Remark:
    """Something worth knowing about a file, or about so many of its images.

    The last of the reasons is the one that counts; a conversion may come before it. `member` is
    what the first of the images is called in its archive, empty where it is in none.
    """

    reasons: tuple[Reason, ...]
    images: int
    failure: bool
    member: str = ""

    @property
    def text(self) -> str:
        """The reasons in words."""
        return "; ".join(reason.text for reason in self.reasons)

    @property
    def kind(self) -> Kind:
        """The kind of the reason that counts."""
        return self.reasons[-1].kind

    @property
    def code(self) -> str:
        """The code of the reason that counts."""
        return self.kind.code

    @property
    def advice(self) -> str:
        """What to do about it."""
        return self.reasons[-1].advice


@dataclass(frozen=True)
class FileReport:
    """A row of the report: what became of a Flywheel file.

    Of its `images` some were `already_stored` on the server, and others were `sent`. `planned` is
    how many would be sent in a dry run, None in any other run. `verified` is how many were
    verified, None where that was not asked for. `skipped` is how many files in it, of which kind,
    are no images to send.
    """

    entry: FileEntry
    images: int
    sent: int
    remarks: tuple[Remark, ...] = ()
    already_stored: int = 0
    planned: int | None = None
    verified: int | None = None
    skipped: tuple[tuple[Skipped, int], ...] = ()

    @property
    def stored(self) -> int:
        """How many images are on the server after the run, as far as it knows."""
        return self.sent + self.already_stored

    @property
    def good(self) -> int:
        """How many images are on the server after the run, or would be if it was not dry."""
        return self.stored + (self.planned or 0)

    @property
    def is_complete(self) -> bool:
        """Whether there is an image, and all are good."""
        return 0 < self.good == self.images

    @property
    def has_no_image(self) -> bool:
        """Whether nothing but the lack of an image is known of the file."""
        kinds = {reason.kind for remark in self.remarks for reason in remark.reasons}
        return self.images == 0 and kinds <= {Kind.NO_IMAGE}

    @property
    def status(self) -> FileStatus:
        """What the counts come to."""
        if self.planned is not None:
            return FileStatus.DRY_RUN
        if self.is_complete:
            return FileStatus.COMPLETE
        return FileStatus.INCOMPLETE if self.stored else FileStatus.FAILED


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a run.

    `images` were found; of these `sent` and `already_stored` are on the server. The other flags
    tell whether each report was written and each image verified, where that was asked for.
    `given_up` is why the server was given up, empty where it was not. `versions` are those of
    the libraries.
    """

    status: FileStatus
    is_complete: bool
    is_reported: bool
    is_verified: bool
    images: int
    sent: int
    already_stored: int
    bytes: int = 0
    seconds: float = 0.0
    retries: int = 0
    lost_associations: int = 0
    given_up: str = ""
    versions: tuple[tuple[str, str], ...] = ()

    @property
    def is_success(self) -> bool:
        """Whether all is well."""
        return self.is_complete and self.is_reported and self.is_verified

    @property
    def exit_code(self) -> ExitCode:
        """What a command ends with; the first that applies."""
        if self.given_up:
            return ExitCode.SERVER
        if not (self.is_complete and self.is_reported):
            return ExitCode.NOT_ALL_SENT
        return ExitCode.SUCCESS if self.is_verified else ExitCode.NOT_VERIFIED
