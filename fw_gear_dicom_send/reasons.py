"""Reasons why an image or a file was not sent, or was changed.

The program decides by the kind of a reason. Its text and advice are for people only, and are in
reasons.toml.
"""

from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path

from .documentation import documentation
from .values import frozen

OUT_OF_MEMORY = "the machine does not have enough memory"


@cache
def texts() -> Mapping[str, Mapping[str, str]]:
    """Return the text and the advice of each code.

    A run reads them at its start: later it may be out of file descriptors.
    """
    import tomllib  # no help needs it

    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


class _Words(dict[str, str]):
    """The terms of a program. Any other key is an option, which the command writes with dashes.

    The key `docs` is the address of the documentation.
    """

    def __missing__(self, option: str) -> str:
        """Return an option as users of the program write it."""
        if option == "docs":
            return documentation()
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
    """Kind of a file without an image to send. Such files are skipped and counted."""

    NOT_DICOM = "not DICOM"
    DICOMDIR = "DICOMDIR"
    EMPTY = "empty"
    SPECIAL = "FIFO, socket or device"
    UNREAD = "not readable as DICOM"
    NESTED = "archive in a nested archive"
    NOT_SELECTED = "not selected"


class Kind(Enum):
    """Kind of a reason. Codes are stable: programs may rely on them."""

    @property
    def code(self) -> str:
        """The code for programs."""
        return str(self.value)

    @property
    def template(self) -> str:
        """The text, with `{}` for the detail."""
        return texts()[self.code]["text"]

    @property
    def advice(self) -> str:
        """The advice for users of the gear."""
        return self.advice_for(Program.GEAR)

    def advice_for(self, program: Program) -> str:
        """Return the advice in the terms and options of a program."""
        text = texts()[self.code]
        return texts()[text.get("advice_of", self.code)]["advice"].format_map(program.value)

    # Archives and folders
    CORRUPT_ARCHIVE = "archive-corrupt"
    UNKNOWN_TYPE = "unknown-file-type"
    EMPTY_FILE = "file-empty"
    UNSUPPORTED_FORMAT = "format-unsupported"
    UNSUPPORTED_METHOD = "method-unsupported"
    ARCHIVE_TOO_LARGE = "archive-too-large"
    CORRUPT_MEMBER = "member-corrupt"
    ENCRYPTED_MEMBER = "member-encrypted"
    MEMBER_TOO_LARGE = "member-too-large"
    NO_SPACE = "disk-full"
    UNREADABLE_FOLDER = "folder-unreadable"
    UNOPENED_FILE = "file-unopened"
    UNREADABLE_FILE = "file-unreadable"
    NOT_UNPACKED = "not-unpacked"
    NO_IMAGE = "no-image"
    OTHER_FORMAT = "other-format"

    # Datasets
    MALFORMED = "dataset-malformed"
    TRUNCATED = "file-truncated"
    DAMAGED = "dataset-damaged"
    NO_PIXEL_DATA = "pixel-data-missing"
    PIXEL_DATA_ENCODING = "pixel-data-encoding"
    IMAGE_TOO_LARGE = "image-too-large"
    DATASET_UNREADABLE = "dataset-unreadable"
    MISSING_UID = "uid-missing"
    INVALID_UID = "uid-invalid"
    DUPLICATE_UID = "uid-duplicate"
    NO_PRIVATE_BLOCK = "no-private-block"
    NOT_READ = "image-unreadable"

    # Downloads
    DOWNLOAD_REFUSED = "download-refused"
    INVALID_API_KEY = "api-key-invalid"
    DOWNLOAD_FAILED = "download-failed"
    DOWNLOAD_LOST = "download-lost"
    DOWNLOAD_DIFFERS = "download-differs"
    REPLACED = "file-replaced"
    DOWNLOAD_NOT_WRITTEN = "download-not-written"

    # Associations
    NO_CONNECTION = "server-unreachable"
    NO_ASSOCIATION = "no-association"
    TLS_CERTIFICATE = "tls-certificate"
    TLS_FAILED = "tls-failed"
    UNKNOWN_CALLING_AE = "calling-ae-unknown"
    UNKNOWN_CALLED_AE = "called-ae-unknown"
    REJECTED = "association-rejected"
    CONNECTION_LOST = "connection-lost"
    NO_ANSWER = "no-answer"
    WRONG_ANSWER = "wrong-answer"
    GIVEN_UP = "server-given-up"
    NOT_AUTHORIZED = "not-authorized"

    # Images
    NOT_ACCEPTED = "not-accepted"
    OUT_OF_RESOURCES = "out-of-resources"
    REFUSED_ALONE = "refused-alone"
    LOST_ALONE = "lost-alone"
    REFUSED = "refused"
    TOO_LARGE_FOR_SERVER = "too-large-for-server"
    NOT_NAMED = "not-named"
    WARNING = "stored-with-warning"
    ALREADY_STORED = "already-stored"
    DUPLICATE = "duplicate"
    ANSWER_LOST = "answer-lost"
    SENT_EARLIER = "sent-earlier"
    OVERWRITTEN = "overwritten"
    CONVERTED = "converted"
    CONVERTED_AS_ASKED = "converted-as-asked"
    NOT_COMPRESSED = "not-compressed"
    CONVERSION_OFF = "conversion-off"
    REPAIRED = "repaired"
    GROUP_LENGTH_CORRECTED = "group-length-corrected"
    GROUP_LENGTHS_REMOVED = "group-lengths-removed"
    TRAILING_BYTES = "trailing-bytes"
    FRAMES_PADDED = "frames-padded"
    LOSSY_COMPRESSION = "lossy-compression"
    NOT_CONVERTIBLE = "not-convertible"
    CONVERSION_TOO_SLOW = "conversion-too-slow"
    CONVERSION_STOPPED = "conversion-stopped"
    NOT_CONVERTED = "not-converted"
    NOT_STORED = "not-stored"
    NOT_FOUND_AGAIN = "not-found-again"

    # Verification
    NOT_OFFERED = "verification-not-offered"
    QUERY_FAILED = "query-failed"
    NO_COMMITMENT_REPORT = "commitment-not-reported"
    NOT_COMMITTED = "commitment-not-named"
    NOT_QUERYABLE = "not-queryable"
    NOT_LOOKED_UP = "not-looked-up"
    CONTENT_DIFFERS = "content-differs"
    NOT_VERIFIED = "not-verified"

    # Runs
    NOT_REACHED = "not-reached"
    INTERRUPTED = "interrupted"
    UNANSWERED = "unanswered"
    OTHER = "other"


NOT_SENT_AGAIN = (Kind.ALREADY_STORED, Kind.SENT_EARLIER, Kind.DUPLICATE)
"""Kinds of images that the server already has. They are counted separately, without advice."""


@frozen
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
    def text(self) -> str:
        """The problem, as a part of a sentence."""
        return self.kind.template.replace("{}", self.detail)
