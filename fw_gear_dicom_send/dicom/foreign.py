"""Names of raw-data formats that fw-file recognizes, for files without a DICOM image."""

import os
import sys
from pathlib import Path
from threading import Lock

from .foreign_reader import FIRST_CODE, FORMATS

MAX_FILES = 10
"""Files to inspect in a run, as each takes up to a second."""
TIMEOUT = 15.0
"""Maximum time for a file, in seconds; the process may use a third of it as CPU time."""
_READER = Path(__file__).with_name("foreign_reader.py")


class ForeignFormats:
    """Detector of foreign formats in the first files of a run, one after the other.

    The mutable state is the number of inspected files.
    """

    def __init__(self, timeout: float = TIMEOUT) -> None:
        """Start with no inspected files; `timeout` is the maximum time for each, in seconds."""
        self._timeout = timeout
        self._number = 0
        self._lock = Lock()

    def name(self, path: Path) -> str:
        """Return the format of a file, empty if unknown."""
        import subprocess  # few files are foreign

        try:
            with self._lock, path.open("rb") as file:
                self._number += 1
                if self._number > MAX_FILES:
                    return ""
                code = subprocess.run(  # noqa: S603
                    [sys.executable, "-IB", str(_READER), str(os.getpid())],
                    stdin=file,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=self._timeout,
                    env={},
                    check=False,
                ).returncode
        except (OSError, subprocess.SubprocessError):
            return ""
        return dict(enumerate(FORMATS, FIRST_CODE)).get(code, "")
