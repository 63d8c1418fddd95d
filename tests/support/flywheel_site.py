"""Stand-in Flywheel site: the part of its REST API that a run needs, over real HTTP.

with FlywheelSite() as site:
    project = site.add_project(site.add_group("radiology"), "Trial")
    session = site.add_session(site.add_subject(project, "S1"), "Visit 1")
    acquisition = site.add_acquisition(session, "T1")
    file_id = site.add_file(acquisition, "t1.zip", Path("t1.zip"))
    site.fault(file_id, Status(503), Cut(after=1000))
    ... connect(site.api_key), sdk_client(site) ...

The requests that it answers are in tests/support/flywheel_routes.py, its faults in
tests/support/flywheel_http.py, its gears, jobs and batches in tests/support/flywheel_jobs.py, and
the engine that runs jobs in tests/support/flywheel_engine.py.
"""

import hashlib
import io
import re
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.support.flywheel_http import Fault, Request, Server, Upload, open_content
from tests.support.flywheel_jobs import ORIGIN, JobQueue
from tests.support.flywheel_lists import Record, Refusal, now
from tests.support.flywheel_matching import GearMatching
from tests.support.flywheel_routes import Handler
from tests.support.flywheel_rules import GearRules
from tests.support.flywheel_types import type_of

BY_NAME = "by name"
DELETED = "2024-01-01T00:00:00.000000+00:00"
LEVELS = ("group", "project", "subject", "session", "acquisition")
ENHANCED_KEY = "secret".ljust(57, "0")
"""API key in the current format, which Flywheel's clients send as `Bearer`."""
OLD_KEY = "secret"
FEATURES = ("safe-redirect", "subject-container")
"""X-Accept-Feature of each Flywheel client: fw-client and its command line."""


