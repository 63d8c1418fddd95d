"""The gear's entry point: opens the gear context, and runs the pipeline in it."""

import sys
from functools import partial

from flywheel_gear_toolkit import GearToolkitContext

from fw_gear_dicom_send.config import parse
from fw_gear_dicom_send.exit_codes import exit_code, keep_quiet
from fw_gear_dicom_send.flywheel import FlywheelSource
from fw_gear_dicom_send.report.progress import Progress
from fw_gear_dicom_send.run.pipeline import DEFAULT_WAITS, MakeProgress, Waits, run


def main(waits: Waits = DEFAULT_WAITS, make_progress: MakeProgress = Progress) -> int:
    """Run the gear in the current folder and return its exit code."""
    return exit_code(partial(_run, waits, make_progress))


def _run(waits: Waits, make_progress: MakeProgress) -> bool:
    with GearToolkitContext() as context:
        context.init_logging()
        keep_quiet()
        config = parse(context.config_json, context.manifest)
        context.log_config()
        source = FlywheelSource(config)
        return run(
            config,
            source,
            source.reports,
            context.work_dir,
            context.output_dir,
            make_progress=make_progress,
            waits=waits,
        )


if __name__ == "__main__":
    sys.exit(main())
