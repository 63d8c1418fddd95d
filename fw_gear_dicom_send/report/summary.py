"""JSON summary of a run for programs; `docs/summary.schema.json` is its schema."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from ..config import SendConfig
from ..models import FileReport, LeftOut, Outcome, Remark
from ..reasons import Kind
from ..text import MEGABYTE
from .verification import VerificationSummary
from .wording import is_complete, is_dry, number_of_images_with

SCHEMA_VERSION = 1
_CONVERTED = (Kind.CONVERTED, Kind.CONVERTED_AS_ASKED)


@dataclass(frozen=True)
class RunFacts:
    """Facts at the end of a run; many are missing if the run ended early."""

    exit_code: int
    config: SendConfig | None = None
    outcome: Outcome | None = None
    rows: Sequence[FileReport] = ()
    verification: VerificationSummary | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    left_out: Sequence[LeftOut] = ()
    reports: Sequence[str] = ()
    error: str = ""


def summary(facts: RunFacts) -> dict[str, Any]:
    """Return the summary as a JSON object; its only values of datasets are UIDs in remarks."""
    rows, verification, outcome = facts.rows, facts.verification, facts.outcome
    return {
        "schema_version": SCHEMA_VERSION,
        "program": {"name": "dicom-send", "version": __version__},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "exit_code": facts.exit_code,
        "complete": is_complete(rows),
        "error": facts.error or None,
        "cause": facts.error or (outcome.given_up if outcome else "") or None,
        "server": dict(facts.config.server.facts) if facts.config else None,
        "options": {option.name: value for option, value in facts.config.in_effect()}
        if facts.config
        else None,
        "images": sum(row.images for row in rows),
        "sent": sum(row.sent for row in rows),
        "already_there": sum(row.already_stored for row in rows),
        "would_be_sent": sum(row.planned or 0 for row in rows) if is_dry(rows) else None,
        "repaired": number_of_images_with(Kind.REPAIRED, rows),
        "converted": sum(number_of_images_with(kind, rows) for kind in _CONVERTED),
        "failed": _failed(rows),
        "files_not_processed": sum(row.is_unreached for row in rows),
        "verified": verification and verification.verified,
        "not_verified": verification and _not_verified(verification),
        "skipped": dict(facts.skipped),
        "not_selected": {files.cause.name.lower(): files.number for files in facts.left_out},
        **_performance(outcome),
        "versions": dict(outcome.versions) if outcome else {},
        "files": [_file(row) for row in rows],
        "reports": list(facts.reports),
    }


def _performance(outcome: Outcome | None) -> dict[str, Any]:
    """Return size, time, rates and retries."""
    seconds, sent, size = (outcome.seconds, outcome.sent, outcome.bytes) if outcome else (0.0, 0, 0)
    return {
        "bytes_sent": size,
        "seconds": round(seconds, 3),
        "images_per_second": round(sent / seconds, 3) if seconds else 0.0,
        "megabytes_per_second": round(size / MEGABYTE / seconds, 3) if seconds else 0.0,
        "retries": outcome.retries if outcome else 0,
        "lost_associations": outcome.lost_associations if outcome else 0,
    }


def _failed(rows: Sequence[FileReport]) -> dict[str, int]:
    """Return the number of failed images for each code."""
    counts: Counter[str] = Counter()
    for remark in (remark for row in rows for remark in row.remarks if remark.failure):
        counts[remark.kind.code] += remark.images
    return dict(counts)


def _file(row: FileReport) -> dict[str, Any]:
    return {
        "path": row.entry.path,
        "images": row.images,
        "sent": row.sent,
        "already_there": row.already_stored,
        "would_be_sent": row.planned,
        "verified": row.verified,
        "status": row.status,
        "remarks": [_remark(remark) for remark in row.remarks],
    }


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
        "images": remark.images,
        "failure": remark.failure,
    }
