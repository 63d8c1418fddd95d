"""Frozen types that the steps of a run exchange."""

from enum import Enum, StrEnum
from pathlib import Path

from .delivery.results import StoreResult
from .name_patterns import NO_PATTERNS, NamePatterns
from .reasons import Kind, Program, Reason, Skipped
from .text import quantity
from .values import field, frozen


@frozen
class Container:
    """What contains files at their source: a Flywheel container, or a folder on disk.

    `type` is `session`, `acquisition` or another one of Flywheel, or `folder`. `id` identifies it.
    """

    type: str
    id: str


@frozen
class InputFile:
    """The file given as input: its path, its Flywheel name and its container.

    `file_id` and `version` identify its content on the site; old sites have neither.
    """

    path: Path
    name: str
    parent: Container
    file_id: str = ""
    version: int = 0


class Exclusion(Enum):
    """Exclusion why a run leaves files out, as a part of a sentence."""

    ARCHIVE = ("of type archive", " (see the option file_types)")
    OTHER_TYPE = ("of other types",)
    MODALITY = ("of other modalities",)
    NO_TAG = ("without any of the file_tags",)
    NOT_INCLUDED = ("not matched by include",)
    EXCLUDED = ("matched by exclude",)
    NO_IMAGE_BELOW = ("without a DICOM image", "", "skipped", "path")

    def __init__(
        self, text: str, hint: str = "", verb: str = "not selected", noun: str = "file"
    ) -> None:
        """Take the text, a hint for files that a default leaves out, the verb and the noun."""
        self.text = text
        self.hint = hint
        self.verb = verb
        self.noun = noun


@frozen
class NameChoice:
    """Selection of files by their names. Without `include`, all names are included."""

    include: NamePatterns = NO_PATTERNS
    exclude: NamePatterns = NO_PATTERNS

    def cause(self, name: str) -> Exclusion | None:
        """Return the cause why a file of this name is left out, None if it is selected."""
        if self.include and not self.include.match(name):
            return Exclusion.NOT_INCLUDED
        return Exclusion.EXCLUDED if self.exclude.match(name) else None

    def selects(self, name: str) -> bool:
        """Return whether a file of this name is selected."""
        return self.cause(name) is None


ANY_NAME = NameChoice()


@frozen
class FileEntry:
    """A file to send, or a folder or archive of files.

    `name` and `path` are printable text for people. `size` (bytes) and `hash` are those that the
    source knows, if any. `key` identifies the file for the source. `is_folder` means a folder on
    disk, whose files reports name by their paths.
    """

    parent: Container
    name: str
    path: str
    size: int | None = None
    hash: str | None = None
    key: str = field(default="", kw_only=True)
    is_folder: bool = field(default=False, kw_only=True)

    def __hash__(self) -> int:
        """Return the hash of the path. Each image needs it many times, and a text keeps its own."""
        return hash(self.path)

    @property
    def acquisition_id(self) -> str:
        """Id of the file's acquisition, empty if it is not in an acquisition."""
        return self.parent.id if self.parent.type == "acquisition" else ""

    def place(self, member: str) -> str:
        """Return the path of a file in a folder, or the file with its member if there is one."""
        if self.is_folder and member:
            return member
        return f"{self.path}, {member}" if member else self.path


@frozen
class LeftOut:
    """Files that a run leaves out for one cause.

    `examples` are names of some files or, for other types, numbers of files of each type. All are
    printable. `more` is the number of files without an example.
    """

    cause: Exclusion
    number: int
    examples: tuple[str, ...]
    more: int = 0

    @property
    def text(self) -> str:
        """The left-out files, in a sentence without its full stop."""
        files = quantity(self.number, self.cause.noun)
        verb = f"{'was' if self.number == 1 else 'were'} {self.cause.verb}"
        more = f" and {self.more:,} more" if self.more else ""
        named = f": {', '.join(self.examples)}{more}" if self.examples else ""
        return f"{files} {self.cause.text} {verb}{named}{self.cause.hint}"


@frozen
class Origin:
    """Origin of the images of a run, for people, and the program that sends them.

    `path` is the path of a container or of folders, `url` its page in a browser. `job_id` is the
    gear's job. Each is empty if it does not exist. `noun` is the noun for what the run selected.
    """

    program: Program = Program.GEAR
    path: str = ""
    url: str = ""
    job_id: str = ""
    noun: str = "file"


@frozen
class Selection:
    """Selected files, the container for the report, and the files that are left out.

    `origin` describes the source for people. `first` is the path of the first file or folder if it
    is already on disk.
    """

    entries: tuple[FileEntry, ...]
    report_parent: Container
    report_label: str
    left_out: tuple[LeftOut, ...] = ()
    origin: Origin = Origin()
    first: Path | None = None


