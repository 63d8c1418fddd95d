"""Replay ready-made messages to a server, to measure the server's own limit.

python -m benchmarks.replay HOST PORT AE_TITLE ASSOCIATIONS FOLDER
python -m benchmarks.replay URL CONNECTIONS FOLDER

All messages are created before the clock starts. Then each connection has its own plain socket and
thread, which sends an image and waits for the response. The program imports nothing from the gear,
so that its results do not depend on it. Files have the header of PS3.10, as written by the
benchmark.
"""

import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.web_replay import WebConnection

MAX_PDU = 1 << 18
USUAL_MAX_PDU = 1 << 14
APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
IMPLEMENTATION = b"1.2.826.0.1.3680043.8.498.77.1"
ASSOCIATE_RQ, ASSOCIATE_AC, P_DATA_TF, RELEASE_RQ = 1, 2, 4, 5
ACCEPTED_CONTEXTS, USER_INFORMATION, MAXIMUM_LENGTH = 0x21, 0x50, 0x51
DATA, COMMAND, LAST = 0, 1, 2
STORED = {0x0000, 0xB000, 0xB006, 0xB007}
STATUS_ELEMENT = b"\0\0\0\x09\2\0\0\0"
LONG_VRS = (b"OB", b"UN")

Context = tuple[bytes, bytes]
"""SOP class and transfer syntax."""


@dataclass(frozen=True)
class Image:
    """Dataset, and the content of its file meta group."""

    sop_class: bytes
    sop_instance: bytes
    transfer_syntax: bytes
    dataset: bytes

    @property
    def context(self) -> Context:
        """Presentation context for the image."""
        return self.sop_class, self.transfer_syntax


@dataclass(frozen=True)
class Replayed:
    """Number of stored images, and the resources from the first request to the last release.

    `cpu_seconds` are those of this process.
    """

    stored: int
    seconds: float
    cpu_seconds: float


class ReplayError(Exception):
    """The server does not accept the replayed images."""


def read_image(path: Path) -> Image:
    """Read a file with preamble and file meta group (PS3.10 7.1)."""
    data = path.read_bytes()
    position, meta = 144, {}
    end = position + int(struct.unpack_from("<L", data, 140)[0])
    while position < end:
        _, element, vr, length = struct.unpack_from("<HH2sH", data, position)
        header = 8
        if vr in LONG_VRS:
            header = 12
            (length,) = struct.unpack_from("<L", data, position + 8)
        position += header + length
        meta[element] = data[position - length : position].rstrip(b"\0")
    return Image(meta[0x02], meta[0x03], meta[0x10], data[end:])


def replay(
    host: str, port: int, ae_title: str, associations: int, images: Sequence[Image]
) -> Replayed:
    """Send images over this many associations; raise ReplayError if one is not stored."""
    contexts = sorted({image.context for image in images})
    opened = [_Association(host, port, ae_title, contexts) for _ in range(associations)]
    for number, association in enumerate(opened):
        association.prepare(images[number::associations])
    return _run_all(opened)


def replay_web(url: str, connections: int, files: Sequence[Path]) -> Replayed:
    """Send files by STOW-RS over this many connections."""
    return _run_all([WebConnection(url, files[one::connections]) for one in range(connections)])


def _run_all(opened: "Sequence[_Association] | Sequence[WebConnection]") -> Replayed:
    threads = [threading.Thread(target=connection.run) for connection in opened]
    started, cpu_started = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    cpu_seconds = time.process_time() - cpu_started
    return Replayed(sum(connection.stored for connection in opened), seconds, cpu_seconds)


