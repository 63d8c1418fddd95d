"""Contents of the reports for programs. A column is one row here; all writers and readers follow.

Rules for versions: a reader finds columns by their names, in any order. It ignores columns that it
does not know. A report without a needed column is skipped, and any other missing cell is empty.
So columns can be added. A needed column is never renamed or removed, and no column gets another
meaning. The JSON summary has the same rules; its `schema_version` grows otherwise. Its schema is
`docs/summary.schema.json`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from .. import __version__
from ..account import Account, ConnectionsUsed, VerificationSummary
from ..delivery.results import (
    AlreadyStored,
    Answer,
    NotSent,
    Planned,
    Sent,
    StoreResult,
    Transfer,
)
from ..dicom.uids import name_of, printable_uid_or_empty
from ..models import FileReport, ImageRecord, Remark
from ..reasons import Kind, Program
from ..text import MEGABYTE
from ..values import frozen
from .reason_groups import main_cause

SENT, SENT_WITH_WARNING, ALREADY_THERE = "sent", "sent, with a warning", "already there"
DUPLICATE = "duplicate"
"""Outcomes of images that are on the server."""
NOT_SENT = "not sent"
_NO_ANSWER = Answer(0, "")
SCHEMA_VERSION = 1
"""Version of the JSON summary."""
MAX_FILES = 1_000
"""Maximum number of files in the JSON summary. The report on files has all."""
T = TypeVar("T")


@frozen
class Column(Generic[T]):
    """A column, with the cell of each row.

    `is_needed` says whether readers need it. `own_name` is its name in reports of the command, by
    default the same. It is empty if the command has no such column.
    """

    name: str
    cell: Callable[[T], str]
    is_needed: bool = False
    own_name: str | None = None

    def name_in(self, program: Program) -> str:
        """Return the name in the reports of a program."""
        is_own = program is Program.COMMAND and self.own_name is not None
        return str(self.own_name) if is_own else self.name


FILES: tuple[Column[FileReport], ...] = (
    Column("Acquisition ID", lambda row: row.entry.acquisition_id, own_name=""),
    Column("FW Path", lambda row: row.entry.path, own_name="Path"),
    Column("Filename", lambda row: row.entry.name, own_name=""),
    Column("Images in Series", lambda row: str(row.images), is_needed=True, own_name="Images"),
    Column("Images Sent", lambda row: str(_stored(row)), is_needed=True),
    Column("Status", lambda row: row.status, is_needed=True),
)
"""The report on files."""

IMAGES: tuple[Column[ImageRecord], ...] = (
    Column("FW Path", lambda row: row.entry.path, own_name="Path"),
    Column("Member", lambda row: row.name, own_name="File"),
    Column("SOP Class", lambda row: _name(row.sop_class_uid)),
    Column("SOP Instance UID", lambda row: printable_uid_or_empty(row.sop_instance_uid), True),
    Column("Transfer Syntax", lambda row: _name(row.transfer_syntax_uid)),
    Column("Sent As", lambda row: _name(row.result.transfer.transfer_syntax_uid)),
    Column("Bytes", lambda row: str(row.size or ""), is_needed=True),
    Column("Status", lambda row: _answer(row).text),
    Column("Error Comment", lambda row: _answer(row).comment),
    Column("Tries", lambda row: str(row.result.transfer.tries or "")),
    Column("Milliseconds", lambda row: _milliseconds(row.result.transfer.seconds)),
    Column("Outcome", lambda row: outcome_of(row.result), is_needed=True),
    Column("Reason", lambda row: _reason(row.result)),
    Column("Code", lambda row: code_of(row.result)),
    Column("Verified", lambda _: ""),  # filled when the report is closed
    Column("CRC-32", lambda row: "" if row.crc32 is None else f"{row.crc32:08X}", is_needed=True),
    Column("HTTP", lambda row: str(_answer(row).http_status or "")),
)
"""The per-image report. The columns `SERVER` follow."""

SERVER = ("Host", "Port", "Called AE")
"""Columns with the key of a server."""
JOB = ("Session ID", "Session", "Job ID", "Job State")
"""Columns of a batch's report before those of the reports on files."""


def names(columns: Iterable[Column[T]], program: Program = Program.GEAR) -> list[str]:
    """Return the names of the columns in the reports of a program."""
    return [name for column in columns if (name := column.name_in(program))]


def cells(columns: Iterable[Column[T]], row: T, program: Program = Program.GEAR) -> list[str]:
    """Return the cells of a row in the reports of a program."""
    return [column.cell(row) for column in columns if column.name_in(program)]


def needed(columns: Iterable[Column[T]]) -> list[str]:
    """Return the names of the columns that readers need."""
    return [column.name for column in columns if column.is_needed]


