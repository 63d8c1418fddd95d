"""Names of raw-data formats that fw-file recognizes, for files without a DICOM image."""

import subprocess
import sys
from pathlib import Path
from threading import Lock

from .foreign_reader import FORMATS

MAX_FILES = 10
"""Files to inspect in a run, as each takes up to a second."""
_TIMEOUT = 30.0
_READER = Path(__file__).with_name("foreign_reader.py")


class ForeignFormats:
    """Detector of foreign formats in the first files of a run.

    The mutable state is the number of inspected files.
    """

    def __init__(self) -> None:
        """Start with no inspected files."""
        self._number = 0
        self._lock = Lock()

    def name(self, path: Path) -> str:
        """Return the format of a file, empty if unknown."""
        with self._lock:
            self._number += 1
            if self._number > MAX_FILES:
                return ""
        try:
            output = subprocess.run(  # noqa: S603
                [sys.executable, "-IB", str(_READER), str(path)],
                capture_output=True,
                timeout=_TIMEOUT,
                env={},
                check=False,
            ).stdout
        except (OSError, subprocess.SubprocessError):
            return ""
        name = output.decode(errors="replace").strip()
        return name if name in FORMATS else ""
