"""Reasons why an image or a file was not sent, or was changed.

The program decides by the kind of a reason. Its text and advice are for people only.
"""

from dataclasses import dataclass
from enum import Enum

OUT_OF_MEMORY = "the machine does not have enough memory"
_LOG = "{log} may have details."
_DAMAGED_FILE = "{file} is damaged, or not an archive. {replace}"
_DAMAGED_DATASET = "The DICOM file is damaged. {replace}"
_INCOMPLETE = "This is not a complete DICOM image. C-STORE cannot send it."
_DISK_FULL = "The disk was full. Run {program} again on a machine with more disk space."
_DISK_FAILED = (
    "The disk was full, or failed. Run {program} again. Use another machine if the error returns."
)
_CHANGED = "{file} changed during the run, or is damaged. Run {program} again."
_CONNECTION = (
    "The connection was lost. Check for a firewall timeout or a server restart, then run "
    "{program} again."
)
_ENDED = "The run was cancelled, or had to stop. Run {program} again."
_NO_ACTION = "No action needed"
_REFUSED_ASSOCIATION = "The server rejected the association. Ask its administrator for the reason."


class _Words(dict[str, str]):
    """The terms of a program. Any other key is an option, which the command writes with dashes."""

    def __missing__(self, option: str) -> str:
        """Return an option as users of the program write it."""
        return option if self["program"] == "the gear" else f"--{option.replace('_', '-')}"


class Program(Enum):
    """The program that gives the advice, with its own terms."""

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
        listening="To accept it, set --commit-port, and enter that port on the server.",
    )

    def option(self, name: str) -> str:
        """Return an option as users of the program write it."""
        return self.value[name]

    @property
    def row_noun(self) -> str:
        """Noun for a row of the report: the command sends paths (files, folders, archives)."""
        return "file" if self is Program.GEAR else "path"


class Skipped(Enum):
    """Kind of a file that contains no image. Such files are skipped and counted."""

    NOT_DICOM = "not DICOM"
    DICOMDIR = "DICOMDIR"
    EMPTY = "empty"
    SPECIAL = "FIFO, socket or device"
    NESTED = "archive in a nested archive"


