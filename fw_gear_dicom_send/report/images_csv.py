"""Per-image report (CSV), written during the run."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from ..delivery.results import NotSent
from ..delivery.sender import ServerKey
from ..dicom.uids import printable_uid_or_empty
from ..errors import DicomSendError
from ..models import FileEntry, ImageRecord
from ..reasons import Program, Reason
from ..values import replace
from .csv_rows import read_rows, write_row
from .events import Observer
from .output import remove
from .schemas import IMAGES, NOT_SENT, SERVER, cells, names
from .verification import Verifications

log = logging.getLogger(__name__)

_NAMES = names(IMAGES)
_PATH, _UID = _NAMES.index("FW Path"), _NAMES.index("SOP Instance UID")
_OUTCOME, _VERIFIED = _NAMES.index("Outcome"), _NAMES.index("Verified")


class ImagesCSV(Observer):
    """Per-image report with one row per image, written immediately.

    The column `Verified` is filled when the report is closed.

    The mutable state is the file, None after it is closed or abandoned, and the rows that replace
    earlier rows.
    """

    def __init__(self, path: Path, server: ServerKey, program: Program = Program.GEAR) -> None:
        """Create the report of images sent to a server: its host, port and AE title.

        If the report cannot be written completely, it is deleted and the error is logged.
        """
        self.path = path
        self._server = server
        self.has_failed = False
        """Whether the report cannot be written, so that there is none."""
        self._new_path = path.with_name(f"{path.name[:200]}.new")
        self._rows = 0
        self._file: TextIO | None = None
        self._revised: dict[tuple[str, str], ImageRecord] | None = None
        with self._abandon_on_error():
            # Line buffering: after a kill the report contains all images so far.
            self._file = path.open("w", buffering=1, encoding="utf-8", newline="")
            write_row(self._file, [*names(IMAGES, program), *SERVER])

    def start_resending(self) -> None:
        """From now on, let each image replace its existing row."""
        self._revised = {}

    def mark_missing(self, entry: FileEntry, sop_instance_uid: str, reason: Reason) -> None:
        """Change an image that was added after `start_resending` to not sent."""
        key = entry.path, printable_uid_or_empty(sop_instance_uid)
        if self._revised and (record := self._revised.get(key)):
            result = record.result
            missing = NotSent(reason, result.transfer)
            self._revised[key] = replace(record, result=missing)

    def image(self, record: ImageRecord) -> None:
        """Write a row."""
        if self._revised is not None:
            self._revised[record.entry.path, printable_uid_or_empty(record.sop_instance_uid)] = (
                record
            )
        elif self._file:
            with self._abandon_on_error():
                write_row(self._file, self._row(record))
                self._rows += 1

    def close(self, verifications: Verifications | None = None) -> bool:
        """Close the file and apply the revised rows; return whether the report has any row.

        With `verifications`, fill the column `Verified`.
        """
        if not self._file:
            return False
        with self._abandon_on_error():
            self._file.close()
            if self._revised or verifications:
                self._rewrite(self._revised or {}, verifications)
            if not self._rows:
                self.path.unlink()
        return bool(self._rows and self._file)

    def _rewrite(
        self, revised: dict[tuple[str, str], ImageRecord], verifications: Verifications | None
    ) -> None:
        with (
            self.path.open(encoding="utf-8", newline="") as source,
            self._new_path.open("w", encoding="utf-8", newline="") as target,
        ):
            rows = read_rows(source)
            write_row(target, next(rows))
            for number, row in enumerate(rows):
                record = revised.get((row[_PATH], row[_UID]))
                # Only sent images are resent: another image may have the same UID.
                revised_row = self._row(record) if record and row[_OUTCOME] != NOT_SENT else row
                revised_row[_VERIFIED] = verifications.cell(number) if verifications else ""
                write_row(target, revised_row)
        os.replace(self._new_path, self.path)

    def _row(self, record: ImageRecord) -> list[str]:
        """Return the row of an image."""
        return [*cells(IMAGES, record), *self._server]

    @contextmanager
    def _abandon_on_error(self) -> Iterator[None]:
        """Abandon the report on any error, without stopping the run."""
        try:
            yield
        except DicomSendError:
            raise
        except Exception as exc:
            cause = exc.strerror if isinstance(exc, OSError) else type(exc).__name__
            log.error("Cannot write the per-image report: %s", cause)
            self.has_failed = True
            if self._file:
                # Flushing the remaining data fails again.
                with suppress(OSError):
                    self._file.close()
            self._file = None
            remove(self.path)
            remove(self._new_path)
