"""What can stop a run.

    DicomSendError
    ├── ConfigError        an option or input that cannot be used
    ├── UsageError         a command line that cannot be understood
    ├── NothingToSendError no file was selected
    ├── SiteError          the Flywheel site cannot be asked what to send
    ├── ServerError        the DICOM server cannot be sent to
    ├── WorkFolderError    the work folder cannot be written to
    └── CancelledError     the engine or a user ended the job

What goes wrong with one image or one file does not stop the run: it is a value with a
`Reason` (`Unreadable`, `BrokenArchive`, `DownloadFailure`, `NotSent`).
"""

from enum import IntEnum
from signal import Signals

from .retry import is_temporary_status
from .text import printable

_SIGNALLED = 128
"""What shells add to the number of a signal."""


class ExitCode(IntEnum):
    """What a command ends with; by a signal it is 128 and the signal's number."""

    SUCCESS = 0
    NOT_ALL_SENT = 1
    USAGE = 2
    SERVER = 3
    NOT_VERIFIED = 4


class DicomSendError(Exception):
    """The run cannot go on; the message is one line, fit to be shown to the user."""

    exit_code: int = ExitCode.NOT_ALL_SENT

    def __init__(self, message: str) -> None:
        """Make the message printable, whatever it quotes."""
        super().__init__(printable(message))


class ConfigError(DicomSendError):
    """An option or input cannot be used as given."""

    exit_code = ExitCode.USAGE

    def __init__(self, option: str, given: object, allowed: str) -> None:
        """Name the option, what was given and what is allowed."""
        self.option = option
        self.given = given
        self.allowed = allowed
        super().__init__(f"{option}: {given!r} was given; allowed: {allowed}")


class UsageError(DicomSendError):
    """A command line cannot be understood, or lacks something."""

    exit_code = ExitCode.USAGE


class NothingToSendError(DicomSendError):
    """No file was selected; `found` files were looked at."""

    exit_code = ExitCode.USAGE

    def __init__(self, found: int) -> None:
        """Say whether there was any file."""
        seen = {0: "no file was found", 1: "the only file found is not selected"}
        many = f"none of the {found} files found is selected"
        super().__init__(f"Nothing to send: {seen.get(found, many)}")


class SiteError(DicomSendError):
    """Flywheel did not tell what there is to send, or did not do what it was asked to.

    `status` is that of its answer (HTTP), None where there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        """Say what was asked for and what came of it."""
        self.status = status
        super().__init__(message)

    @property
    def is_final(self) -> bool:
        """Whether a retry would change nothing."""
        return self.status is not None and not is_temporary_status(self.status)


class ServerError(DicomSendError):
    """The DICOM server gave no association to begin with."""

    exit_code = ExitCode.SERVER


class WorkFolderError(DicomSendError):
    """There is no place for data on its way."""


class CancelledError(DicomSendError):
    """The job was ended from outside, by a signal, before all was sent."""

    def __init__(self, signal: Signals) -> None:
        """Name the signal."""
        self.exit_code = _SIGNALLED + signal
        super().__init__(f"The run was ended by {signal.name}")