class Kind(Enum):
    """Kind of a reason. Codes are stable: programs may rely on them."""

    def __init__(self, code: str, template: str, advice: str = _LOG) -> None:
        """Take the code, the text with `{}` for the detail, and the advice."""
        self.code = code
        self.template = template
        self._advice = advice

    @property
    def advice(self) -> str:
        """The advice for users of the gear."""
        return self.advice_for(Program.GEAR)

    def advice_for(self, program: Program) -> str:
        """Return the advice in the terms and options of a program."""
        return self._advice.format_map(program.value)

    # Archives and folders
    CORRUPT_ARCHIVE = (
        "archive-corrupt",
        "the archive is corrupt or truncated",
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
        "Repack the images as a zip or tar archive.",
    )
    UNSUPPORTED_METHOD = (
        "method-unsupported",
        "a member of the archive has the unsupported compression method {}",
        "Repack the images with Deflate, the usual method of zip archives.",
    )
    ARCHIVE_TOO_LARGE = (
        "archive-too-large",
        "the archive unpacks to more than {} times its size",
        "The archive may be a decompression bomb. Repack the images, and send the new archive.",
    )
    CORRUPT_MEMBER = (
        "member-corrupt",
        "a member of the archive is corrupt",
        _DAMAGED_FILE,
    )
    ENCRYPTED_MEMBER = (
        "member-encrypted",
        "a member of the archive is encrypted",
        "{Program} has no password. Repack the images in an unencrypted archive.",
    )
    MEMBER_TOO_LARGE = (
        "member-too-large",
        "a member of the archive is larger than allowed",
        "Images larger than 16 GiB are not sent. Split the image, or send it another way.",
    )
    NO_SPACE = ("disk-full", "no space left on disk", _DISK_FULL)
    UNREADABLE_FOLDER = (
        "folder-unreadable",
        "the folder cannot be read: {}",
        "Check the permissions of the folder.",
    )
    UNOPENED_FILE = (
        "file-unopened",
        "a file cannot be opened: {}",
        "Check that the file exists, and its permissions.",
    )
    UNREADABLE_FILE = (
        "file-unreadable",
        "a file cannot be read: {}",
        "Check the disk that the file is on.",
    )
    NOT_UNPACKED = ("not-unpacked", "it could not be unpacked: {}", _DISK_FAILED)
    NO_IMAGE = (
        "no-image",
        "it contains no DICOM image",
        "There is nothing to send. Check that you chose the right file.",
    )

    OTHER_FORMAT = (
        "other-format",
        "neither a DICOM file nor an archive, but {}",
        "{Program} sends DICOM only. Convert the file to DICOM first, or leave it out.",
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
        "the dataset is damaged at byte {}, and the private element cannot be added safely",
        _DAMAGED_DATASET,
    )
    NO_PIXEL_DATA = (
        "pixel-data-missing",
        "it has Rows and Columns, but no Pixel Data",
        "The end of the DICOM file may be missing. Compare it with the original.",
    )
    PIXEL_DATA_ENCODING = (
        "pixel-data-encoding",
        "its Pixel Data is {}",
        "The Transfer Syntax UID of the file does not match its Pixel Data (PS3.5 A.4). Correct "
        "it, or export the image again.",
    )
    IMAGE_TOO_LARGE = (
        "image-too-large",
        "it needs too much memory or disk space: {}",
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
        "its {} is longer than 64 characters, or not plain text",
        _INCOMPLETE,
    )
    DUPLICATE_UID = (
        "uid-duplicate",
        "a different image with this UID was already sent",
        "Two different images have the same SOP Instance UID. Most servers keep only the last one. "
        "Give one of them another UID. If this is a new version of an image that an earlier run "
        "sent, run {program} without {resume} to replace it. Other options for the private element "
        "also make an image different.",
    )
    NO_PRIVATE_BLOCK = (
        "no-private-block",
        "all private blocks of group {} are in use, so the private element cannot be added",
        "Set {group} to another group for the private element.",
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
        "{}: the API key is invalid or has expired",
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
        "{file_download_retry_time} if this happens often.",
    )
    DOWNLOAD_DIFFERS = ("download-differs", "{}", _CHANGED)
    REPLACED = (
        "file-replaced",
        "it was replaced on Flywheel during the run; the newer version was read",
        f"{_NO_ACTION} if the newer version is the right one.",
    )
    DOWNLOAD_NOT_WRITTEN = ("download-not-written", "cannot be written to disk: {}", _DISK_FAILED)

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
        "the server did not answer within {}",
        "The server did not answer. Check that it is not overloaded.",
    )
    WRONG_ANSWER = (
        "wrong-answer",
        "the server's answer does not match the request",
        "The server violates the DICOM protocol. Report it to its administrator.",
    )
    GIVEN_UP = (
        "server-given-up",
        "gave up after {}",
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
    REFUSED = (
        "refused",
        "status {}",
        "The server rejected the image. Look for the cause in the server's log.",
    )
    WARNING = (
        "stored-with-warning",
        "status {}",
        "The server stored the image. Look for the cause of the warning in the server's log.",
    )
    ALREADY_STORED = (
        "already-stored",
        "already there",
        f"{_NO_ACTION}: the server already had the image.",
    )
    SENT_EARLIER = (
        "sent-earlier",
        "sent by an earlier run",
        f"{_NO_ACTION}: the report of an earlier run lists this dataset as sent to this server.",
    )
    CONVERTED = ("converted", "the server accepts {}", f"{_NO_ACTION}: the values are unchanged.")
    CONVERTED_AS_ASKED = (
        "converted-as-asked",
        "converted from {}",
        f"{_NO_ACTION}: the values are unchanged. {{conversion}} requested it.",
    )
    NOT_COMPRESSED = (
        "not-compressed",
        "sent uncompressed: {}",
        f"{_NO_ACTION}: the image was sent unchanged.",
    )
    CONVERSION_OFF = (
        "conversion-off",
        "the server accepts {}, but conversion is set to never",
        "Set {conversion} to when needed, or have the transfer syntax enabled on the server.",
    )
    REPAIRED = (
        "repaired",
        "with odd lengths padded",
        f"{_NO_ACTION}: the values are unchanged. The software that wrote the file violates "
        "PS3.5 7.1.",
    )
    GROUP_LENGTH_CORRECTED = (
        "group-length-corrected",
        "with the wrong length of group {} corrected",
        f"{_NO_ACTION}: the values are unchanged. The private element is in this group, so its "
        "length had to change.",
    )
    GROUP_LENGTHS_REMOVED = (
        "group-lengths-removed",
        "without group lengths",
        f"{_NO_ACTION}: the values are unchanged. Conversion changes lengths, and group "
        "lengths are retired (PS3.5 7.2).",
    )
    TRAILING_BYTES = (
        "trailing-bytes",
        "without {} after the last element",
        "The file continues after its dataset. If zeros follow, it may be damaged: compare it with "
        "its source. If another image follows, store it in a file of its own.",
    )
    FRAMES_PADDED = (
        "frames-padded",
        "{} of its frames are smaller than the image and were padded with black",
        f"{_NO_ACTION}: uncompressed frames all have the same size. To avoid padding, have the "
        "transfer syntax enabled on the server.",
    )
    LOSSY_COMPRESSION = (
        "lossy-compression",
        "with Lossy Image Compression set to 01",
        f"{_NO_ACTION}: the pixels come from a lossy compression, and the file did not say so "
        "(PS3.3 C.7.6.1.1.5).",
    )
    NOT_CONVERTIBLE = (
        "not-convertible",
        "cannot be converted from {}",
        "The server needs such images uncompressed, and this one cannot be decoded. Have the "
        "transfer syntax enabled on the server, and set {conversion} to when needed.",
    )
    CONVERSION_TOO_SLOW = (
        "conversion-too-slow",
        "cannot be converted from {}",
        "The image is probably damaged. Have its transfer syntax enabled on the server, or run "
        "{program} again on a faster machine.",
    )
    CONVERSION_STOPPED = (
        "conversion-stopped",
        "cannot be converted from {}",
        "Other images took too long to convert, so no more are converted in this run. Remove "
        "images with the code conversion-too-slow, then run {program} again.",
    )
    NOT_CONVERTED = ("not-converted", "the image could not be converted: {}", _DISK_FAILED)
    NOT_STORED = (
        "not-stored",
        "the server acknowledged it, but does not have it",
        "The server lost an acknowledged image. Report it to its administrator.",
    )
    NOT_FOUND_AGAIN = ("not-found-again", "it was not found when its file was reread", _CHANGED)

    # Verification
    NOT_OFFERED = (
        "verification-not-offered",
        "the server does not support {}",
        "Ask its administrator to enable it, or use the other value of {verify}.",
    )
    QUERY_FAILED = (
        "query-failed",
        "{}",
        "The query failed. Look for the cause in the server's log. Then run {program} again with "
        "{skip_existing} and {verify}.",
    )
    NO_COMMITMENT_REPORT = (
        "commitment-not-reported",
        "the server did not report a storage commitment {}",
        "The server may report over a new association. {listening} Alternatively, set {verify} to "
        "find.",
    )
    NOT_COMMITTED = (
        "commitment-not-named",
        "the server's storage commitment report does not list it",
        "The server did not confirm the image. Set {verify} to find.",
    )
    NOT_QUERYABLE = (
        "not-queryable",
        "its Study, Series or SOP Instance UID is missing or malformed",
        "The image cannot be queried. Set {verify} to commit, if the server offers it.",
    )
    NOT_VERIFIED = ("not-verified", "the run stopped before it was verified", _ENDED)

    # Runs
    NOT_REACHED = ("not-reached", "the run stopped before it was processed", _ENDED)
    INTERRUPTED = ("interrupted", "the run stopped while it was being processed", _ENDED)
    UNANSWERED = (
        "unanswered",
        "the run stopped before the server answered; it may have stored the image",
        "The image was sent completely, but not confirmed. Run {program} again. With "
        "{skip_existing}, it sends only images that are not on the server.",
    )
    OTHER = ("other", "for other reasons")


NOT_SENT_AGAIN = (Kind.ALREADY_STORED, Kind.SENT_EARLIER)
"""Kinds of images that the server already has. They are counted separately, without advice."""


@dataclass(frozen=True)
class Reason:
    """A kind and, where the kind's text needs one, a detail.

    The detail is free text from an operating system, a server or a library. The program never
    decides by it, and it contains no dataset values except UIDs. `status` is the status of a
    server's answer, as its protocol writes it, such as 0xA700.
    """

    kind: Kind
    detail: str = ""
    status: str = ""

    @property
    def code(self) -> str:
        """The code of the kind."""
        return self.kind.code

    @property
    def text(self) -> str:
        """The problem, as a part of a sentence."""
        return self.kind.template.replace("{}", self.detail)

    @property
    def advice(self) -> str:
        """The recommended action, in a sentence or two."""
        return self.kind.advice
