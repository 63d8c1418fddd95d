"""`dicom-send-batch`, also as `python -m fw_gear_dicom_send.batch`; checks its extra first."""

import sys

from ..cli import options
from ..cli.console import begin_logging
from ..exit_codes import exit_code


def main() -> int:
    """Run the command line of the process; return the exit code."""
    begin_logging()
    return exit_code(_run)


def _run() -> int:
    options.require("batch", "fw_core_client", "dicom-send-batch")
    from . import main as command  # it imports packages of the extra

    return command.main()


if __name__ == "__main__":
    sys.exit(main())
