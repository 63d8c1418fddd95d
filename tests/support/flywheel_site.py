"""A stand-in Flywheel site: the part of its REST API that a run needs, over real HTTP.

with FlywheelSite() as site:
    project = site.add_project(site.add_group("radiology"), "Trial")
    session = site.add_session(site.add_subject(project, "S1"), "Visit 1")
    acquisition = site.add_acquisition(session, "T1")
    file_id = site.add_file(acquisition, "t1.zip", Path("t1.zip"))
    site.fault(file_id, Status(503), Cut(after=1000))
    ... CoreClient(api_key=site.api_key), flywheel.Client(site.sdk_key) ...

Its gears, jobs and batches are in tests/support/flywheel_jobs.py; what runs the jobs is in
tests/support/flywheel_engine.py.
"""

import hashlib
import io
import json
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.support.flywheel_jobs import ORIGIN, USER, Call, JobQueue
from tests.support.flywheel_lists import Record, Refusal, now, selected

CHUNK = 1 << 18
DELETED = "2024-01-01T00:00:00.000000+00:00"
STORAGE_HEADERS = {"x-storage-class": "standard"}
LEVELS = ("group", "project", "subject", "session", "acquisition")


@dataclass(frozen=True)
class Status:
    """Answer with an HTTP status."""

    code: int


@dataclass(frozen=True)
class Reset:
    """Reset the connection instead of an answer."""


@dataclass(frozen=True)
class Cut:
    """Close the connection after so many bytes of the body."""

    after: int


@dataclass(frozen=True)
class Flip:
    """Invert one byte of the body."""

    at: int = 0


@dataclass(frozen=True)
class Stall:
    """Wait some seconds after so many bytes of the body."""

    seconds: float
    after: int = 0


Fault = Status | Reset | Cut | Flip | Stall


@dataclass(frozen=True)
class Upload:
    """A file that was attached to a container."""

    container_type: str
    container_id: str
    name: str
    content: bytes


@dataclass(frozen=True)
class Request:
    """A request that reached the site; `path` is as it was sent, without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


class FlywheelSite:
    """A site with one user: build its hierarchy, enter it, give its `api_key` to a client."""

    def __init__(
        self,
        *,
        signed_url: bool = False,
        refuse_uploads: int | None = None,
        page_limit: int = 1000,
        knows_after_id: bool = True,
    ) -> None:
        """Take a port of the loopback interface.

        Args:
            signed_url: Uploads go to a storage of their own, by signed URLs.
            refuse_uploads: The HTTP status that every upload gets.
            page_limit: Longest list in one answer.
            knows_after_id: Whether lists can be asked for page by page.
        """
        self.signed_url = signed_url
        self.refuse_uploads = refuse_uploads
        self.page_limit = page_limit
        self.knows_after_id = knows_after_id
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
        self.closing = threading.Event()
        self._ids = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.site = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.api_key = f"{self.url}:secret"
        host = self.url.removeprefix("http://")
        self.sdk_key = f"{host}:__force_insecure:secret"

    @property
    def reports(self) -> list[Upload]:
        """The reports on files that were attached: not those on images, and no pages."""
        return [
            upload
            for upload in self.uploads
            if upload.name.endswith(".csv") and not upload.name.endswith("_instances.csv")
        ]

    def __enter__(self) -> Self:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port, and end what stalls."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

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

    def attach(
        self, container_id: str, name: str, content: bytes, origin: Mapping[str, str] = ORIGIN
    ) -> Upload:
        """Add a file as if it was uploaded."""
        upload = Upload(self.types[container_id], container_id, name, content)
        with self.lock:
            self.uploads.append(upload)
            self.add_file(container_id, name, content, file_type="tabular data", origin=origin)
        return upload

    def add_gear(self, manifest: Mapping[str, Any], version: str | None = None) -> str:
        """Add a gear by its manifest, or one more version of it; return its id."""
        return self.queue.add_gear(manifest, version)

    def fault(self, wanted_id: str, *faults: Fault) -> None:
        """Let the answers for a file, a container or its lists go wrong, one fault each.

        The id may be a job's or a batch's too. "storage" stands for the PUTs to signed URLs,
        "lookup", "sessions", "gears", "jobs" and "batch" for the requests without an id. What was
        asked for is done nevertheless.
        """
        self.faults.setdefault(wanted_id, deque()).extend(faults)

    def asked(self, method: str) -> list[str]:
        """Return the paths that were asked for with a method, in order."""
        return [request.path for request in self.requests if request.method == method]

    def new_id(self) -> str:
        """Return an id like those of the site's database: 24 hex digits, ascending."""
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


