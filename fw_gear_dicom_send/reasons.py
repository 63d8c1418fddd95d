"""Why an image or a file was not sent, or was changed: kind, detail, text, advice and code.

The program decides by the kind. The text is for people, and is made last.
"""

from dataclasses import dataclass
from enum import Enum

OUT_OF_MEMORY = "the machine does not have enough memory"
_LOG = "{log} may say more."
_DAMAGED_FILE = "{file} is damaged, or not an archive. {replace}"
_DAMAGED_DATASET = "The DICOM file is damaged. {replace}"
_INCOMPLETE = "This is not a complete DICOM image. C-STORE cannot send it."
_DISK_FULL = (
    "The disk of the machine was full. Run {program} again on a machine with more disk space."
)
_DISK_FAILED = (
    "The disk of the machine was full, or failed. Run {program} again. Use another machine if the "
    "error returns."
)
_CHANGED = "{file} changed during the run, or is damaged. Run {program} again."
_CONNECTION = (
    "The connection was lost. Check for a firewall timeout or a server restart, then run "
    "{program} again."
)
_ENDED = "The run was cancelled or could not go on. Run {program} again."
_REFUSED_ASSOCIATION = "The server rejected the association. Ask its administrator for the reason."


class _Words(dict[str, str]):
    """Words of a program; any other word is an option, which the command writes with dashes."""

    def __missing__(self, option: str) -> str:
        """Return an option as people give it to the program."""
        return option if self["program"] == "the gear" else f"--{option.replace('_', '-')}"


class Program(Enum):
    """The program that people run; advice is in its words."""

    GEAR = _Words(
        program="the gear",
        Program="The gear",
        log="The log of the job",
        file="The file on Flywheel",
        replace="Upload an intact copy.",
        listening="A gear cannot accept one.",
    )
    COMMAND = _Words(
        program="dicom-send",
        Program="dicom-send",
        log="The log",
        file="The file",
        replace="Replace it with an intact copy.",
        listening="With --commit-port one is accepted; the port has to be entered there.",
    )

    def option(self, name: str) -> str:
        """Return an option as people give it to the program."""
        return self.value[name]


class Skipped(Enum):
    """The kind of a file without an image, which is skipped and counted."""

    NOT_DICOM = "not DICOM"
    DICOMDIR = "DICOMDIR"
    EMPTY = "empty"
    SPECIAL = "FIFO, socket or device"
    NESTED = "archive in a nested archive"


