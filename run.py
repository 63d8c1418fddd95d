"""The gear's entry point: opens the gear context, and turns errors into the exit code."""

import gc
import logging
import signal
import sys
import traceback
import warnings
from types import FrameType

from flywheel_gear_toolkit import GearToolkitContext

from fw_gear_dicom_send.config import parse
from fw_gear_dicom_send.errors import CancelledError, DicomSendError
from fw_gear_dicom_send.pipeline import run

log = logging.getLogger("dicom-send")

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main() -> int:
    """Run the gear in the current folder and return its exit code."""
    for number in SIGNALS:
        signal.signal(number, cancel)
    # What was imported stays: a search for garbage in it would stop all threads for 30 ms.
    gc.collect()
    gc.freeze()
    try:
        with GearToolkitContext() as context:
            context.init_logging()
            keep_quiet()
            config = parse(context.config_json, context.manifest)
            context.log_config()
            is_all_sent = run(config, context.work_dir, context.output_dir)
    except DicomSendError as exc:
        log.error("%s", exc)
        return 1
    except Exception as exc:
        # The message of a foreign error may quote a dataset: its type and place do not.
        place = "".join(traceback.format_tb(exc.__traceback__))
        log.critical("Unexpected %s, please report it:\n%s", type(exc).__name__, place)
        return 1
    return 0 if is_all_sent else 1


def keep_quiet() -> None:
    """Keep pydicom from quoting datasets; the modules that know other libraries quieten those."""
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def cancel(number: int, _: FrameType | None) -> None:
    """End the run in good order, once."""
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise CancelledError(f"The job was ended by {signal.Signals(number).name}")


if __name__ == "__main__":
    sys.exit(main())
