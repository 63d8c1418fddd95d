"""`dicom-send`, also as `python -m fw_gear_dicom_send`."""

import signal
import sys


def main() -> int:
    """Run the command line of the process; return the exit code."""
    # Until the command handles signals, Ctrl-C ends the process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli.main import main as command  # imports the rest for 0.1 s

    return command()


if __name__ == "__main__":
    sys.exit(main())
