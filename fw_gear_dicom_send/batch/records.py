"""Converts the site's records (JSON) to the types of a batch run, and new jobs to records.

An incomplete record raises AttributeError, KeyError, TypeError or ValueError.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from ..models import Container
from ..report.schemas import FILES, names
from ..text import printable
from .models import Batch, Gear, Job, NewJob, Project, Session, StoredFile

Record = Mapping[str, Any]
MAX_LINE = 200
END = datetime.max.replace(tzinfo=UTC)
"""The end of time."""
_LINE = re.compile(r"\[\S+\s+(?P<level>[A-Z]+)\s*\]\s*(?P<text>.+)")
"""Line in a gear's log, in the format of the gear toolkit. Rows of a table are no lines."""
_ERRORS = ("ERROR", "CRITICAL")
_TABLE = names(FILES)[0]
_LABEL = re.compile(r"batch of ([0-9]{1,9}) sessions")
_CHOICE = ("name", "type", "modality", "tags", "created", "modified")
"""Fields of a file that decide whether it is sent."""


def record_id(record: Record) -> str:
    """Return the id of a record."""
    return str(record["_id"])


def kind_and_id(record: Record) -> tuple[str, str]:
    """Return the kind and the id of a container."""
    return str(record["container_type"]), record_id(record)


def gear(record: Record) -> Gear:
    """Read a gear (the SDK's GearNode)."""
    manifest = record["gear"]
    return Gear(
        id=record_id(record),
        name=manifest["name"],
        version=manifest["version"],
        options=dict(manifest.get("config") or {}),
        inputs=frozenset(manifest.get("inputs") or ()),
    )


def project(record: Record) -> Project:
    """Read a project."""
    group = record.get("group") or record["parents"]["group"]
    path = printable(f"{group}/{record.get('label') or record_id(record)}")
    return Project(path, frozenset(file["name"] for file in _files(record)))


def session(record: Record) -> Session:
    """Read a session."""
    subject = record.get("subject") or {}
    return Session(
        id=record_id(record),
        label=printable(record.get("label") or record_id(record)),
        subject=printable(str(subject.get("label") or subject.get("code") or "")),
        project_id=record["parents"]["project"],
        timestamp=_local(record.get("timestamp"), record.get("timezone")),
        tags=frozenset(record.get("tags") or ()),
        deleted=bool(record.get("deleted")),
        files=_stored(Container("session", record_id(record)), record),
        choices=tuple({key: file.get(key) for key in _CHOICE} for file in _files(record)),
    )


def info(record: Record) -> Record:
    """Return the custom information of a container."""
    return dict(record.get("info") or {})


def files(record: Record) -> tuple[str, Sequence[Record]]:
    """Return the id of an acquisition's session and the records of its files.

    A deleted acquisition has none.
    """
    files = () if record.get("deleted") else record.get("files") or ()
    return str(record["parents"]["session"]), files


def acquisition(record: Record) -> tuple[str, str, tuple[StoredFile, ...]]:
    """Return the id of an acquisition's session, its label and its files."""
    label = printable(record.get("label") or record_id(record))
    files = _stored(Container("acquisition", record_id(record)), record)
    return record["parents"]["session"], label, files


def job(record: Record) -> Job:
    """Read a job (the SDK's JobOutput and JobListOutput)."""
    state = record["state"]
    config = record.get("config") or {}
    place = record.get("destination") or config["destination"]
    transitions = record.get("transitions") or {}
    ended = transitions.get(state) or record.get("modified")
    since = time_of(record["created"])
    started = transitions.get("running")
    is_over = state not in ("pending", "running")
    return Job(
        # Lists have `_id`; single jobs and those of a batch have `id`.
        id=str(record.get("_id") or record["id"]),
        container=Container(place["type"], place["id"]),
        state=state,
        gear_name=(record.get("gear_info") or {}).get("name") or "",
        attempt=record.get("attempt") or 1,
        created=since,
        started=time_of(started) if started else since,
        ended=time_of(ended) if is_over and ended else None,
        failure_reason=printable(" ".join(str(record.get("failure_reason") or "").split()))[
            :MAX_LINE
        ],
        config=config.get("config") or {},
        batch_id=str(record.get("batch") or ""),
        previous_id=str(record.get("previous_job_id") or ""),
        has_file="file" in (config.get("inputs") or ()),
    )


def batch(record: Record) -> Batch:
    """Read a batch with its jobs."""
    jobs = record.get("jobs") or ()
    labels = (_LABEL.fullmatch(str(job.get("label"))) for job in jobs)
    return Batch(
        id=record_id(record),
        state=record["state"],
        created=time_of(record["created"]),
        owner=printable(str((record.get("origin") or {}).get("id") or "unknown")),
        jobs=tuple(map(job, jobs)),
        sessions=max((int(found[1]) for found in labels if found), default=0),
    )


def new_job(job: NewJob) -> dict[str, Any]:
    """Return the record of a new job (the SDK's InputJob)."""
    inputs = {
        name: {"type": "project", "id": job.project_id, "name": file}
        for name, file in job.files.items()
    }
    return {
        "attempt": 1,
        "label": f"batch of {job.batch_size} sessions" if job.batch_size else "",
        "gear_id": job.gear_id,
        "destination": {"type": "session", "id": job.session_id},
        "inputs": inputs,
        "tags": list(job.tags),
        "config": dict(job.config),
    }


def batch_ids(listed: Sequence[Record]) -> list[str]:
    """Return the ids of batches, the newest first."""
    found = [(time_of(record["created"]), record_id(record)) for record in listed]
    return [batch_id for _, batch_id in sorted(found, reverse=True)]


def last_line(record: Record) -> str:
    """Return the last error in a job's log, or else its last line, or an empty string.

    If the log ends with the table of a report, that is the last warning.
    """
    texts = "".join(line["msg"] for line in record["logs"]).splitlines()
    found = [line for line in map(_LINE.match, texts) if line]
    errors = [line["text"] for line in found if line["level"] in _ERRORS]
    if not errors and any(text.startswith(_TABLE) for text in texts):
        texts = [line["text"] for line in found if line["level"] == "WARNING"]
    lines = [" ".join(text.split()) for text in errors or texts if text.strip()]
    return printable(lines[-1])[:MAX_LINE] if lines else ""


def _files(record: Record) -> list[Record]:
    return [file for file in record.get("files") or () if not file.get("deleted")]


def _stored(parent: Container, record: Record) -> tuple[StoredFile, ...]:
    return tuple(
        StoredFile(parent, file["name"], time_of(file["created"]), _job_of(file))
        for file in _files(record)
        if file.get("created")
    )


def _job_of(file: Record) -> str:
    """Return the id of the job that created a file, as its output or as an upload."""
    origin = file.get("origin") or {}
    for source in (origin.get("via") or {}, origin):
        if source.get("type") == "job":
            return str(source["id"])
    return ""


def changed(file: Record) -> datetime:
    """Return when a file was created or modified last, the end of time if that is unknown."""
    times = [file.get("created"), file.get("modified")]
    try:
        return max(time_of(text) for text in times if text)
    except (TypeError, ValueError):
        return END


def time_of(text: str) -> datetime:
    """Read a time, in UTC if it has no zone."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _local(text: str | None, zone: str | None) -> datetime | None:
    if not text:
        return None
    time = time_of(text)
    try:
        return time.astimezone(ZoneInfo(zone)) if zone else time
    except (KeyError, ValueError, OSError):
        return time
