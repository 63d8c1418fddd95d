"""Log of a command as JSON, with one event per line, for programs."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..delivery.results import NotSent
from ..dicom.uids import printable_uid_or_empty
from ..models import FileReport, ImageRecord
from ..report.events import Observer
from ..report.schemas import code_of, outcome_of

log = logging.getLogger(__name__)


class JSONFormatter(logging.Formatter):
    """Formatter of JSON lines with the time, the event (by default `log`) and its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line in ASCII."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: Mapping[str, Any] = getattr(record, "fields", None) or {
            "event": "log",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        return json.dumps({"time": at, **fields})


class JSONEvents(Observer):
    """Observer that logs the result of each image and each file."""

    def image(self, record: ImageRecord) -> None:
        """Log an image."""
        result, transfer = record.result, record.result.transfer
        log_event(
            "image",
            path=record.entry.path,
            member=record.name,
            sop_class_uid=printable_uid_or_empty(record.sop_class_uid),
            sop_instance_uid=printable_uid_or_empty(record.sop_instance_uid),
            transfer_syntax_uid=printable_uid_or_empty(record.transfer_syntax_uid),
            sent_as=printable_uid_or_empty(transfer.transfer_syntax_uid),
            bytes=record.size,
            outcome=outcome_of(result),
            status=transfer.answer.code if transfer.answer else None,
            tries=transfer.tries,
            milliseconds=round(transfer.seconds * 1000, 1),
            code=code_of(result),
            reason=result.reason.text if isinstance(result, NotSent) else "",
        )

    def file(self, report: FileReport) -> None:
        """Log a file."""
        log_event(
            "file",
            path=report.entry.path,
            images=report.images,
            sent=report.sent,
            already_there=report.already_stored,
            duplicates=report.duplicates,
            status=None if report.has_no_image else report.status,
        )


def log_event(event: str, **fields: Any) -> None:
    """Log an event; only `JSONFormatter` shows its fields."""
    log.info("%s", event, extra={"fields": {"event": event, **fields}})