def outcome_of(result: StoreResult) -> str:
    """Return the value of the column `Outcome`."""
    match result:
        case AlreadyStored():
            return DUPLICATE if result.is_duplicate else ALREADY_THERE
        case NotSent():
            return NOT_SENT
        case Planned():
            return "would be sent"
        case Sent(transfer=Transfer(answer=answer)):
            return SENT if not answer or answer.is_success else SENT_WITH_WARNING


def code_of(result: StoreResult) -> str:
    """Return the code of the failure or of the last remark, empty if there is none."""
    reasons = (result.reason,) if isinstance(result, NotSent) else result.remarks
    return reasons[-1].kind.code if reasons else ""


def _reason(result: StoreResult) -> str:
    if not isinstance(result, NotSent):
        return ""
    return "; ".join(reason.text for reason in (*result.remarks, result.reason))


def _stored(row: FileReport) -> int:
    return 0 if row.planned is not None else row.stored


def _answer(row: ImageRecord) -> Answer:
    return row.result.transfer.answer or _NO_ANSWER


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}" if seconds else ""


def _name(uid: str) -> str:
    return name_of(uid) if uid else ""


def summary(account: Account) -> dict[str, Any]:
    """Return the summary as a JSON object; its only values of datasets are UIDs in remarks."""
    rows, work, verification = account.rows, account.throughput, account.verification
    listed = rows if len(rows) <= MAX_FILES else _listed(rows)
    return {
        "schema_version": SCHEMA_VERSION,
        "program": {"name": "dicom-send", "version": __version__},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "exit_code": account.exit_code,
        "complete": account.is_complete,
        "error": str(account.error) if account.error else None,
        "cause": main_cause(account) or None,
        "advice": account.advice or None,
        "warnings": list(account.warnings),
        "server": dict(account.server.facts) or None,
        "options": {option.name: value for option, value in account.options} or None,
        "images": account.images,
        "sent": account.sent,
        "already_there": account.already_stored,
        "duplicates": account.duplicates,
        "would_be_sent": account.planned if account.is_dry else None,
        "repaired": account.images_with(Kind.REPAIRED),
        "converted": account.images_with(Kind.CONVERTED, Kind.CONVERTED_AS_ASKED),
        "failed": _failed(rows),
        "files_not_processed": sum(row.is_unreached for row in rows),
        "verified": verification and verification.verified,
        "not_verified": verification and _not_verified(verification),
        "skipped": {kind.name.lower(): number for kind, number in account.skipped.items()},
        "missing_identifiers": dict(account.missing_identifiers),
        "not_selected": {files.cause.name.lower(): files.number for files in account.left_out},
        "bytes_sent": sum(work.bytes),
        "seconds": round(work.seconds, 3),
        "images_per_second": round(work.images_per_second, 3),
        "megabytes_per_second": round(work.bytes_per_second / MEGABYTE, 3),
        "retries": account.retries,
        "lost_associations": account.losses,
        "associations_used": _connections(account.connections),
        "versions": dict(account.versions),
        "files": [_file(row) for row in listed],
        "files_not_listed": len(rows) - len(listed),
        "reports": list(account.reports),
    }


def _failed(rows: Sequence[FileReport]) -> dict[str, int]:
    """Return the number of failed images for each code."""
    counts: Counter[str] = Counter()
    for remark in (remark for row in rows for remark in row.remarks if remark.failure):
        counts[remark.kind.code] += remark.count
    return dict(counts)


def _listed(rows: Iterable[FileReport]) -> Sequence[FileReport]:
    """Return the files to list: incomplete ones first, starting with one for each cause."""
    known: set[Kind] = set()

    def order(row: FileReport) -> int:
        causes = {remark.kind for remark in row.remarks if remark.failure}
        is_known = causes <= known
        known.update(causes)
        return 2 * row.is_complete + is_known

    return sorted(rows, key=order)[:MAX_FILES]


def _file(row: FileReport) -> dict[str, Any]:
    return {
        "path": row.entry.path,
        "images": row.images,
        "sent": row.sent,
        "already_there": row.already_stored,
        "duplicates": row.duplicates,
        "would_be_sent": row.planned,
        "verified": row.verified,
        "status": row.status,
        "remarks": [_remark(remark) for remark in row.remarks],
    }


def _connections(used: ConnectionsUsed | None) -> dict[str, Any] | None:
    return {"number": used.number, "peak": used.peak, "reason": used.why} if used else None


def _not_verified(verification: VerificationSummary) -> dict[str, Any]:
    causes = [
        {"text": reason.text, "code": reason.kind.code, "images": images}
        for reason, images in verification.causes
    ]
    return {"absent": verification.absent, "causes": causes}


def _remark(remark: Remark) -> dict[str, Any]:
    return {
        "text": remark.text,
        "code": remark.kind.code,
        "images": remark.count,
        "failure": remark.failure,
        "first_image": remark.member,
    }
