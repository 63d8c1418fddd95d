"""Shared by the entry points: signals, logging, and the exit codes of errors."""

import gc
import logging
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from .errors import CancelledError, DicomSendError, ExitCode
from .text import printable
from .values import mutable

_OWN = "dicom-send"
log = logging.getLogger(_OWN)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@mutable
class _Deferral:
    """Whether signals are deferred now, and the signal that was deferred."""

    is_active: bool = False
    signal: int | None = None


_deferral = _Deferral()


def exit_code(body: Callable[[], int]) -> int:
    """Run `body`, and return its result or the exit code of its error, which is logged.

    A signal ends `body` with CancelledError. From now on, all log lines are printable.
    """
    logging.setLogRecordFactory(_PrintableRecord)
    for number in SIGNALS:
        signal.signal(number, _cancel)
    # Imported modules stay; collecting garbage in them would stop all threads for 30 ms.
    gc.collect()
    gc.freeze()
    try:
        return int(body())
    except DicomSendError as exc:
        log.error("%s", exc)
        return exc.exit_code
    except Exception as exc:
        # The message of an unexpected error may quote a dataset. Its type and place do not.
        place = "".join(traceback.format_tb(exc.__traceback__))
        log.critical("Unexpected %s, please report it:\n%s", type(exc).__name__, place)
    return ExitCode.NOT_ALL_SENT


class _PrintableRecord(logging.LogRecord):
    """Log record that contains only printable text.

    Only this package may log several lines in one record: its quotations are single lines.
    """

    def getMessage(self) -> str:  # noqa: N802
        text = super().getMessage()
        is_own = self.name == _OWN or self.name.startswith(__package__)
        return "\n".join(map(printable, text.split("\n"))) if is_own else printable(text)


def silence_pydicom() -> None:
    """Keep pydicom from quoting datasets. The modules that use other libraries silence those."""
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def log_details() -> None:
    """Log details of this package only: others may quote URLs, headers and keys."""
    logging.getLogger().setLevel(logging.INFO)
    for name in (_OWN, __package__):
        logging.getLogger(name).setLevel(logging.DEBUG)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Let a signal end the main thread only where `raise_deferred` or `accepted_signals` allow it.

    Elsewhere its exception may leave a lock taken or a thread half started. A signal during the
    block is raised at its end at the latest.
    """
    _deferral.is_active = True
    try:
        yield
    finally:
        _deferral.is_active = False
        raise_deferred()


@contextmanager
def accepted_signals() -> Iterator[None]:
    """Let a signal end the main thread at once: it waits, and holds no lock."""
    before, _deferral.is_active = _deferral.is_active, False
    try:
        raise_deferred()
        yield
    finally:
        _deferral.is_active = before


def raise_deferred() -> None:
    """Raise CancelledError once if a signal was deferred."""
    number, _deferral.signal = _deferral.signal, None
    if number is not None:
        raise CancelledError(signal.Signals(number))


def _cancel(number: int, _: FrameType | None) -> None:
    """End the run with CancelledError, and ignore further signals."""
    # Another signal may arrive before it is ignored.
    _deferral.signal = _deferral.signal or number
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    if not _deferral.is_active:
        raise_deferred()
