"""The containers and files of the stand-in site, as the records that its API shows."""

import hashlib
import io
import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.flywheel_faults import open_content
from tests.support.flywheel_jobs import ORIGIN
from tests.support.flywheel_lists import Record, Refusal, now

DELETED = "2024-01-01T00:00:00.000000+00:00"
LEVELS = ("group", "project", "subject", "session", "acquisition")


class Hierarchy:
    """Groups, projects, subjects, sessions and acquisitions by id, and the files in them."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.types: dict[str, str] = {}
        self.contents: dict[str, bytes | Path] = {}
        self.lock = threading.RLock()
        self._ids = 0

    def add_group(self, group_id: str) -> str:
        """Add a group; its id is its name in a path."""
        self.containers[group_id] = {
            "_id": group_id,
            "label": group_id,
            "parents": {},
            "files": [],
            "tags": [],
            "created": now(),
            "modified": now(),
        }
        self.types[group_id] = "group"
        return group_id

    def add_project(self, group_id: str, label: str | None) -> str:
        """Add a project. Here as below, the record of a container without label has none."""
        return self._add("project", group_id, label, deleted=False)

    def add_subject(self, project_id: str, label: str | None) -> str:
        """Add a subject."""
        return self._add("subject", project_id, label, deleted=False)

    def add_session(
        self,
        subject_id: str,
        label: str | None,
        *,
        deleted: bool = False,
        timestamp: str | None = None,
        tags: Sequence[str] = (),
    ) -> str:
        """Add a session; `timestamp` is when the patient was examined, as ISO 8601."""
        session_id = self._add("session", subject_id, label, deleted=deleted)
        self.containers[session_id] |= {"tags": list(tags)}
        if timestamp is not None:
            self.containers[session_id]["timestamp"] = timestamp
        return session_id

    def add_acquisition(self, session_id: str, label: str | None, *, deleted: bool = False) -> str:
        """Add an acquisition."""
        return self._add("acquisition", session_id, label, deleted=deleted)

    def add_file(
        self,
        container_id: str,
        name: str,
        content: bytes | Path,
        *,
        file_type: str | None = "dicom",
        size: int | None = None,
        file_hash: str | None = None,
        deleted: bool = False,
        origin: Mapping[str, str] = ORIGIN,
    ) -> str:
        """Add a file; its record tells its true size and hash unless others are given."""
        with open_content(content) as source:
            digest = hashlib.file_digest(source, "sha384").hexdigest()
            length = source.seek(0, io.SEEK_END)
        record: dict[str, Any] = {
            "_id": self.new_id(),
            "file_id": self.new_id(),
            "version": 1,
            "name": name,
            "type": file_type,
            "size": length if size is None else size,
            "hash": file_hash or f"v0-sha384-{digest}",
            "created": now(),
            "modified": now(),
            "origin": dict(origin),
            "parents": self._parents(container_id),
        }
        if deleted:
            record["deleted"] = DELETED
        with self.lock:
            self.contents[record["file_id"]] = content
            self.containers[container_id]["files"].append(record)
        return str(record["file_id"])

    def new_id(self) -> str:
        """Return an id like those of the site's database: 24 hex digits, ascending."""
        with self.lock:
            self._ids += 1
            return f"{self._ids:024x}"

    def container_at(self, path: Sequence[str]) -> Record:
        """Return the container at a path of labels or `<id:...>`, with its type."""
        if not 1 <= len(path) <= len(LEVELS):
            raise Refusal(404, "No node matched that path")
        above = ""
        for level, part in zip(LEVELS, path, strict=False):
            above = self._child(level, above, part)
        return {"container_type": level, **self.containers[above]}

    def _child(self, level: str, parent_id: str, part: str) -> str:
        by_id = re.fullmatch(r"<id:(.+)>", part)
        for child_id, record in self.containers.items():
            if (
                self.types[child_id] == level
                and (level == "group" or parent_id in record["parents"].values())
                and (child_id == by_id[1] if by_id else record.get("label") == part)
                and "deleted" not in record
            ):
                return child_id
        raise Refusal(404, f"No {level} {part} found")

    def _parents(self, container_id: str) -> Record:
        above = self.containers[container_id]["parents"]
        return {**above, self.types[container_id]: container_id}

    def _add(self, kind: str, parent_id: str, label: str | None, *, deleted: bool) -> str:
        parents = self._parents(parent_id)
        record: dict[str, Any] = {
            "_id": self.new_id(),
            "parents": parents,
            "files": [],
            "tags": [],
            "created": now(),
            "modified": now(),
            **{level: parents[level] for level in ("group", "project") if level in parents},
        }
        if label is not None:
            record["label"] = label
        if deleted:
            record["deleted"] = DELETED
        self.containers[record["_id"]] = record
        self.types[record["_id"]] = kind
        return str(record["_id"])
