"""A stand-in Flywheel site: the part of its REST API that a run needs, over real HTTP.

with FlywheelSite() as site:
    project = site.add_project(site.add_group("radiology"), "Trial")
    session = site.add_session(site.add_subject(project, "S1"), "Visit 1")
    acquisition = site.add_acquisition(session, "T1")
    file_id = site.add_file(acquisition, "t1.zip", Path("t1.zip"))
    site.fault(file_id, Status(503), Cut(after=1000))
    ... CoreClient(api_key=site.api_key), flywheel.Client(site.sdk_key) ...

Its containers and files are in tests/support/flywheel_hierarchy.py, its requests in
flywheel_http.py, its faults in flywheel_faults.py, its gears, jobs and batches in
flywheel_jobs.py; what runs the jobs is in flywheel_engine.py.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Self

from tests.support.flywheel_faults import Cut, Fault, Flip, Reset, Stall, Status, open_content
from tests.support.flywheel_hierarchy import Hierarchy
from tests.support.flywheel_http import Handler, Request, Server, Upload
from tests.support.flywheel_jobs import ORIGIN, JobQueue
from tests.support.flywheel_lists import Record

__all__ = [
    "Cut",
    "Fault",
    "Flip",
    "FlywheelSite",
    "Request",
    "Reset",
    "Stall",
    "Status",
    "Upload",
    "open_content",
]


class FlywheelSite(Hierarchy):
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
        super().__init__()
        self.signed_url = signed_url
        self.refuse_uploads = refuse_uploads
        self.page_limit = page_limit
        self.knows_after_id = knows_after_id
        self.uploads: list[Upload] = []
        self.requests: list[Request] = []
        self.faults: dict[str, deque[Fault]] = {}
        self.tickets: dict[str, Upload] = {}
        self.gears: dict[str, Record] = {}
        self.jobs: dict[str, Record] = {}
        self.batches: dict[str, Record] = {}
        self.logs: dict[str, list[Record]] = {}
        self.queue = JobQueue(self)
        self.closing = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
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

    def resolve(self, path: Sequence[str]) -> Record:
        """Return the container or gear at a path of labels or `<id:...>`, with its type."""
        if path[:1] == ["gears"] and len(path) in (2, 3):
            return {"container_type": "gear", **self.queue.gear(*path[1:])}
        return self.container_at(path)