class Kind(Enum):
    """What a reason is about. Codes are stable: programs may rely on them."""

    def __init__(self, code: str, template: str, advice: str = _LOG) -> None:
        """Take the code, the text with a place for the detail, and what to do about it."""
        self.code = code
        self.template = template
        self._advice = advice

    @property
    def advice(self) -> str:
        """What to do about it if the gear has run."""
        return self.advice_for(Program.GEAR)

    def advice_for(self, program: Program) -> str:
        """Return what to do about it, in the words and options of a program."""
        return self._advice.format_map(program.value)

    # Archives and folders
    CORRUPT_ARCHIVE = (
        "archive-corrupt",
        "the archive is corrupt or cut short",
        _DAMAGED_FILE,
    )
    UNKNOWN_TYPE = (
        "unknown-file-type",
        "neither a DICOM file nor a zip or tar archive",
        _DAMAGED_FILE,
    )
    UNSUPPORTED_FORMAT = (
        "format-unsupported",
        "{} cannot be read",
        "Unpack it, and pack the images as a zip or tar archive.",
    )
    UNSUPPORTED_METHOD = (
        "method-unsupported",
        "a member of the archive is compressed by {}, which cannot be read",
        "Pack the images again with Deflate, the usual method of zip archives.",
    )
    ARCHIVE_TOO_LARGE = (
        "archive-too-large",
        "the archive unpacks to more than {} times its size, which no honest one does",
        "The archive is suspicious. Pack the images again, and send the new archive.",
    )
    CORRUPT_MEMBER = (
        "member-corrupt",
        "a member of the archive is corrupt",
        _DAMAGED_FILE,
    )
    ENCRYPTED_MEMBER = (
        "member-encrypted",
        "a member of the archive is encrypted",
        "{Program} has no password. Pack the images into an unencrypted archive.",
    )
    MEMBER_TOO_LARGE = (
        "member-too-large",
        "a member of the archive is larger than allowed",
        "Images of more than 16 GiB are not sent. Split the image, or send it another way.",
    )
    NO_SPACE = ("disk-full", "no space left to unpack a member", _DISK_FULL)
    UNREADABLE_FOLDER = (
        "folder-unreadable",
        "the folder cannot be read: {}",
        "Check the permissions of the folder.",
    )
    UNOPENED_FILE = (
        "file-unreadable",
        "a file cannot be opened: {}",
        "Check that the file exists, and its permissions.",
    )
    UNREADABLE_FILE = (
        "file-unreadable",
        "a file cannot be read: {}",
        "Check the disk that holds the file.",
    )
    NOT_UNPACKED = ("not-unpacked", "it could not be unpacked: {}", _DISK_FAILED)
    NO_IMAGE = (
        "no-image",
        "it holds no DICOM image",
        "There is nothing to send. Check that you chose the right file.",
    )

    OTHER_FORMAT = (
        "other-format",
        "neither a DICOM file nor an archive, but {}",
        "{Program} sends DICOM. Convert the file to DICOM first, or leave it out.",
    )

    # Datasets
    MALFORMED = ("dataset-malformed", "the dataset is malformed: {}", _DAMAGED_DATASET)
    TRUNCATED = (
        "file-truncated",
        "the file is truncated: {}",
        "The rest of the DICOM file is missing. {replace}",
    )
    DAMAGED = (
        "dataset-damaged",
        "the dataset is damaged at byte {}, so that there is no safe place for the private element",
        _DAMAGED_DATASET,
    )
    NO_PIXEL_DATA = (
        "pixel-data-missing",
        "it has Rows and Columns, but no Pixel Data",
        "The end of the DICOM file may be missing. Compare it with the original.",
    )
    IMAGE_TOO_LARGE = (
        "image-too-large",
        "it takes too much room: {}",
        "The image exceeds the limits of memory and disk. If it is a real image, have its "
        "transfer syntax enabled on the server. Store a deflated image uncompressed.",
    )
    DATASET_UNREADABLE = (
        "dataset-unreadable",
        "the dataset could not be read or unpacked: {}",
        _DISK_FAILED,
    )
    MISSING_UID = ("uid-missing", "it has no {}", _INCOMPLETE)
    INVALID_UID = (
        "uid-invalid",
        "its {} is longer than 64 characters, or no plain text",
        _INCOMPLETE,
    )
    DUPLICATE_UID = (
        "uid-duplicate",
        "another image with this UID was sent before",
        "Two different images have the same SOP Instance UID. Most servers keep only the last one. "
        "Give one of them another UID.",
    )
    NO_PRIVATE_BLOCK = (
        "no-private-block",
        "group {} has no free private block",
        "Choose another group for the private element.",
    )
    NOT_READ = ("image-unreadable", "the image could not be read: {}", _DISK_FAILED)

    # Downloads
    DOWNLOAD_REFUSED = (
        "download-refused",
        "{}",
        "Flywheel does not deliver the file. Check that it still exists, and that the user who "
        "started the job can read it.",
    )
    INVALID_API_KEY = (
        "api-key-invalid",
        "{}: the API key is not valid, or no longer",
        "The key that Flywheel gave to the job has expired. Run {program} again.",
    )
    DOWNLOAD_FAILED = (
        "download-failed",
        "{}",
        "Flywheel did not deliver the file in time. Run {program} again. Increase "
        "{file_download_retry_time} if the site is often busy.",
    )
    DOWNLOAD_LOST = (
        "download-lost",
        "connection lost or too slow{}",
        "The connection to Flywheel was lost. Run {program} again. Increase "
        "{file_download_retry_time} if that happens often.",
    )
    DOWNLOAD_DIFFERS = ("download-differs", "{}", _CHANGED)
    REPLACED = (
        "file-replaced",
        "it was replaced on Flywheel during the run, and its newer version was read",
        "Nothing, if the newer version is the right one.",
    )
    DOWNLOAD_NOT_WRITTEN = ("disk-full", "cannot be written to disk: {}", _DISK_FAILED)

    # Associations
    NO_CONNECTION = (
        "server-unreachable",
        "{}",
        "Cannot connect to the DICOM server. Check that it runs and that no firewall blocks the "
        "connection, then run {program} again.",
    )
    NO_ASSOCIATION = (
        "no-association",
        "{}",
        "The server did not answer. Check that it is not overloaded.",
    )
    TLS_CERTIFICATE = (
        "tls-certificate",
        "{}",
        "One side does not accept the certificate of the other. See docs/tls.md.",
    )
    TLS_FAILED = ("tls-failed", "{}", "The TLS connection failed. See docs/tls.md.")
    UNKNOWN_CALLING_AE = (
        "calling-ae-unknown",
        "{}",
        "The server does not know {program}. Ask its administrator to add the "
        "AE title of {calling_ae}.",
    )
    UNKNOWN_CALLED_AE = (
        "called-ae-unknown",
        "{}",
        "{called_ae} is not the AE title of the server. Correct it.",
    )
    REJECTED = ("association-rejected", "{}", _REFUSED_ASSOCIATION)
    CONNECTION_LOST = ("connection-lost", "the connection was lost {}", _CONNECTION)
    NO_ANSWER = (
        "no-answer",
        "the server gave no answer in {}",
        "The server did not answer. Check that it is not overloaded.",
    )
    WRONG_ANSWER = (
        "wrong-answer",
        "the server answered something else than it was asked",
        "The server violates the DICOM protocol. Report it to its administrator.",
    )
    GIVEN_UP = (
        "server-given-up",
        "the server was given up after {}",
        "The server was unavailable for too long. Check that it runs and is reachable, then run "
        "{program} again. Increase {send_retry_time} if it is often unavailable.",
    )

    # Images
    NOT_ACCEPTED = (
        "not-accepted",
        "the server does not accept {}",
        "The server does not accept images of this kind. Ask its administrator to enable the SOP "
        "class and the transfer syntax.",
    )
    OUT_OF_RESOURCES = (
        "out-of-resources",
        "status {}",
        "The server had no space. Ask its administrator to free some, then run {program} again.",
    )
    REFUSED = ("refused", "status {}", "The server rejected the image. Its log has the cause.")
    WARNING = (
        "stored-with-warning",
        "status {}",
        "The server stored the image. Its log has the cause of the warning.",
    )
    ALREADY_STORED = (
        "already-stored",
        "already there",
        "Nothing: the server had the image before.",
    )
    SENT_EARLIER = (
        "sent-earlier",
        "sent by an earlier run",
        "Nothing: by its report, an earlier run has sent this dataset to the same server.",
    )
    EXISTING_OBJECT = (
        "existing-object",
        "status {}: the server has an object with this UID",
        "The server had no space for the image at first, and then an object with the same UID. "
        "Check that it is this image.",
    )
    CONVERTED = ("converted", "the server takes {}", "Nothing: the values are the same.")
    CONVERTED_AS_ASKED = (
        "converted-as-asked",
        "converted from {}",
        "Nothing: the values are the same. {conversion} requested it.",
    )
    NOT_COMPRESSED = (
        "not-compressed",
        "sent uncompressed: {}",
        "Nothing: the image was sent as it is.",
    )
    CONVERSION_OFF = (
        "conversion-off",
        "the server takes {}, and conversion is never",
        "Set {conversion} to when needed, or have the transfer syntax enabled on the server.",
    )
    REPAIRED = (
        "repaired",
        "with odd lengths padded",
        "Nothing: the values are the same. The software that wrote the file violates PS3.5 7.1.",
    )
    FRAMES_PADDED = (
        "frames-padded",
        "{} of its frames, smaller than the image, are padded with black",
        "Nothing: uncompressed frames have one size. To avoid it, have the transfer syntax enabled "
        "on the server.",
    )
    NOT_CONVERTIBLE = (
        "not-convertible",
        "cannot be converted from {}",
        "The server needs such images uncompressed, and this one cannot be decoded. Have the "
        "transfer syntax enabled on the server, and set {conversion} to when needed.",
    )
    NOT_CONVERTED = ("not-converted", "the image could not be converted: {}", _DISK_FAILED)
    NOT_STORED = (
        "not-stored",
        "the server has acknowledged it, but does not have it",
        "The server lost an acknowledged image. Report it to its administrator.",
    )
    NOT_FOUND_AGAIN = ("not-found-again", "it was not found in its file again", _CHANGED)

    # Verification
    NOT_OFFERED = (
        "verification-not-offered",
        "the server does not answer {}",
        "Ask its administrator to enable it, or use the other value of {verify}.",
    )
    QUERY_FAILED = (
        "query-failed",
        "{}",
        "The query failed; the server's log has the cause. Run {program} again with "
        "{skip_existing} and {verify}.",
    )
    NO_COMMITMENT_REPORT = (
        "commitment-not-reported",
        "the server did not report a storage commitment {}",
        "The server may report over a new association. {listening} Or set {verify} to find.",
    )
    NOT_COMMITTED = (
        "commitment-not-named",
        "the server's storage commitment report does not name it",
        "The server does not say whether it keeps the image. Set {verify} to find.",
    )
    NOT_QUERYABLE = (
        "not-queryable",
        "its Study, Series or SOP Instance UID is missing or malformed",
        "The image cannot be queried. Set {verify} to commit, if the server offers it.",
    )
    NOT_VERIFIED = ("not-verified", "the run ended before it was verified", _ENDED)

    # Runs
    NOT_REACHED = ("not-reached", "the run ended before it", _ENDED)
    INTERRUPTED = ("interrupted", "the run ended in the middle of it", _ENDED)
    OTHER = ("other", "for other reasons")


@dataclass(frozen=True)
class Reason:
    """A kind and, where its text has a place for it, a detail.

    The detail is free text (of an operating system, a server, a library): nothing is decided by
    it, and no value of a dataset but UIDs is in it.
    """

    kind: Kind
    detail: str = ""

    @property
    def code(self) -> str:
        """The kind's code."""
        return self.kind.code

    @property
    def text(self) -> str:
        """What is the matter, as a part of a sentence."""
        return self.kind.template.replace("{}", self.detail)

    @property
    def advice(self) -> str:
        """What to do about it, in a sentence or two."""
        return self.kind.advice
