"""Errors that stop a run.

    DicomSendError
    ├── ConfigError        an option or input is invalid
    ├── UsageError         a command line is invalid
    ├── NothingToSendError no file was selected
    ├── SiteError          a request to the Flywheel site failed
    ├── ServerError        the DICOM server accepts no association, or lacks a needed service
    ├── WorkFolderError    the work folder cannot be written to
    └── CancelledError     a signal ended the run

A failure of one image or one file does not stop the run. It is a value with a `Reason`
(`Unreadable`, `BrokenArchive`, `DownloadFailure`, `NotSent`).
"""

from enum import IntEnum
from signal import Signals

from .reasons import Program
from .retry import is_temporary_status
from .server_url import without_users
from .text import printable

_MAX_SHOWN = 300
"""Maximum number of characters of a value that an error shows."""


class ExitCode(IntEnum):
    """Exit code of a command. After a signal it is 128 plus the signal's number."""

    SUCCESS = 0
    NOT_ALL_SENT = 1
    USAGE = 2
    SERVER = 3
    NOT_VERIFIED = 4


class DicomSendError(Exception):
    """The run cannot continue. The message is one line for the user: the cause, and the advice."""

    exit_code: int = ExitCode.NOT_ALL_SENT

    def __init__(self, cause: str, advice: str = "") -> None:
        """Make the message printable, without the users of URLs.

        The advice begins with a small letter.
        """
        self.cause = printable(without_users(cause))
        self.advice = printable(without_users(advice))
        super().__init__(": ".join(filter(None, (self.cause, self.advice))))


class ConfigError(DicomSendError):
    """The value of an option or input is invalid."""

    exit_code = ExitCode.USAGE

    def __init__(self, option: str, given: object, allowed: str) -> None:
        """Name the option, its value and the allowed values."""
        self.option = option
        self.given = given
        self.allowed = allowed
        shown = repr(given)
        if len(shown) > _MAX_SHOWN:
            shown = f"{shown[:_MAX_SHOWN]}..."
        super().__init__(f"{option}: {shown} was given; allowed: {allowed}")


class UsageError(DicomSendError):
    """A command line is invalid or incomplete."""

    exit_code = ExitCode.USAGE


class NothingToSendError(DicomSendError):
    """None of the `found` files was selected."""

    exit_code = ExitCode.USAGE

    def __init__(self, found: int) -> None:
        """Say whether any file was found."""
        seen = {0: "no file was found", 1: "the only file found is not selected"}
        many = f"none of the {found} files found is selected"
        super().__init__(f"Nothing to send: {seen.get(found, many)}")


class SiteError(DicomSendError):
    """A request to Flywheel failed.

    `status` is the HTTP status of the answer, None without an answer. `retry_after` is the wait
    that the site asks for, in seconds.
    """

    def __init__(self, message: str, status: int | None = None, retry_after: float = 0) -> None:
        """Name the request and its failure."""
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)

    @property
    def is_final(self) -> bool:
        """Whether a retry would fail too."""
        return self.status is not None and not is_temporary_status(self.status)


class ServerError(DicomSendError):
    """Before the run, the DICOM server accepts no association or lacks a needed service.

    The advice may have options in braces, such as `{called_ae}`. `template` keeps the braces, for
    a program that names options in another way than the gear.
    """

    exit_code = ExitCode.SERVER

    def __init__(self, cause: str, advice: str = "") -> None:
        """Name the options in the advice as the gear does."""
        self.template = advice
        super().__init__(cause, advice.format_map(Program.GEAR.value))


class WorkFolderError(DicomSendError):
    """The work folder cannot be used."""

    def __init__(self, why: str) -> None:
        """Say why."""
        advice = "check its permissions, and the space on its disk"
        super().__init__(f"Cannot write to the work folder: {why}", advice)


class CancelledError(DicomSendError):
    """A signal ended the run before all images were sent."""

    def __init__(self, signal: Signals) -> None:
        """Name the signal."""
        self.exit_code = 128 + signal
        super().__init__(f"Stopped by {'Ctrl-C' if signal is Signals.SIGINT else signal.name}")
