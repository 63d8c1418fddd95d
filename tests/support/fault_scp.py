"""DICOM server on raw sockets that runs scripts, for faults that real servers do not have.

Each connection is a `Peer`; a script is a function that receives it:

    def close_within_image(peer: Peer) -> None:
        peer.accept()
        peer.read_pdu()

    with FaultSCP(close_within_image, serve) as server: ...
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from tests.support.pdus import C_STORE_RSP, NO_DATASET, element, item, message, pdu

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ = 1, 2, 3
P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 4, 5, 6, 7
C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
MAXIMUM_LENGTH = 16384
PATIENCE = 120.0


class PeerLeftError(Exception):
    """The peer released, aborted or closed the connection."""


@dataclass(frozen=True)
class PDU:
    """PDU without its header (PS3.8 9.3.1)."""

    type: int
    body: bytes


@dataclass(frozen=True)
class Image:
    """C-STORE request as received, with the length of each fragment."""

    connection: int
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    context_id: int
    dataset: bytes
    fragments: tuple[int, ...]


@dataclass(frozen=True)
class Answer:
    """Status of the response to an image."""

    sop_instance_uid: str
    status: int


@dataclass
class Peer:
    """One connection: data received from the peer and data sent to it.

    `pause` is the delay, in seconds, before each read. If `answers_release` is false, a
    release request is only recorded.
    """

    number: int
    socket: socket.socket
    server: "FaultSCP"
    context_id: int = 1
    pause: float = 0.0
    answers_release: bool = True
    request: bytes = b""
    requested: dict[int, bytes] = field(default_factory=dict)

    def read_any(self) -> PDU:
        """Return the next PDU of any type."""
        kind, _, length = struct.unpack(">BBL", self._read(6))
        return PDU(kind, self._read(length))

    def read_pdu(self) -> PDU:
        """Return the next PDU; answer a release, and record it like an abort."""
        pdu = self.read_any()
        if pdu.type == A_ABORT:
            self.server.ends.append("aborted")
            raise PeerLeftError
        if pdu.type == A_RELEASE_RQ:
            self.server.ends.append("released")
            if self.answers_release:
                self.send_pdu(A_RELEASE_RP, bytes(4))
            raise PeerLeftError
        return pdu

    def read_pdu_of_image(self) -> PDU:
        """Return the next PDU of an image; answer a C-ECHO before it."""
        while True:
            pdu = self.read_pdu()
            self.context_id = pdu.body[4]
            if element(0x0100, C_ECHO_RQ) not in pdu.body:
                return pdu
            values = dict(_command_elements(pdu.body[6:]))
            self.socket.sendall(self.echo_response(values[0x0110]))

    def read_to_end(self) -> None:
        """Read until the peer leaves."""
        while True:
            self.read_pdu()

    def send_pdu(self, kind: int, body: bytes) -> None:
        """Send a PDU."""
        self.socket.sendall(pdu(kind, body))

    def accept(
        self,
        maximum_length: int | None = MAXIMUM_LENGTH,
        *,
        syntaxes: bool = True,
        implementation: bytes = b"",
        refused: Sequence[str] = (STUDY_ROOT_FIND,),
        first: int = 128,
    ) -> None:
        """Read the association request and accept each context as proposed.

        `maximum_length` is the maximum length of received PDUs: 0 for unlimited, None to omit it.
        Without `syntaxes` the response lacks the transfer syntaxes. `implementation` is the
        implementation version name. Contexts of the SOP classes in `refused` are rejected,
        by default those of queries, and those after the `first` ones.
        """
        request = self.request or self.read_pdu().body
        contexts = b""
        for kind, value in _items(request[68:]):
            if kind == 0x20:
                (syntax,) = (uid for kind, uid in _items(value[4:]) if kind == 0x40)
                self.requested[value[0]] = syntax
                accepted = item(0x40, syntax) if syntaxes else b""
                (sop_class,) = (uid for kind, uid in _items(value[4:]) if kind == 0x30)
                is_refused = sop_class.decode() in refused or len(self.requested) > first
                result = 3 if is_refused else 0
                contexts += item(0x21, bytes([value[0], 0, result, 0]) + accepted)
        limit = b"" if maximum_length is None else item(0x51, struct.pack(">L", maximum_length))
        name = item(0x55, implementation) if implementation else b""
        user = item(0x50, limit + item(0x52, b"1.2.3.4") + name)
        application = item(0x10, b"1.2.840.10008.3.1.1.1")
        self.send_pdu(A_ASSOCIATE_AC, request[:68] + application + contexts + user)

    def read_request(self) -> int:
        """Read the association request, which the peer may then accept; count its contexts."""
        self.request = self.read_pdu().body
        return sum(kind == 0x20 for kind, _ in _items(self.request[68:]))

    def reject(self, result: int, source: int, reason: int) -> None:
        """Read the association request and reject it (PS3.8 9.3.4)."""
        if not self.request:
            self.read_pdu()
        self.send_pdu(A_ASSOCIATE_RJ, bytes([0, result, source, reason]))

    def read_command(self) -> Image:
        """Read the command of a C-STORE request without its dataset.

        Answer a C-ECHO before it.
        """
        command, lengths = self._read_message(is_command=1)
        values = dict(_command_elements(command))
        if values[0x0100] == struct.pack("<H", C_ECHO_RQ):
            self.socket.sendall(self.echo_response(values[0x0110]))
            return self.read_command()
        return Image(
            self.number,
            int.from_bytes(values[0x0110], "little"),
            values[0x0002].decode().rstrip("\0"),
            values.get(0x1000, b"").decode().rstrip("\0"),
            self.context_id,
            b"",
            lengths,
        )

    def read_query(self, command: Image | None = None) -> Image:
        """Read a C-FIND request, or the rest after its `command`; its SOP instance is empty.

        Answer a C-ECHO before it.
        """
        request = command or self.read_command()
        identifier, _ = self._read_message(is_command=0)
        return replace(request, dataset=identifier)

    def read_image(self, command: Image | None = None) -> Image:
        """Read a C-STORE request, or the rest after its `command`; record it in `server.images`."""
        command = command or self.read_command()
        dataset, lengths = self._read_message(is_command=0)
        image = replace(command, dataset=dataset, fragments=command.fragments + lengths)
        self.server.images.append(image)
        return image

    def answer(self, image: Image, status: int = 0, *, message_id: int | None = None) -> None:
        """Answer a C-STORE request; record a valid response in `server.answers`."""
        if message_id is None:
            self.server.answers.append(Answer(image.sop_instance_uid, status))
        self.socket.sendall(self.response(image, status, message_id=message_id))

    def response(
        self,
        image: Image,
        status: int = 0,
        *,
        message_id: int | None = None,
        command: int = C_STORE_RSP,
    ) -> bytes:
        """Return the PDU of a C-STORE response, or of the response to another command."""
        number = image.message_id if message_id is None else message_id
        return self.message(
            element(0x0002, image.sop_class_uid.encode())
            + element(0x0100, command)
            + element(0x0120, number)
            + element(0x0800, NO_DATASET)
            + element(0x0900, status)
            + element(0x1000, image.sop_instance_uid.encode())
        )

    def message(self, elements: bytes) -> bytes:
        """Return the PDU of a message with this command set, without its group length."""
        command = element(0x0000, struct.pack("<L", len(elements))) + elements
        return message(command, context_id=self.context_id)

    def echo_request(self) -> bytes:
        """Return the PDU of a C-ECHO request."""
        return self.message(
            element(0x0002, b"1.2.840.10008.1.1")
            + element(0x0100, C_ECHO_RQ)
            + element(0x0110, 1)
            + element(0x0800, NO_DATASET)
        )

    def echo_response(self, message_id: bytes) -> bytes:
        """Return the PDU of a C-ECHO response with Success."""
        return self.message(
            element(0x0002, b"1.2.840.10008.1.1")
            + element(0x0100, C_ECHO_RSP)
            + element(0x0120, message_id)
            + element(0x0800, NO_DATASET)
            + element(0x0900, bytes(2))
        )

    def request_release(self) -> None:
        """Request the release of the association."""
        self.send_pdu(A_RELEASE_RQ, bytes(4))

    def abort(self) -> None:
        """Abort the association."""
        self.send_pdu(A_ABORT, bytes(4))

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def stall(self) -> None:
        """Do nothing until the server ends."""
        self.server.closing.wait()

    def reset(self) -> None:
        """Reset the connection."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _read_message(self, is_command: int) -> tuple[bytes, tuple[int, ...]]:
        content, lengths = b"", []
        while True:
            pdu = self.read_pdu()
            if pdu.type != P_DATA_TF:  # such as the response to a release request
                raise PeerLeftError
            body = pdu.body
            while body:
                length, self.context_id, control = struct.unpack(">LBB", body[:6])
                assert control & 1 == is_command
                content += body[6 : length + 4]
                lengths.append(length - 2)
                body = body[length + 4 :]
                if control & 2:
                    return content, tuple(lengths)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            time.sleep(self.pause)
            if not (received := self.socket.recv(min(size - len(data), 1 << 16))):
                self.server.ends.append("closed")
                raise PeerLeftError
            data += received
        return data


