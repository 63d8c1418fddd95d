"""Per-image report (CSV), written during the run."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from ..delivery.results import AlreadyStored, NotSent, Planned, Sent, StoreResult, Transfer
from ..delivery.sender import ServerKey
from ..dicom.uids import name_of, printable_uid_or_empty
from ..errors import DicomSendError
from ..models import FileEntry, ImageRecord
from ..reasons import Program, Reason
from .csv_rows import read_rows, write_row
from .events import Observer
from .output import remove
from .verification import Verifications

log = logging.getLogger(__name__)

COLUMNS = (
    "FW Path",
    "Member",
    "SOP Class",
    "SOP Instance UID",
    "Transfer Syntax",
    "Sent As",
    "Bytes",
    "Status",
    "Error Comment",
    "Tries",
    "Milliseconds",
    "Outcome",
    "Reason",
    "Code",
    "Verified",
    "CRC-32",
    "Host",
    "Port",
    "Called AE",
)
_OWN_COLUMNS = ("Path", *COLUMNS[1:])
"""Columns for the command, whose paths are not on Flywheel."""
SENT, SENT_WITH_WARNING, ALREADY_THERE = "sent", "sent, with a warning", "already there"
"""Outcomes of images that are on the server."""
_NOT_SENT = "not sent"
_PATH, _UID = COLUMNS.index("FW Path"), COLUMNS.index("SOP Instance UID")
_OUTCOME, _VERIFIED = COLUMNS.index("Outcome"), COLUMNS.index("Verified")


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
            write_row(self._file, COLUMNS if program is Program.GEAR else _OWN_COLUMNS)

    def start_resending(self) -> None:
        """From now on, let each image replace its existing row."""
        self._revised = {}

    def mark_missing(self, entry: FileEntry, sop_instance_uid: str, reason: Reason) -> None:
        """Change an image that was added after `start_resending` to not sent."""
        key = entry.fw_path, printable_uid_or_empty(sop_instance_uid)
        if self._revised and (record := self._revised.get(key)):
            result = record.result
            missing = NotSent(reason, result.transfer)
            self._revised[key] = replace(record, result=missing)

    def image(self, record: ImageRecord) -> None:
        """Write a row."""
        if self._revised is not None:
            self._revised[record.entry.fw_path, printable_uid_or_empty(record.sop_instance_uid)] = (
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
                cells = list(self._row(record)) if record and row[_OUTCOME] != _NOT_SENT else row
                cells[_VERIFIED] = verifications.cell(number) if verifications else ""
                write_row(target, cells)
        os.replace(self._new_path, self.path)

    def _row(self, record: ImageRecord) -> tuple[str, ...]:
        """Return the row of an image, in the order of `COLUMNS`."""
        return (*_image_cells(record), *self._server)

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


def _image_cells(record: ImageRecord) -> tuple[str, ...]:
    """Return the cells of a row except those about the server."""
    result, transfer = record.result, record.result.transfer
    answer = transfer.answer
    return (
        record.entry.fw_path,
        record.name,
        _name(record.sop_class_uid),
        printable_uid_or_empty(record.sop_instance_uid),
        _name(record.transfer_syntax_uid),
        _name(transfer.transfer_syntax_uid),
        str(record.size or ""),
        answer.text if answer else "",
        answer.comment if answer else "",
        str(transfer.tries or ""),
        f"{transfer.seconds * 1000:.1f}" if transfer.seconds else "",
        outcome_of(result),
        _reason(result),
        code_of(result),
        "",
        "" if record.crc32 is None else f"{record.crc32:08X}",
    )


def outcome_of(result: StoreResult) -> str:
    """Return the value of the column `Outcome`."""
    match result:
        case AlreadyStored():
            return ALREADY_THERE
        case NotSent():
            return _NOT_SENT
        case Planned():
            return "would be sent"
        case Sent(transfer=Transfer(answer=answer)):
            return SENT if not answer or answer.is_success else SENT_WITH_WARNING


def _reason(result: StoreResult) -> str:
    if not isinstance(result, NotSent):
        return ""
    return "; ".join(reason.text for reason in (*result.remarks, result.reason))


def code_of(result: StoreResult) -> str:
    """Return the code of the failure or of the last remark, empty if there is none."""
    reasons = (result.reason,) if isinstance(result, NotSent) else result.remarks
    return reasons[-1].code if reasons else ""


def _name(uid: str) -> str:
    return name_of(uid) if uid else ""