class FlywheelSite:
    """Site with one user: build its hierarchy, enter it, pass its `api_key` to a client.

    The user is a member of all projects and not a site admin, unless `is_member` and `is_admin` are
    changed. An admin who is not a member sees lists only with `exhaustive`. A batch keeps listing
    its original jobs, unless `replaces_retried` replaces them with their retries. Jobs appear in
    lists unless `lists_jobs` is changed, and alone unless `gives_jobs` is changed. A job is
    cancelled if it waits while more than `patience` others start. The user cannot start jobs on
    `read_only` containers. With `is_read_only`, the key may not write. An old site (`is_old`), of
    2019, has no versions of files, no lists of values in filters, and none of the newer requests
    for metadata. The engine replaces values of containers, or merges them (`merges_metadata`).
    """

    def __init__(
        self,
        *,
        signed_url: bool = False,
        upload_status: int | None = None,
        ticket_status: int = 0,
        page_limit: int = 1000,
        supports_after_id: bool = True,
        applies_filters: bool = True,
        latency: float = 0,
        key: str = ENHANCED_KEY,
        features: Sequence[str] = FEATURES,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Bind a port of the loopback interface.

        Args:
            signed_url: Whether files are transferred through a separate storage with signed URLs.
            upload_status: HTTP status of the response to every upload.
            ticket_status: HTTP status of the response if the site provides no upload tickets.
            page_limit: Maximum length of a list in one response.
            supports_after_id: Whether lists can be requested page by page.
            applies_filters: Whether filters are applied to lists.
            latency: Seconds before each response.
            key: API key of the user.
            features: Features that a client must have in its X-Accept-Feature.
            tls: Context of the server certificate for HTTPS.
        """
        self.signed_url = signed_url
        self.upload_status = upload_status
        self.ticket_status = ticket_status
        self.signatures: set[str] = set()
        self.pruned: Callable[[Request, object], object] = lambda _, answer: answer
        self.page_limit = page_limit
        self.supports_after_id = supports_after_id
        self.applies_filters = applies_filters
        self.latency = latency
        self.replaces_retried = False
        self.lists_jobs = True
        self.gives_jobs = True
        self.patience = float("inf")
        self.read_only: set[str] = set()
        self.is_admin = False
        self.is_member = True
        self.is_read_only = False
        self.is_old = False
        self.merges_metadata = False
        self.features = features
        self.connections = 0
        self.uploads: list[Upload] = []
        self.requests: list[Request] = []
        self.containers: dict[str, dict[str, Any]] = {}
        self.types: dict[str, str] = {}
        self.contents: dict[str, bytes | Path] = {}
        self.faults: dict[str, deque[Fault]] = {}
        self.tickets: dict[str, Upload] = {}
        self.gears: dict[str, Record] = {}
        self.jobs: dict[str, Record] = {}
        self.batches: dict[str, Record] = {}
        self.logs: dict[str, list[Record]] = {}
        self.lock = threading.RLock()
        self.queue = JobQueue(self)
        self.matching = GearMatching(self)
        self.rules = GearRules(self)
        self.closing = threading.Event()
        self._ids = 0
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.site = self
        host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{'https' if tls else 'http'}://{host}"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        # As real storages do, it has another host name; a certificate covers only one of them.
        self.storage_url = self.url if tls else self.url.replace("127.0.0.1", "localhost")
        self.api_key = f"{self.url}:{key}"
        self.sdk_key = f"{host}:__force_insecure:{key}"

    @property
    def reports(self) -> list[Upload]:
        """Attached reports per file, without per-image reports and pages."""
        return [
            upload
            for upload in self.uploads
            if upload.name.endswith(".csv") and not upload.name.endswith("_instances.csv")
        ]

    def job_key(self, job_id: str) -> str:
        """Return the key that the engine gives to a job."""
        return f"{self.url}:{f'job-{job_id}'.ljust(len(ENHANCED_KEY), '0')}"

    def origin_of(self, authorization: str | None) -> Record:
        """Return the origin of an authorization header: the user, possibly through a job."""
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme == "scitran-user":
            # Older clients include the host in the key.
            secret = secret.rpartition(":")[2]
        if f"{scheme} {secret}" != self.credentials(secret):
            raise Refusal(401)
        if secret == self.api_key.rpartition(":")[2]:
            return ORIGIN
        for job_id in re.findall("^job-([0-9a-f]{24})", secret):
            if job_id in self.jobs and self.job_key(job_id).endswith(f":{secret}"):
                return {**ORIGIN, "via": {"type": "job", "id": job_id}}
        raise Refusal(401)

    def credentials(self, key: str) -> str:
        """Return the header that Flywheel's clients send for a key."""
        secret = key.rpartition(":")[2]
        scheme = "Bearer" if len(secret) == len(ENHANCED_KEY) else "scitran-user"
        return f"{scheme} {secret}"

    def __enter__(self) -> Self:
        """Start the server."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port and end stalled responses."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def add_group(self, group_id: str) -> str:
        """Add a group; its id is its name in paths."""
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
        """Add a project. For all containers, a record without a label has no label field."""
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
        """Add a session; `timestamp` is the time of the examination, as ISO 8601."""
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
        file_type: str | None = BY_NAME,
        size: int | None = None,
        file_hash: str | None = None,
        deleted: bool = False,
        origin: Mapping[str, Any] = ORIGIN,
        modality: str | None = None,
        tags: Sequence[str] = (),
        members: int | None = None,
    ) -> str:
        """Add a file; size, hash and type are correct unless given.

        The site derives the type from the name; a user or a gear may have changed it. `members` is
        the number of zip members, if the site has counted them.
        """
        length, digest = _size_and_hash(content)
        record: dict[str, Any] = {
            "_id": self.new_id(),
            "file_id": self.new_id(),
            "version": 1,
            "name": name,
            "type": type_of(name) if file_type == BY_NAME else file_type,
            "modality": modality,
            "tags": list(tags),
            "size": length if size is None else size,
            "hash": file_hash or digest,
            "created": now(),
            "modified": now(),
            "origin": dict(origin),
            "info": {},
            "parents": self._parents(container_id),
        }
        if members is not None:
            record["zip_member_count"] = members
        if deleted:
            record["deleted"] = DELETED
        with self.lock:
            self.contents[record["file_id"]] = content
            self.containers[container_id]["files"].append(record)
            self.rules.file_changed(container_id, record)
        return str(record["file_id"])

    def replace_file(self, file_id: str, content: bytes | Path) -> None:
        """Replace a file with a newer version, as an upload of the same name does.

        Its tags stay (`update_fileinfo` in api/dao/hierarchy.py of scitran/core).
        """
        length, digest = _size_and_hash(content)
        with self.lock:
            self.contents[file_id] = content
            container_id, record = self._file(file_id)
            newer = {"version": record["version"] + 1, "modified": now()}
            record.update(newer, size=length, hash=digest)
            self.rules.file_changed(container_id, record)

    def tag_file(self, file_id: str, tag: str) -> None:
        """Add a tag to a file."""
        with self.lock:
            container_id, record = self._file(file_id)
            before = dict(record)
            record["tags"] = [*record["tags"], tag]
            self.rules.file_changed(container_id, record, before)

    def file(self, file_id: str) -> Record:
        """Return the record of a file."""
        files = (file for one in self.containers.values() for file in one["files"])
        found: dict[str, Record] = {file["file_id"]: file for file in files}
        return found[file_id]

    def attach(
        self, container_id: str, name: str, content: bytes, origin: Mapping[str, Any] = ORIGIN
    ) -> Upload:
        """Add a file as if it was uploaded."""
        upload = Upload(self.types[container_id], container_id, name, content)
        with self.lock:
            self.uploads.append(upload)
            self.add_file(container_id, name, content, origin=origin)
        return upload

    def add_gear(self, manifest: Mapping[str, Any], version: str | None = None) -> str:
        """Add a gear or a new version of it by its manifest; return its id."""
        return self.queue.add_gear(manifest, version)

    def fault(self, wanted_id: str, *faults: Fault) -> None:
        """Apply faults to the responses for a file, a container or its lists, one fault each.

        The id may also be the id of a job or of a batch; "<session>/jobs" is the list of a
        session's jobs. "storage" means the PUTs to signed URLs. "lookup", "sessions", "gears",
        "jobs" and "batch" mean requests without an id. The request is executed nevertheless. "any"
        means all requests, and none of these is executed.
        """
        self.faults.setdefault(wanted_id, deque()).extend(faults)

    def requested(self, method: str) -> list[str]:
        """Return the requested paths for an HTTP method, in order."""
        return [request.path for request in self.requests if request.method == method]

    def new_id(self) -> str:
        """Return an id in the format of the site's database: 24 hex digits, ascending."""
        with self.lock:
            self._ids += 1
            return f"{self._ids:024x}"

    def resolve(self, path: Sequence[str]) -> Record:
        """Return the container or gear at a path of labels or `<id:...>`, with its type."""
        if path[:1] == ["gears"] and len(path) in (2, 3):
            return {"container_type": "gear", **self.queue.gear(*path[1:])}
        if not 1 <= len(path) <= len(LEVELS):
            raise Refusal(404, "No node matched that path")
        above = ""
        for level, part in zip(LEVELS, path, strict=False):
            above = self._child(level, above, part)
        return {"container_type": level, **self.containers[above]}

    def _file(self, file_id: str) -> tuple[str, Record]:
        """Return the container and the record of a file."""
        ((container_id, record),) = (
            (container_id, record)
            for container_id, container in self.containers.items()
            for record in container["files"]
            if record["file_id"] == file_id
        )
        return container_id, record

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


def _size_and_hash(content: bytes | Path) -> tuple[int, str]:
    with open_content(content) as source:
        digest = hashlib.file_digest(source, "sha384").hexdigest()
        return source.seek(0, io.SEEK_END), f"v0-sha384-{digest}"
