"""DICOMweb server in a separate process, which stores nothing and names each image as stored.

python -m benchmarks.sink
"""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 23
"""More than a request with several images has, so that its first part names all of them."""
SOP_INSTANCE = b"\x02\x00\x03\x00UI"
"""Media Storage SOP Instance UID in a file meta group (PS3.10 7.1)."""
REPOSITORY = Path(__file__).resolve().parents[1]


@contextmanager
def sink() -> Iterator[int]:
    """Start a sink, and yield its port."""
    command = [sys.executable, "-m", "benchmarks.sink"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - it is this file
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def serve(connection: socket.socket) -> None:
    """Answer requests until the client closes the connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = bytearray(CHUNK)
    with connection, connection.makefile("rb", 1 << 16) as requests, suppress(OSError):
        while start := requests.readline():
            fields = dict(_fields(requests))
            if b"expect" in fields:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            uids = [] if start.startswith(b"GET") else list(_uids(requests, fields, buffer))
            items = [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in uids]
            body = json.dumps({"00081199": {"vr": "SQ", "Value": items}}).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\nContent-Length: "
            connection.sendall(head + b"%d\r\n\r\n" % len(body) + body)


def _fields(requests: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield the header fields of a request."""
    while (line := requests.readline().rstrip()) != b"":
        name, _, value = line.partition(b":")
        yield name.lower(), value.strip()


def _uids(requests: BinaryIO, fields: dict[bytes, bytes], buffer: bytearray) -> Iterator[str]:
    """Read a body, and yield the UIDs of the images in the first part of each of its chunks."""
    for size in _sizes(requests, fields):
        got = requests.readinto(memoryview(buffer)[: min(size, CHUNK)])
        at = buffer.find(SOP_INSTANCE, 0, got)
        while at >= 0:
            start = at + len(SOP_INSTANCE) + 2
            end = start + int.from_bytes(buffer[start - 2 : start], "little")
            yield buffer[start:end].rstrip(b"\0").decode("latin-1")
            at = buffer.find(SOP_INSTANCE, start, got)
        while got < size:
            got += requests.readinto(memoryview(buffer)[: min(size - got, CHUNK)])


def _sizes(requests: BinaryIO, fields: dict[bytes, bytes]) -> Iterator[int]:
    """Yield the sizes of a body's chunks (RFC 9112 6.3, 7.1)."""
    if b"content-length" in fields:
        yield int(fields[b"content-length"])
        return
    while size := int(requests.readline(), 16):
        yield size
        requests.readline()
    requests.readline()


def main() -> int:
    """Print the port, and serve until the process is killed."""
    with socket.create_server(("", 0), backlog=64) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    raise SystemExit(main())
