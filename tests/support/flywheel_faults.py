"""Answers of the stand-in site that go wrong: a status, a reset, a cut, a wrong byte, a stall."""

import io
import socket
import struct
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event

from tests.support.flywheel_lists import Refusal

CHUNK = 1 << 18


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


class FaultyHandler(BaseHTTPRequestHandler):
    """Answers with bytes or a file, as badly as a fault says; `closing` ends what stalls."""

    closing: Event

    def send_content(
        self, content: bytes | Path, fault: Fault | None = None, *, code: int = 200
    ) -> None:
        """Answer; raise Refusal where the fault is a status."""
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
                    self.closing.wait(seconds)
                case Flip(at):
                    self._copy(source, at)
                    self.wfile.write(bytes([source.read(1)[0] ^ 0xFF]))
            self._copy(source)

    def _copy(self, source: io.BufferedIOBase, count: float = float("inf")) -> None:
        while count and (data := source.read(int(min(CHUNK, count)))):
            self.wfile.write(data)
            count -= len(data)


def open_content(content: bytes | Path) -> io.BytesIO | io.BufferedReader:
    """Open what a file holds."""
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
