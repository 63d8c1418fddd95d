"""Program that runs the gear in the current folder with short waits.

The argument is the timeout for a silent server. At the end it prints the number of connection
attempts.
"""

import sys
from functools import partial

import run
from fw_gear_dicom_send import senders
from fw_gear_dicom_send.network.connection import Connection
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.report.progress import Intervals, Progress
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.run import Waits
from fw_gear_dicom_send.run.quarantine import QuarantinePolicy

SECOND = 1.0
WAIT = 0.5

connect = Connection.open
requested: list[str] = []


def count_and_connect(self: Connection, host: str, port: int) -> None:
    """Connect, and count the attempt."""
    requested.append(host)
    connect(self, host, port)


def main() -> int:
    """Run the gear and return its exit code."""
    timeout = float(sys.argv[1])
    timeouts = Timeouts(
        connect=timeout,
        associate=timeout,
        write=timeout,
        echo=timeout,
        release=timeout,
        abort=timeout,
    )
    waits = Waits(
        quarantine=QuarantinePolicy(wait=WAIT, second_wait=WAIT),
        verify=RetryPolicy(max_time=SECOND),
    )
    make_sender = partial(
        senders.of,
        timeouts=timeouts,
        resend=RetryPolicy(min_wait=WAIT, max_wait=WAIT, jitter=False),
    )
    Connection.open = count_and_connect
    exit_code = run.main(waits, partial(Progress, intervals=Intervals(early=SECOND)), make_sender)
    sys.stderr.write(f"connections asked for: {len(requested)}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