@frozen
class DownloadFailure:
    """Failed download of a Flywheel file, and the reason.

    `retry_after` is the minimum wait before a retry, in seconds; None if a retry is useless.
    """

    reason: Reason
    retry_after: float | None = None


@frozen
class NewerVersion:
    """The newer version of a Flywheel file that was replaced after its selection, and a remark."""

    path: Path
    remark: Reason


Fetch = Path | NewerVersion | DownloadFailure
"""Result of fetching a file."""


@frozen
class ImageRecord:
    """An image of a Flywheel file, and its result.

    `name` is the archive member, or the file in a folder; it is empty for other files. `file` is
    the path of a file in a folder, as the system knows it, which may not be printable. UIDs and
    `size`, in bytes, describe the dataset. They are empty and 0 if it could not be read. `crc32`
    is the checksum of all its bytes, None if unknown. `position` is the number of bytes of the file
    that were read up to the end of the image. `has_patient_id` is false if the dataset was read and
    has no Patient ID.
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
    position: int = 0
    has_patient_id: bool = True
    file: str = ""

    @property
    def sent_size(self) -> int:
        """Size of the dataset as sent, else of the original dataset, in bytes."""
        return self.result.transfer.size or self.size


class FileStatus(StrEnum):
    """Status of a file in the report."""

    DRY_RUN = "Dry run"
    COMPLETE = "Complete"
    INCOMPLETE = "Incomplete"
    FAILED = "Failed"


@frozen
class Remark:
    """Remark on a file, or on a number of its images.

    The last reason decides code and advice. A conversion may precede it. `member` is the name of
    the first image in its archive or folder, empty for other files. A remark on a file has `unseen`
    images, which count as not sent because the file was not read to its end.
    """

    reasons: tuple[Reason, ...]
    images: int
    failure: bool
    member: str = ""
    unseen: int = 0

    @property
    def text(self) -> str:
        """The texts of the reasons."""
        return "; ".join(reason.text for reason in self.reasons)

    @property
    def count(self) -> int:
        """Number of images, seen or not."""
        return self.images + self.unseen

    @property
    def kind(self) -> Kind:
        """The kind of the last reason."""
        return self.reasons[-1].kind


@frozen
class FileReport:
    """Result of a Flywheel file, a row of the report.

    `images` is the number of its images. Some were `already_stored` on the server, and others were
    `sent`. `duplicates` are copies of images of this run. `planned` is the number that a dry run
    would send, None in a real run. `verified` is the number of verified images, None without
    verification. `skipped` lists the numbers of files in it that are not images, by kind.
    """

    entry: FileEntry
    images: int
    sent: int
    remarks: tuple[Remark, ...] = ()
    already_stored: int = 0
    planned: int | None = None
    verified: int | None = None
    skipped: tuple[tuple[Skipped, int], ...] = ()
    duplicates: int = 0

    @property
    def stored(self) -> int:
        """Number of images on the server after the run."""
        return self.sent + self.already_stored + self.duplicates

    @property
    def good(self) -> int:
        """Number of stored images, plus those that a dry run would send."""
        return self.stored + (self.planned or 0)

    @property
    def is_complete(self) -> bool:
        """Whether all its images are good, or it is an archive that was found to have none."""
        if self.images:
            return self.good == self.images
        return self.has_no_image and not any(remark.failure for remark in self.remarks)

    @property
    def is_unreached(self) -> bool:
        """Whether the run stopped before it processed the file."""
        kinds = {remark.kind for remark in self.remarks}
        return not self.images and kinds in ({Kind.NOT_REACHED}, {Kind.GIVEN_UP})

    @property
    def may_have_more(self) -> bool:
        """Whether the file may have more images, because the run stopped before it read them."""
        kinds = (Kind.NOT_REACHED, Kind.INTERRUPTED, Kind.GIVEN_UP)
        return any(remark.kind in kinds and not remark.images for remark in self.remarks)

    @property
    def has_no_image(self) -> bool:
        """Whether the file was read and contains no image."""
        return not self.images and any(remark.kind is Kind.NO_IMAGE for remark in self.remarks)

    @property
    def status(self) -> FileStatus:
        """The status by the counts."""
        if self.planned is not None:
            return FileStatus.DRY_RUN
        if self.is_complete:
            return FileStatus.COMPLETE
        return FileStatus.INCOMPLETE if self.stored else FileStatus.FAILED
