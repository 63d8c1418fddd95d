"""What became of each image, as CSV, written as the run goes."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from ..dicom.uids import name_of
from ..errors import DicomSendError
from ..models import FileEntry, ImageRecord
from ..network.statuses import describe
from ..network.types import AlreadyStored, NotSent, Planned, Sent, StoreResult, Transfer
from ..reasons import Reason
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
)
_PATH, _UID = COLUMNS.index("FW Path"), COLUMNS.index("SOP Instance UID")


class ImagesCSV(Observer):
    """A row for each image, written when it is told; whether it was verified follows at the end.

    The mutable state is the file, None where it is closed or was given up, and the rows that
    replace others in it.
    """

    def __init__(self, path: Path) -> None:
        """Write to a new file; one that cannot be written whole is told, and removed."""
        self.path = path
        self.is_given_up = False
        """Whether it cannot be written, so that there is none."""
        self._new_path = path.with_name(f"{path.name[:200]}.new")
        self._rows = 0
        self._file: TextIO | None = None
        self._revised: dict[tuple[str, str], ImageRecord] | None = None
        with self._giving_up():
            # Line by line, so that a job that is killed leaves what it had.
            self._file = path.open("w", buffering=1, encoding="utf-8", newline="")
            write_row(self._file, COLUMNS)

    def revise(self) -> None:
        """Let what is told from now on replace the rows of the same images."""
        self._revised = {}

    def deny(self, entry: FileEntry, sop_instance_uid: str, reason: Reason) -> None:
        """Note that an image that was told since `revise` was not sent after all."""
        key = entry.fw_path, sop_instance_uid
        if self._revised and (record := self._revised.get(key)):
            result = record.result
            denied = NotSent(reason, result.transfer)
            self._revised[key] = replace(record, result=denied)

    def image(self, record: ImageRecord) -> None:
        """Write a row."""
        if self._revised is not None:
            self._revised[record.entry.fw_path, record.sop_instance_uid] = record
        elif self._file:
            with self._giving_up():
                write_row(self._file, row_of(record))
                self._rows += 1

    def close(self, verifications: Verifications | None = None) -> bool:
        """Close the file, with what was revised in its place; tell whether it has a row.

        With `verifications`, the column `Verified` is filled.
        """
        if not self._file:
            return False
        with self._giving_up():
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
                known = row_of(record) if record else row
                verified = verifications.cell(number) if verifications else ""
                write_row(target, (*known[:-1], verified))
        os.replace(self._new_path, self.path)

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        """Let nothing that fails here end the run; what was written so far is not whole."""
        try:
            yield
        except DicomSendError:
            raise
        except Exception as exc:
            cause = exc.strerror if isinstance(exc, OSError) else type(exc).__name__
            log.error("The report on each image could not be written: %s", cause)
            self.is_given_up = True
            if self._file:
                # What is left to be written fails once more.
                with suppress(OSError):
                    self._file.close()
            self._file = None
            remove(self.path)
            remove(self._new_path)


def row_of(record: ImageRecord) -> tuple[str, ...]:
    """Return the row of an image, in the order of `COLUMNS`."""
    result, transfer = record.result, record.result.transfer
    return (
        record.entry.fw_path,
        record.name,
        _name(record.sop_class_uid),
        record.sop_instance_uid,
        _name(record.transfer_syntax_uid),
        _name(transfer.transfer_syntax_uid),
        str(record.size or ""),
        "" if transfer.status is None else describe(transfer.status),
        transfer.error_comment,
        str(transfer.tries or ""),
        f"{transfer.seconds * 1000:.1f}" if transfer.seconds else "",
        outcome_of(result),
        _reason(result),
        code_of(result),
        "",
    )


def outcome_of(result: StoreResult) -> str:
    """Return in a word or two what became of an image."""
    match result:
        case AlreadyStored():
            return "already there"
        case NotSent():
            return "not sent"
        case Planned():
            return "would be sent"
        case Sent(transfer=Transfer(status=status)):
            return "sent, with a warning" if status else "sent"


def _reason(result: StoreResult) -> str:
    if not isinstance(result, NotSent):
        return ""
    return "; ".join(reason.text for reason in (*result.remarks, result.reason))


def code_of(result: StoreResult) -> str:
    """Return the code of what is worth knowing: why it was not sent, or how it was."""
    reasons = (result.reason,) if isinstance(result, NotSent) else result.remarks
    return reasons[-1].code if reasons else ""


def _name(uid: str) -> str:
    return name_of(uid) if uid else ""
