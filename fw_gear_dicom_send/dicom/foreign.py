"""What a file without a DICOM image is, where fw-file knows it."""

import subprocess
import sys
from pathlib import Path
from threading import Lock

from .foreign_reader import FORMATS

MAX_FILES = 10
"""Files of a run that are looked at: each takes up to a second."""
_TIMEOUT = 30.0
_READER = Path(__file__).with_name("foreign_reader.py")


class ForeignFormats:
    """Looks at the first of such files. The mutable state is how many were looked at."""

    def __init__(self) -> None:
        """Have looked at none."""
        self._number = 0
        self._lock = Lock()

    def name(self, path: Path) -> str:
        """Return the format of a file, empty where it is not known."""
        with self._lock:
            self._number += 1
            if self._number > MAX_FILES:
                return ""
        try:
            told = subprocess.run(  # noqa: S603
                [sys.executable, "-I", str(_READER), str(path)],
                capture_output=True,
                timeout=_TIMEOUT,
                env={},
                check=False,
            ).stdout
        except (OSError, subprocess.SubprocessError):
            return ""
        name = told.decode(errors="replace").strip()
        return name if name in FORMATS else ""
