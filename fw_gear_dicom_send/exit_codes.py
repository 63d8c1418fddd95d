"""What the entry points share: signals, and the exit code that errors come to."""

import gc
import logging
import signal
import traceback
import warnings
from collections.abc import Callable
from types import FrameType

from .errors import CancelledError, DicomSendError, ExitCode
from .text import printable

_OWN = "dicom-send"
log = logging.getLogger(_OWN)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def exit_code(body: Callable[[], int]) -> int:
    """Run `body` to its end, or until a signal ends it in good order.

    Returns what it returns, or the exit code of the error that it raises, which is logged.
    Nothing is logged from now on that is not printable.
    """
    logging.setLogRecordFactory(_PrintableRecord)
    for number in SIGNALS:
        signal.signal(number, _cancel)
    # What was imported stays: a search for garbage in it would stop all threads for 30 ms.
    gc.collect()
    gc.freeze()
    try:
        return int(body())
    except DicomSendError as exc:
        log.error("%s", exc)
        return exc.exit_code
    except Exception as exc:
        # The message of a foreign error may quote a dataset: its type and place do not.
        place = "".join(traceback.format_tb(exc.__traceback__))
        log.critical("Unexpected %s, please report it:\n%s", type(exc).__name__, place)
    return ExitCode.NOT_ALL_SENT


class _PrintableRecord(logging.LogRecord):
    """A record that sends nothing to a terminal but text.

    Only this package may log several lines at once: what it quotes is of one line.
    """

    def getMessage(self) -> str:  # noqa: N802
        text = super().getMessage()
        is_own = self.name == _OWN or self.name.startswith(__package__)
        return "\n".join(map(printable, text.split("\n"))) if is_own else printable(text)


def keep_quiet() -> None:
    """Keep pydicom from quoting datasets; the modules that know other libraries quieten those."""
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def log_details() -> None:
    """Log this package in detail, and no other: those may quote URLs, headers and keys."""
    logging.getLogger().setLevel(logging.INFO)
    for name in (_OWN, __package__):
        logging.getLogger(name).setLevel(logging.DEBUG)


def log_errors() -> None:
    """Log errors only."""
    logging.getLogger().setLevel(logging.ERROR)


def _cancel(number: int, _: FrameType | None) -> None:
    """End the run in good order, once."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise CancelledError(signal.Signals(number))
