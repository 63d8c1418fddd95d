"""Connections of a replay by STOW-RS, each with requests that are ready to be written."""

import json
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

BOUNDARY = "benchmark"
PART = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
END = f"\r\n--{BOUNDARY}--\r\n".encode()
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class WebConnection:
    """Connection to the service at `url`, for one request after another."""

    def __init__(self, url: str, files: Sequence[Path]) -> None:
        """Create a request for each file."""
        self.stored = 0
        self._url = urlsplit(url)
        self._requests = [self._request(path.read_bytes()) for path in files]

    def run(self) -> None:
        """Connect, and send the requests; a server may close a connection that is open earlier."""
        with socket.create_connection((self._url.hostname, self._url.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in self._requests:
                connection.sendall(request)
                self.stored += len(json.loads(_body(connection))["00081199"].get("Value", ()))

    def _request(self, file: bytes) -> bytes:
        """Return a request that stores one file (PS3.18 10.5.1)."""
        lines = (
            f"POST {self._url.path}/studies HTTP/1.1",
            f"Host: {self._url.netloc}",
            "Accept: application/dicom+json",
            f'Content-Type: multipart/related; type="application/dicom"; boundary={BOUNDARY}',
            f"Content-Length: {len(PART) + len(file) + len(END)}",
        )
        return b"".join(("\r\n".join((*lines, "", "")).encode(), PART, file, END))


def _body(connection: socket.socket) -> bytes:
    """Return the body of the next response, which has a length."""
    answer = b""
    size = float("inf")
    while len(answer) < size:
        data = connection.recv(1 << 16)
        if not data:
            raise ConnectionError("the server ended the connection")
        answer += data
        end = answer.find(b"\r\n\r\n") + 4
        if end > 3 and (found := _LENGTH.search(answer, 0, end)):
            size = end + int(found[1])
    return answer[end:]