Script = Callable[[Peer], None]


def serve(peer: Peer) -> None:
    """Behave correctly: accept the association and answer each image with Success."""
    peer.accept()
    while True:
        peer.answer(peer.read_image())


class FaultSCP:
    """Server on a free port; each connection runs the next script, and the last script repeats."""

    def __init__(self, *scripts: Script, host: str = "127.0.0.1") -> None:
        self.host = host
        self.images: list[Image] = []
        self.answers: list[Answer] = []
        self.ends: list[str] = []
        self.connections = 0
        self.closing = threading.Event()
        self._scripts = scripts or (serve,)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Listen."""
        self.port = 0
        self.listen()
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the remaining connections."""
        self.closing.set()
        for end in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listener.close()

    def listen(self) -> None:
        """Listen, or listen again on the same port."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family)
        self.port = self._listener.getsockname()[1]
        self._start(partial(self._listen, self._listener))

    def stop_listening(self) -> None:
        """Refuse new connections; existing ones continue."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _listen(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                self._sockets.append(connection)
                script = self._scripts[min(self.connections, len(self._scripts)) - 1]
                self._start(partial(_run, script, Peer(self.connections, connection, self)))

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name="FaultSCP", daemon=True)
        self._threads.append(thread)
        thread.start()


def _run(script: Script, peer: Peer) -> None:
    with contextlib.suppress(PeerLeftError, OSError), peer.socket:
        script(peer)


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, _, length = struct.unpack(">BBH", data[:4])
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]


def _command_elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        _, element, length = struct.unpack("<HHL", data[:8])
        yield element, data[8 : 8 + length]
        data = data[8 + length :]
