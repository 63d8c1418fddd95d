"""HTTP server on raw sockets that runs scripts, for answers and faults that real servers lack.

Each connection is a `WebPeer`; a script is a function that receives it:

    def busy(peer: WebPeer) -> None:
        peer.read()
        peer.reply(503)

    with WebServer(busy, serve) as server: ...

The last script serves all further connections.
"""

import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.support.pacs import HOST

PATIENCE = 60.0
_UID = re.compile(rb"\x02\x00\x03\x00UI..([0-9.]+)", re.DOTALL)


class PeerLeftError(Exception):
    """The peer closed the connection."""


@dataclass(frozen=True)
class WebRequest:
    """A request, with the number of its connection from 0."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def uids(self) -> list[str]:
        """The SOP Instance UIDs in the file meta information of the images."""
        return [found.decode() for found in _UID.findall(self.body)]


@dataclass
class WebPeer:
    """Connection of a peer, in the order of its requests."""

    connection: socket.socket
    server: "WebServer"
    number: int
    held: bytes = b""

    def read(self) -> WebRequest:
        """Read a request, and give the consent that it waits for."""
        request = self.read_head()
        if request.headers.get("expect"):
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self.read_body(request)

    def read_head(self) -> WebRequest:
        """Read a request up to its body."""
        while b"\r\n\r\n" not in self.held:
            self.receive()
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        return WebRequest(method, target, headers, b"", self.number)

    def read_body(self, head: WebRequest) -> WebRequest:
        """Read the body of a request, and record the request."""
        size = int(head.headers.get("content-length", 0))
        while len(self.held) < size:
            self.receive()
        body, self.held = self.held[:size], self.held[size:]
        request = WebRequest(head.method, head.target, head.headers, body, self.number)
        with self.server.lock:
            self.server.requests.append(request)
        return request

    def reply(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Send a response."""
        fields = {"Content-Length": str(len(body)), **headers}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        self.send("\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""]).encode() + body)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self.connection.sendall(data)
        except OSError as error:
            raise PeerLeftError from error

    def reset(self) -> None:
        """Reset the connection."""
        linger = (1).to_bytes(4, "little") + bytes(4)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def receive(self) -> None:
        """Read more of the request."""
        try:
            data = self.connection.recv(1 << 16)
        except OSError as error:
            raise PeerLeftError from error
        if not data:
            raise PeerLeftError
        self.held += data


Script = Callable[[WebPeer], None]


def stored(uids: Iterable[str]) -> bytes:
    """Return the body of an answer that names images as stored."""
    items = [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in uids]
    return json.dumps({"00081199": {"vr": "SQ", "Value": items}}).encode()


def failed(uid: str, code: int, **elements: Any) -> bytes:
    """Return the body of an answer that names an image as failed."""
    item = {
        "00081155": {"vr": "UI", "Value": [uid]},
        "00081197": {"vr": "US", "Value": [code]},
        **elements,
    }
    return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()


def answer(peer: WebPeer, request: WebRequest) -> None:
    """Answer one request: store its images, or find nothing."""
    if request.method == "GET":
        peer.reply(204)
    else:
        peer.reply(200, stored(request.uids))


def serve(peer: WebPeer) -> None:
    """Answer all requests of a connection."""
    while True:
        answer(peer, peer.read())


def answering(*replies: tuple[int, bytes] | int, **headers: str) -> Script:
    """Return a script that answers store requests in turn, then stores images.

    All connections share the replies.
    """
    rest = list(replies)

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            with peer.server.lock:
                given = rest.pop(0) if rest and request.method != "GET" else None
            if given is None:
                answer(peer, request)
            else:
                status, body = (given, b"") if isinstance(given, int) else given
                peer.reply(status, body, **headers)

    return script


@dataclass
class WebServer:
    """Server whose connections run the scripts in turn."""

    scripts: tuple[Script, ...]
    tls: ssl.SSLContext | None = None
    port: int = 0
    requests: list[WebRequest] = field(default_factory=list)
    connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.scripts, self.tls = scripts or (serve,), tls
        self.requests, self.lock, self.connections = [], threading.Lock(), 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http{'s' if self.tls else ''}://{HOST}:{self.port}/dicom-web"

    @property
    def stored(self) -> list[str]:
        """The SOP Instance UIDs of all images in store requests, in order."""
        return [uid for one in self.requests if one.method == "POST" for uid in one.uids]

    def __enter__(self) -> Self:
        """Listen on a free port."""
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE)
            with self.lock:
                number, self.connections = self.connections, self.connections + 1
            self._start(self._run, connection, number)

    def _run(self, connection: socket.socket, number: int) -> None:
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            script = self.scripts[min(number, len(self.scripts) - 1)]
            script(WebPeer(connection, self, number))
        except (PeerLeftError, OSError):
            pass
        finally:
            connection.close()