def open_content(content: bytes | Path) -> io.BytesIO | io.BufferedReader:
    """Open what a file holds."""
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


class _Server(ThreadingHTTPServer):
    site: FlywheelSite
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """Say nothing about a client that hangs up."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any, **__: Any) -> None:
        """Print nothing about requests."""

    def _answer(self) -> None:
        self.site = self.server.site
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, url.path, query, dict(self.headers), body)
        self.site.requests.append(request)
        try:
            self._route([unquote(part) for part in url.path.split("/")[1:]], query, body)
        except (Refusal, KeyError) as error:
            refusal = error if isinstance(error, Refusal) else Refusal(404)
            answer = {"message": refusal.message, "status_code": refusal.code}
            self._send(json.dumps(answer).encode(), code=refusal.code)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815

    def _route(self, parts: list[str], query: dict[str, str], body: bytes) -> None:
        site = self.site
        key = self.headers["Authorization"]
        known = (f"scitran-user {site.api_key}", "scitran-user secret")
        if parts[0] != "storage" and key not in known:
            raise Refusal(401)
        match self.command, *parts:
            case "PUT", "storage", ticket:
                self._store(ticket, query, body)
            case _, "api", ("config" | "version" | "auth" | "lookup"), *_:
                self._route_site(parts[1:], body)
            case _, "api", ("gears" | "jobs" | "batch"), *_:
                self._route_jobs(parts[1:], query, body)
            case "GET", "api", ("projects" | "subjects" | "sessions" | "acquisitions") as plural:
                self._send_json(self._page("", plural, query), plural)
            case "GET", "api", "containers", wanted_id:
                found = {"container_type": site.types[wanted_id], **site.containers[wanted_id]}
                self._send_json(self._shown(found), wanted_id)
            case "GET", "api", plural, wanted_id:
                self._send_json(self._shown(self._container(plural, wanted_id)), wanted_id)
            case (
                "GET",
                "api",
                plural,
                wanted_id,
                ("subjects" | "sessions" | "acquisitions") as children,
            ):
                self._container(plural, wanted_id)
                self._send_json(self._page(wanted_id, children, query), wanted_id)
            case "GET", "api", plural, container_id, "files", name:
                files = self._container(plural, container_id)["files"]
                file_id = next((f["file_id"] for f in files if f["name"] == name), "")
                self._send(site.contents[file_id], self._fault(file_id))
            case "POST", "api", plural, container_id, "files":
                self._container(plural, container_id)
                self._take_upload(plural.removesuffix("s"), container_id, query, body)
            case _:
                raise Refusal(404)

    def _route_site(self, parts: list[str], body: bytes) -> None:
        site = self.site
        match self.command, *parts:
            case "GET", "config":
                self._send_json({"signed_url": site.signed_url, "features": {}})
            case "GET", "version":
                self._send_json({"release": "18.3.0"})
            case "GET", "auth", "status":
                self._send_json({"origin": ORIGIN, "user_id": USER, "user_is_admin": False})
            case "POST", "lookup":
                path = json.loads(body)["path"]
                self._send_json(self._shown(site.resolve(path)), "lookup")
            case _:
                raise Refusal(404)

    def _route_jobs(self, parts: list[str], query: dict[str, str], body: bytes) -> None:
        site = self.site
        wanted_id = parts[0] if parts[-1] in (parts[0], "jobs", "add") else parts[1]
        with site.lock:
            listed = partial(self._listed, query=query)
            answer = site.queue.route(Call(self.command, parts, query, body, listed))
            text = json.dumps(answer).encode()
        self._send(text, self._fault(wanted_id))

    def _container(self, plural: str, wanted_id: str) -> dict[str, Any]:
        if f"{self.site.types[wanted_id]}s" != plural:
            raise Refusal(404)
        return self.site.containers[wanted_id]

    def _shown(self, record: dict[str, Any]) -> dict[str, Any]:
        hidden = ["files"] if self._wants("exclude-files") else []
        shown = {key: value for key, value in record.items() if key not in hidden}
        subject = self.site.containers.get(record.get("parents", {}).get("subject", ""))
        if subject and self.site.types.get(record.get("_id", "")) == "session":
            code = subject.get("label")
            shown["subject"] = {"_id": subject["_id"], "label": code, "code": code}
        return shown

    def _wants(self, feature: str) -> bool:
        return feature in self.headers.get("X-Accept-Feature", "").lower()

    def _page(self, parent_id: str, children: str, query: dict[str, str]) -> object:
        site = self.site
        with site.lock:
            below = [
                self._shown(record)
                for child_id, record in site.containers.items()
                if f"{site.types[child_id]}s" == children
                and (not parent_id or parent_id in record["parents"].values())
            ]
        return self._listed(below, query)

    def _listed(self, records: Iterable[Record], query: dict[str, str]) -> object:
        """Answer for a list as the client can take it: bare, or a page that tells its size."""
        page, total = selected(
            records,
            query,
            page_limit=self.site.page_limit,
            knows_after_id=self.site.knows_after_id,
        )
        if self._wants("pagination"):
            return {"results": page, "count": len(page), "total": total}
        return page

    def _take_upload(
        self, kind: str, container_id: str, query: dict[str, str], body: bytes
    ) -> None:
        site = self.site
        if site.refuse_uploads is not None:
            raise Refusal(site.refuse_uploads)
        if query.get("ticket") == "":
            (name,) = json.loads(body)["filenames"]
            ticket = site.new_id()
            site.tickets[ticket] = Upload(kind, container_id, name, b"")
            url = f"{site.url}/storage/{ticket}?signature=hush"
            self._send_json({"ticket": ticket, "urls": {name: url}, "headers": STORAGE_HEADERS})
            return
        if "ticket" in query:
            upload = site.tickets.pop(query["ticket"])
        else:
            upload = Upload(kind, container_id, *self._form_file(body))
        site.attach(container_id, upload.name, upload.content)
        self._send_json(site.containers[container_id]["files"][-1:])

    def _form_file(self, body: bytes) -> tuple[str, bytes]:
        boundary = self.headers["Content-Type"].partition("boundary=")[2].encode()
        for part in body.split(b"--" + boundary):
            head, _, content = part.partition(b"\r\n\r\n")
            if found := re.search(rb'; name="file"; filename="([^"]*)"', head):
                return unquote(found[1].decode()), content.removesuffix(b"\r\n")
        raise Refusal(400)

    def _store(self, ticket: str, query: dict[str, str], body: bytes) -> None:
        known = query.get("signature") == "hush"
        told = all(self.headers[key] == value for key, value in STORAGE_HEADERS.items())
        if "Authorization" in self.headers or not (known and told):
            raise Refusal(400)
        self.site.tickets[ticket] = replace(self.site.tickets[ticket], content=body)
        self._send(b"", self._fault("storage"))

    def _fault(self, wanted_id: str) -> Fault | None:
        faults = self.site.faults.get(wanted_id)
        return faults.popleft() if faults else None

    def _send_json(self, answer: object, wanted_id: str = "") -> None:
        self._send(json.dumps(answer).encode(), self._fault(wanted_id))

    def _send(self, content: bytes | Path, fault: Fault | None = None, *, code: int = 200) -> None:
        if isinstance(fault, Status):
            raise Refusal(fault.code)
        if isinstance(fault, Reset):
            linger = struct.pack("ii", 1, 0)  # a close with unsent data dropped is a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.rfile.close()
            self.connection.close()
            self.close_connection = True
            return
        with open_content(content) as source:
            self.send_response(code)
            self.send_header("Content-Length", str(source.seek(0, io.SEEK_END)))
            self.end_headers()
            source.seek(0)
            match fault:
                case Cut(after):
                    self._copy(source, after)
                    self.close_connection = True
                    return
                case Stall(seconds, after):
                    self._copy(source, after)
                    self.site.closing.wait(seconds)
                case Flip(at):
                    self._copy(source, at)
                    self.wfile.write(bytes([source.read(1)[0] ^ 0xFF]))
            self._copy(source)

    def _copy(self, source: io.BufferedIOBase, count: float = float("inf")) -> None:
        while count and (data := source.read(int(min(CHUNK, count)))):
            self.wfile.write(data)
            count -= len(data)
