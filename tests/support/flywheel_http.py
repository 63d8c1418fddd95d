"""HTTP responses of the stand-in Flywheel site, and their faults."""

import io
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

from tests.support.flywheel_lists import Refusal

if TYPE_CHECKING:
    from tests.support.flywheel_site import FlywheelSite

CHUNK = 1 << 18


@dataclass(frozen=True)
class Status:
    """Respond with an HTTP status."""

    code: int


@dataclass(frozen=True)
class Reset:
    """Reset the connection instead of responding."""


@dataclass(frozen=True)
class Cut:
    """Close the connection after this number of bytes of the body."""

    after: int


@dataclass(frozen=True)
class Flip:
    """Invert one byte of the body."""

    at: int = 0


@dataclass(frozen=True)
class Stall:
    """Pause for some seconds after this number of bytes of the body."""

    seconds: float
    after: int = 0


@dataclass(frozen=True)
class Meet:
    """Respond when as many requests have arrived as the barrier has parties."""

    barrier: Barrier


@dataclass(frozen=True)
class Replace:
    """Replace the file with a newer version, and respond with the new content."""

    content: bytes | Path


@dataclass(frozen=True)
class Outage:
    """Apply this fault to a number of requests of any kind, starting with this one."""

    fault: "Fault"
    requests: int


@dataclass(frozen=True)
class Expired:
    """Reject a signed URL as expired, now and later."""

    code: int


Fault = Expired | Status | Reset | Cut | Flip | Stall | Meet | Replace | Outage


@dataclass(frozen=True)
class Upload:
    """File that was attached to a container."""

    container_type: str
    container_id: str
    name: str
    content: bytes


@dataclass(frozen=True)
class Request:
    """Request received by the site; `path` is the raw path without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


def open_content(content: bytes | Path) -> io.BytesIO | io.BufferedReader:
    """Open the content of a file."""
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


class Server(ThreadingHTTPServer):
    """HTTP server of a site."""

    site: "FlywheelSite"
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        """Ignore a client that closes the connection."""


class Responder(BaseHTTPRequestHandler):
    """Responses on one connection, with the faults of the site."""

    server: Server
    site: "FlywheelSite"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Count the connection."""
        super().setup()
        with self.server.site.lock:
            self.server.site.connections += 1

    def log_message(self, *_: Any, **__: Any) -> None:
        """Print nothing about requests."""

    def _fault(self, wanted_id: str) -> Fault | None:
        faults = self.site.faults.get(wanted_id)
        return faults.popleft() if faults else None

    def _send_json(self, answer: object, wanted_id: str = "") -> None:
        self._send(self._encoded(answer), self._fault(wanted_id))

    def _encoded(self, answer: object) -> bytes:
        return json.dumps(self.site.pruned(self.request, answer)).encode()

    def _send(self, content: bytes | Path, fault: Fault | None = None, *, code: int = 200) -> None:
        if isinstance(fault, Status):
            raise Refusal(fault.code)
        if isinstance(fault, Meet):
            fault.barrier.wait()
        if isinstance(fault, Reset):
            linger = struct.pack("ii", 1, 0)  # Closing with unsent data discarded causes a reset.
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
