"""Entry point of the gear: opens the gear context and runs the pipeline."""

import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from fw_gear_dicom_send import senders
from fw_gear_dicom_send.account import Account
from fw_gear_dicom_send.config import SendConfig, parse
from fw_gear_dicom_send.delivery.sender import Sender
from fw_gear_dicom_send.exit_codes import exit_code, log_details, silence_pydicom
from fw_gear_dicom_send.flywheel import QC_NAME, FlywheelSource, find_server
from fw_gear_dicom_send.report.events import surviving
from fw_gear_dicom_send.report.output import remove
from fw_gear_dicom_send.report.progress import Progress
from fw_gear_dicom_send.run.pipeline import DEFAULT_WAITS, ProgressFactory, Waits, run

# The toolkit works without the SDK and numpy, but imports them if it can, for half of the start.
# None in `sys.modules` makes an import fail (Python Language Reference 5.3.1).
_hidden = {"flywheel", "numpy"} - sys.modules.keys()
sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type]
try:
    from flywheel_gear_toolkit import GearToolkitContext
    from flywheel_gear_toolkit.utils.metadata import Metadata
finally:
    for _name in _hidden:
        del sys.modules[_name]

METADATA_FILE = ".metadata.json"

log = logging.getLogger(__name__)


SenderFactory = Callable[[SendConfig, Path], AbstractContextManager[Sender]]
"""Returns the sender for a configuration, which converts images in a folder."""


def main(
    waits: Waits = DEFAULT_WAITS,
    make_progress: ProgressFactory = Progress,
    make_sender: SenderFactory = senders.of,
) -> int:
    """Run the gear in the current folder; return 0 on success, else 1."""
    return 1 if exit_code(partial(_run, waits, make_progress, make_sender)) else 0


def _run(waits: Waits, make_progress: ProgressFactory, make_sender: SenderFactory) -> int:
    with GearToolkitContext() as context:
        context.init_logging()
        silence_pydicom()
        if context.config.get("debug"):
            log_details()
        config = parse(context.config_json, find_server)
        context.log_config()
        source = FlywheelSource(config)
        with make_sender(config, context.work_dir) as sender:
            account = run(
                config,
                source,
                sender,
                source.reports,
                work=context.work_dir,
                output=context.output_dir,
                make_progress=make_progress,
                waits=waits,
                earlier_reports=source.earlier_reports if config.resume else None,
                conclude=partial(_mark, source, context),
            )
        return account.exit_code


def _mark(source: FlywheelSource, context: GearToolkitContext, account: Account) -> None:
    """Mark the outcome of the run, even if it ends in an error.

    What the site does not let the gear change is written for the engine, to the output folder.
    """
    metadata, output = Metadata(context, name_override=QC_NAME), context.output_dir
    with surviving("Marking the sent data"):
        metadata.pull_job_info()
        source.mark(metadata, metadata.job_info[QC_NAME]["job_info"], account)
    try:
        # The custom information of a file may contain a patient's name, so it is not logged.
        metadata.write(output, log_meta=False)
    except OSError as error:
        remove(output / METADATA_FILE)
        log.error(
            "Cannot mark anything as sent: %s cannot be written: %s",
            METADATA_FILE,
            error.strerror,
        )


if __name__ == "__main__":
    sys.exit(main())
