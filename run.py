"""The gear's entry point: opens the gear context, and runs the pipeline in it."""

import sys

from flywheel_gear_toolkit import GearToolkitContext

from fw_gear_dicom_send.config import parse
from fw_gear_dicom_send.exit_codes import exit_code, keep_quiet
from fw_gear_dicom_send.flywheel import FlywheelSource
from fw_gear_dicom_send.run import run


def main() -> int:
    """Run the gear in the current folder and return its exit code."""
    return exit_code(_run)


def _run() -> bool:
    with GearToolkitContext() as context:
        context.init_logging()
        keep_quiet()
        config = parse(context.config_json, context.manifest)
        context.log_config()
        source = FlywheelSource(config)
        return run(config, source, source.reports, context.work_dir, context.output_dir)


if __name__ == "__main__":
    sys.exit(main())