class _Association:
    """Socket, and the data that is ready to be written to it."""

    def __init__(self, host: str, port: int, ae_title: str, contexts: Sequence[Context]) -> None:
        self.stored = 0
        self._ids = {context: 2 * number + 1 for number, context in enumerate(contexts)}
        self._requests: list[bytes] = []
        self._socket = socket.create_connection((host, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_associate(ae_title, self._ids))
        kind, body = self._read()
        if kind != ASSOCIATE_AC:
            raise ReplayError(f"the server answered the association request with PDU {kind}")
        self._max_pdu = _max_pdu(body)

    def prepare(self, images: Sequence[Image]) -> None:
        """Create the PDUs of the images."""
        self._requests = [
            b"".join(_request(number % 0xFFFF + 1, self._ids[image.context], image, self._max_pdu))
            for number, image in enumerate(images)
        ]

    def run(self) -> None:
        """Send them one by one, and release the association."""
        for request in self._requests:
            self._socket.sendall(request)
            kind, body = self._read()
            at = body.rfind(STATUS_ELEMENT) + len(STATUS_ELEMENT)
            if kind == P_DATA_TF and struct.unpack_from("<H", body, at)[0] in STORED:
                self.stored += 1
        self._socket.sendall(_pdu(RELEASE_RQ, bytes(4)))
        self._read()
        self._socket.close()

    def _read(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxL", self._take(6))
        return kind, self._take(length)

    def _take(self, size: int) -> bytes:
        taken = bytearray()
        while len(taken) < size:
            # The kernel resets this option; without it, a response in two parts is 40 ms late.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            data = self._socket.recv(size - len(taken))
            if not data:
                raise ReplayError("the server ended the connection")
            taken += data
        return bytes(taken)


def _associate(ae_title: str, ids: dict[Context, int]) -> bytes:
    """Return an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    body = struct.pack(">HH16s16s32x", 1, 0, ae_title.ljust(16).encode(), b"REPLAY".ljust(16))
    body += _item(0x10, APPLICATION_CONTEXT)
    for (sop_class, transfer_syntax), number in ids.items():
        syntaxes = _item(0x30, sop_class) + _item(0x40, transfer_syntax)
        body += _item(0x20, bytes([number, 0, 0, 0]) + syntaxes)
    limits = _item(MAXIMUM_LENGTH, MAX_PDU.to_bytes(4, "big")) + _item(0x52, IMPLEMENTATION)
    return _pdu(ASSOCIATE_RQ, body + _item(USER_INFORMATION, limits))


def _max_pdu(body: bytes) -> int:
    """Return the even maximum PDU length in an A-ASSOCIATE-AC."""
    found = USUAL_MAX_PDU
    for kind, value in _items(body[68:]):
        if kind == ACCEPTED_CONTEXTS and value[2]:
            raise ReplayError("the server does not accept a presentation context")
        if kind == USER_INFORMATION:
            for inner, limit in _items(value):
                if inner == MAXIMUM_LENGTH:
                    found = int.from_bytes(limit, "big") or MAX_PDU
    return min(found, MAX_PDU) & ~1


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        kind, length = struct.unpack_from(">BxH", data, position)
        position += 4 + length
        yield kind, data[position - length : position]


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body


def _request(message_id: int, context_id: int, image: Image, max_pdu: int) -> Iterator[bytes]:
    """Yield the PDUs of a C-STORE-RQ and its dataset (PS3.7 9.3.1.1, PS3.8 9.3.5)."""
    command = b"".join(
        (
            _element(0x0002, image.sop_class + bytes(len(image.sop_class) % 2)),
            _element(0x0100, b"\1\0"),
            _element(0x0110, message_id.to_bytes(2, "little")),
            _element(0x0700, b"\0\0"),
            _element(0x0800, b"\1\0"),
            _element(0x1000, image.sop_instance + bytes(len(image.sop_instance) % 2)),
        )
    )
    command = _element(0x0000, len(command).to_bytes(4, "little")) + command
    yield _pdu(P_DATA_TF, _pdv(context_id, COMMAND | LAST, command))
    size = max_pdu - 6
    for start in range(0, len(image.dataset), size):
        is_last = start + size >= len(image.dataset)
        fragment = image.dataset[start : start + size]
        yield _pdu(P_DATA_TF, _pdv(context_id, DATA | LAST * is_last, fragment))


def _pdv(context_id: int, control: int, fragment: bytes) -> bytes:
    return struct.pack(">LBB", len(fragment) + 2, context_id, control) + fragment


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, element, len(value)) + value


def main(argv: Sequence[str]) -> int:
    """Replay the files of a folder, and print the result as JSON."""
    *address, connections, folder = argv
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    if len(address) == 1:
        replayed = replay_web(address[0], int(connections), files)
    else:
        host, port, ae_title = address
        images = [read_image(path) for path in files]
        replayed = replay(host, int(port), ae_title, int(connections), images)
    sys.stdout.write(json.dumps(asdict(replayed)) + "\n")
    return 0 if replayed.stored == len(files) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
