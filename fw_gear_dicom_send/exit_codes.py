"""What the entry points share: signals, and the exit code that errors come to."""

import gc
import logging
import signal
import traceback
import warnings
from collections.abc import Callable
from types import FrameType

from .errors import CancelledError, DicomSendError

log = logging.getLogger("dicom-send")

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def exit_code(body: Callable[[], bool]) -> int:
    """Run `body` to its end, or until a signal ends it in good order.

    Returns 0 where it returns true, else 1; errors are logged.
    """
    for number in SIGNALS:
        signal.signal(number, _cancel)
    # What was imported stays: a search for garbage in it would stop all threads for 30 ms.
    gc.collect()
    gc.freeze()
    try:
        return 0 if body() else 1
    except DicomSendError as exc:
        log.error("%s", exc)
    except Exception as exc:
        # The message of a foreign error may quote a dataset: its type and place do not.
        place = "".join(traceback.format_tb(exc.__traceback__))
        log.critical("Unexpected %s, please report it:\n%s", type(exc).__name__, place)
    return 1


def keep_quiet() -> None:
    """Keep pydicom from quoting datasets; the modules that know other libraries quieten those."""
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def _cancel(number: int, _: FrameType | None) -> None:
    """End the run in good order, once."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise CancelledError(f"The run was ended by {signal.Signals(number).name}")
