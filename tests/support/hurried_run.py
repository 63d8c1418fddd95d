"""The gear in the current folder, in a hurry; the argument is its timeout for a silent server.

At its end it prints how often it has asked for a connection to the server.
"""

import sys

from pynetdicom.transport import T_CONNECT

import run
from fw_gear_dicom_send.network import (
    association as upper_layer,
)
from fw_gear_dicom_send.network import (
    connection as transport,
)
from fw_gear_dicom_send.network import (
    pool as association_pool,
)
from fw_gear_dicom_send.network import (
    store as storage_scu,
)
from fw_gear_dicom_send.report import progress
from fw_gear_dicom_send.run import verify as verifier

INTERVAL = 1.0
LONGEST_WAIT = 0.5

connect = transport.LowLatencySocket.connect
asked_for: list[T_CONNECT] = []


def count_and_connect(self: transport.LowLatencySocket, primitive: T_CONNECT) -> None:
    """Connect, and count it."""
    asked_for.append(primitive)
    connect(self, primitive)


def main() -> int:
    """Run the gear, and return its exit code."""
    timeout = float(sys.argv[1])
    for module, names, seconds in (
        (transport, ("CONNECT_TIMEOUT", "WRITE_TIMEOUT"), timeout),
        (upper_layer, ("ASSOCIATE_TIMEOUT", "RESPONSE_TIMEOUT", "ECHO_TIMEOUT"), timeout),
        (upper_layer, ("RELEASE_TIMEOUT", "ABORT_TIMEOUT"), timeout),
        (verifier, ("PATIENCE",), INTERVAL),
        (progress, ("INTERVAL",), INTERVAL),
        (storage_scu, ("_LONGEST_WAIT",), LONGEST_WAIT),
        (association_pool, ("_LONGEST_WAIT",), LONGEST_WAIT),
    ):
        for name in names:
            getattr(module, name)  # raises where there is nothing to shorten
            setattr(module, name, seconds)
    transport.LowLatencySocket.connect = count_and_connect
    exit_code = run.main()
    sys.stderr.write(f"connections asked for: {len(asked_for)}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
