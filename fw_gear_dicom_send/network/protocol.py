"""Requestor side of the DICOM upper layer: bytes in, events out, no I/O (PS3.8 9).

The decoder is as tolerant as other toolkits: it ignores unknown items (PS3.8 9.3.1) and invalid
characters in names.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from struct import Struct

from .. import __version__
from ..text import printable
from .contexts import Context
from .dimse import Command, decode_command, has_dataset
from .identity import without_identity
from .types import PeerAE, UserIdentity

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION_UID = "2.25.208114732446612383087181351115883378914"
IMPLEMENTATION_VERSION = f"DICOM_SEND_{__version__}"[:16]
"""Implementation identity sent to the peer; the name has up to 16 characters (PS3.7 D.3.3.2)."""
MAX_RECEIVED_PDU = 16_382
"""Maximum length for PDUs from the peer, in bytes after the header (PS3.8 D.1)."""
MAX_ANSWER = 1 << 20
"""Maximum bytes of a received PDU or message. Longer ones violate the protocol."""

PDU_HEADER = Struct(">BxL")
REQUEST_FIELDS = Struct(">Hxx16s16s32x")
FIXED_FIELDS = 68
PROTOCOL_VERSION, TITLE_SIZE = 1, 16
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA_TF, RELEASE_RQ, RELEASE_RP, A_ABORT = range(1, 8)
"""PDU types, and the fields before the items of the first two (PS3.8 9.3)."""
APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, ABSTRACT_SYNTAX = 0x10, 0x20, 0x30
CONTEXT_RESULT, TRANSFER_SYNTAX, USER_INFORMATION = 0x21, 0x40, 0x50
MAX_LENGTH, CLASS_UID, ROLE_SELECTION, VERSION_NAME = 0x51, 0x52, 0x54, 0x55
"""Item types (PS3.8 9.3.2, PS3.7 D.3.3)."""
_ITEM = Struct(">BxH")
_PDV = Struct(">LBB")
_MAX_NAME = 64
_TLS_ALERT = b"\x15\x03"
_USER_IDENTITY, _IDENTITY_RESPONSE = 0x58, 0x59
_COMMAND, _LAST = 0x01, 0x02
_RESULTS, _SOURCES = (1, 2), (1, 2, 3)
_ABORT_SOURCES = {0: "service user", 2: "service provider"}
_ABORT_REASONS = {
    0: "no reason given",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}
"""Sources of an A-ABORT, and the reasons of a service provider (PS3.8 9.3.8)."""

RELEASE_REQUEST = bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0))
RELEASE_RESPONSE = bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0))
ABORT = bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))


class State(Enum):
    """State of an association."""

    IDLE = auto()
    REQUESTED = auto()
    ESTABLISHED = auto()
    RELEASING = auto()
    BROKEN = auto()
    ENDED = auto()


@dataclass(frozen=True)
class Accepted:
    """The peer accepts the association.

    `contexts` are the accepted contexts by their IDs. `max_pdu` is in bytes, 0 for no limit
    (PS3.8 D.1). `confirms_identity` is true if the peer sent any response to the user identity
    (PS3.7 D.3.3.7.2). `results` are the results of the proposed contexts (PS3.8 9.3.3.2).
    """

    contexts: Mapping[int, Context]
    max_pdu: int
    implementation: str
    confirms_identity: bool = False
    class_uid: str = ""
    results: Mapping[Context, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Rejected:
    """The peer rejects the association (PS3.8 9.3.4)."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True)
class Message:
    """A DIMSE message: the values of its command set, and its dataset, which may be empty."""

    context_id: int
    command: Command
    dataset: bytes


@dataclass(frozen=True)
class ReleaseRequested:
    """The peer wants to release the association."""


@dataclass(frozen=True)
class Ended:
    """The association has ended: released, aborted, lost, or the peer violated the protocol.

    `is_abort` means that the peer aborted it.
    """

    is_abort: bool = False


Event = Accepted | Rejected | Message | ReleaseRequested | Ended


class ProtocolError(Exception):
    """The peer sent data that is unexpected or cannot be decoded."""


def take_pdu(received: bytearray, expected: Container[int]) -> tuple[int, bytes] | None:
    """Remove the first PDU from the received bytes, and return its type and body (PS3.8 9.3).

    Returns None if the PDU is incomplete. Raises ProtocolError for an unexpected type, and for a
    PDU longer than 1 MiB.
    """
    if len(received) < PDU_HEADER.size:
        return None
    kind, length = PDU_HEADER.unpack_from(received)
    if kind not in expected or length > MAX_ANSWER:
        raise ProtocolError
    end = PDU_HEADER.size + length
    if len(received) < end:
        return None
    body = bytes(received[PDU_HEADER.size : end])
    del received[:end]
    return kind, body


class Protocol:
    """State machine of one association, which decodes received bytes and encodes requests.

    The mutable state is the state of the association, the bytes of an incomplete PDU and message,
    and `ending`, the cause of the association's end as text for the log.
    """

    def __init__(self, peer: PeerAE, contexts: Sequence[Context]) -> None:
        """Prepare to request an association with up to 128 `contexts`."""
        self.state = State.IDLE
        self.speaks_tls = False
        self.ending = ""
        self._peer = peer
        self._contexts = {2 * index + 1: context for index, context in enumerate(contexts)}
        self._received = bytearray()
        self._reader = MessageReader()

    @property
    def is_over(self) -> bool:
        """Whether no more events can follow."""
        return self.state in (State.BROKEN, State.ENDED)

    def request(self) -> bytes:
        """Return the A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
        self.state = State.REQUESTED
        titles = (self._peer.called_ae, self._peer.calling_ae)
        called, calling = (title.ljust(TITLE_SIZE).encode("ascii") for title in titles)
        contexts = b"".join(
            item(
                CONTEXT_ITEM,
                bytes((context_id, 0, 0, 0))
                + item(ABSTRACT_SYNTAX, context.abstract_syntax.encode("ascii"))
                + item(TRANSFER_SYNTAX, context.transfer_syntax.encode("ascii")),
            )
            for context_id, context in self._contexts.items()
        )
        identity = _encoded_identity(self._peer.identity)
        return associate_pdu(ASSOCIATE_RQ, called, calling, contexts, identity=identity)

    def release(self) -> bytes:
        """Return the A-RELEASE-RQ."""
        self.state = State.RELEASING
        return RELEASE_REQUEST

    def abort(self) -> bytes:
        """Return the A-ABORT, empty if there is no association to abort."""
        was, self.state = self.state, State.ENDED
        if was is not State.IDLE:
            self.note_ending("this side aborted it")
        return b"" if was in (State.IDLE, State.ENDED) else ABORT

    def receive(self, data: bytes) -> Iterator[Event]:
        """Decode received bytes into events. Empty `data` means the end of the connection."""
        self._received += data
        if self.state is State.REQUESTED and self._received.startswith(_TLS_ALERT):
            self.speaks_tls = True
        try:
            while not self.is_over and (pdu := self._next_pdu()):
                yield from self._events(*pdu)
        except (ProtocolError, IndexError, ValueError):
            self.break_off("the server violates the protocol")
            yield Ended()
        if not data and not self.is_over:
            self.note_ending("the connection was closed without a release")
            yield self._end()

    def break_off(self, why: str) -> None:
        """Ignore all further data from the peer."""
        self.state = State.BROKEN
        self.note_ending(why)

    def note_ending(self, how: str) -> None:
        """Record how the association ended. The first record is the cause."""
        self.ending = self.ending or how

    def _next_pdu(self) -> tuple[int, bytes] | None:
        """Return the type and the body of the next PDU, None if it is incomplete."""
        return take_pdu(self._received, range(ASSOCIATE_AC, A_ABORT + 1))

    def _events(self, kind: int, body: bytes) -> Iterator[Event]:
        is_open = self.state in (State.ESTABLISHED, State.RELEASING)
        if kind == P_DATA_TF and is_open:
            yield from self._reader.messages(body)
        elif kind == ASSOCIATE_AC and self.state is State.REQUESTED:
            self.state = State.ESTABLISHED
            yield self._accepted(body)
        elif kind == ASSOCIATE_RJ and self.state is State.REQUESTED:
            _, result, source, reason = body[:4]
            if result not in _RESULTS or source not in _SOURCES:
                raise ProtocolError
            self.state = State.ENDED
            self.note_ending("the server rejected it")
            yield Rejected(result, source, reason)
        elif kind == RELEASE_RQ and is_open:
            self.note_ending("the server released it")
            yield ReleaseRequested()
        elif kind == A_ABORT:
            self.note_ending(_aborted(body))
            yield self._end(is_abort=True)
        elif kind == RELEASE_RP and self.state is State.RELEASING:
            self.note_ending("this side released it")
            yield self._end()
        else:
            raise ProtocolError

    def _end(self, *, is_abort: bool = False) -> Ended:
        self.state = State.ENDED
        return Ended(is_abort)

    def _accepted(self, body: bytes) -> Accepted:
        """Decode an A-ASSOCIATE-AC (PS3.8 9.3.3)."""
        if len(body) < FIXED_FIELDS:
            raise ProtocolError
        contexts: dict[int, Context] = {}
        results: dict[Context, int] = {}
        user_items: dict[int, bytes] = {}
        for kind, value in items(body[FIXED_FIELDS:]):
            if kind == CONTEXT_RESULT:
                context_id, result = value[0], value[2]
                proposed = self._contexts.get(context_id)
                if proposed:
                    results[proposed] = result
                if proposed and result == 0 and _is_accepted(proposed, value[4:]):
                    contexts[context_id] = proposed
            elif kind == USER_INFORMATION:
                user_items |= items(value)
        class_uid, version_name = (
            self._own_name(user_items.get(kind, b"")) for kind in (CLASS_UID, VERSION_NAME)
        )
        max_pdu = int.from_bytes(user_items.get(MAX_LENGTH, b"")[:4], "big")
        confirms_identity = _IDENTITY_RESPONSE in user_items
        name = version_name or class_uid
        return Accepted(contexts, max_pdu, name, confirms_identity, class_uid, results)

    def _own_name(self, value: bytes) -> str:
        """Return a name of the peer, withheld if it may quote the user identity."""
        for reading in (value.decode("latin-1"), value.decode("utf-8", "replace")):
            if (checked := without_identity(reading, self._peer.identity)) != reading:
                return checked
        return name_of(value)


class MessageReader:
    """Decoder that joins fragments into messages (PS3.8 9.3.5, E).

    The mutable state is the fragments of an incomplete message.
    """

    def __init__(self) -> None:
        """Start without fragments."""
        self._begin_message()

    def messages(self, body: bytes) -> Iterator[Message]:
        """Decode a P-DATA-TF without its header, and yield the complete messages.

        Raises ProtocolError for an invalid or overlong message.
        """
        offset = 0
        while offset < len(body):
            if offset + _PDV.size > len(body):
                raise ProtocolError
            length, context_id, control = _PDV.unpack_from(body, offset)
            end = offset + 4 + length
            if length < 2 or end > len(body):
                raise ProtocolError
            yield from self._take(context_id, control, body[offset + _PDV.size : end])
            offset = end

    def _begin_message(self) -> None:
        self._context_id = 0
        self._values: Command | None = None
        self._fragments: list[bytes] = []
        self._size = 0

    def _take(self, context_id: int, control: int, fragment: bytes) -> Iterator[Message]:
        is_command = bool(control & _COMMAND)
        is_first = not self._fragments and self._values is None
        if is_command != (self._values is None) or not (is_first or context_id == self._context_id):
            raise ProtocolError
        self._context_id = context_id
        self._fragments.append(fragment)
        # Empty fragments use memory too.
        self._size += len(fragment) + _PDV.size
        if self._size > MAX_ANSWER:
            raise ProtocolError
        if not control & _LAST:
            return
        data = b"".join(self._fragments)
        self._fragments = []
        if self._values is None:
            self._values = decode_command(data)
            if has_dataset(self._values):
                return
            data = b""
        message = Message(context_id, self._values, data)
        self._begin_message()
        yield message


def encode_pdu(kind: int, body: bytes) -> bytes:
    """Return a PDU with its header (PS3.8 9.3.1)."""
    return PDU_HEADER.pack(kind, len(body)) + body


def associate_pdu(
    kind: int,
    called: bytes,
    calling: bytes,
    contexts: bytes,
    *,
    role: bytes = b"",
    identity: bytes = b"",
) -> bytes:
    """Return an A-ASSOCIATE-RQ or an A-ASSOCIATE-AC (PS3.8 9.3.2, 9.3.3).

    The AE titles have 16 bytes. `contexts`, `role` and `identity` are encoded items.
    """
    user_information = (
        item(MAX_LENGTH, MAX_RECEIVED_PDU.to_bytes(4, "big"))
        + item(CLASS_UID, IMPLEMENTATION_UID.encode("ascii"))
        + role
        + item(VERSION_NAME, IMPLEMENTATION_VERSION.encode("ascii"))
        + identity
    )
    return encode_pdu(
        kind,
        REQUEST_FIELDS.pack(PROTOCOL_VERSION, called, calling)
        + item(APPLICATION_CONTEXT_ITEM, APPLICATION_CONTEXT.encode("ascii"))
        + contexts
        + item(USER_INFORMATION, user_information),
    )


def item(kind: int, value: bytes) -> bytes:
    """Encode an item of an association request or answer (PS3.8 9.3.2)."""
    return _ITEM.pack(kind, len(value)) + value


def _encoded_identity(identity: UserIdentity | None) -> bytes:
    """Encode a user identity (PS3.7 D.3.3.7.1), empty bytes for None."""
    if identity is None:
        return b""
    fields = (identity.primary, identity.secondary)
    value = bytes((identity.kind, identity.wants_response))
    value += b"".join(len(field).to_bytes(2, "big") + field for field in fields)
    return item(_USER_IDENTITY, value)


def items(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the types and values of items. Raises ProtocolError for a truncated item."""
    offset = 0
    while offset < len(encoded):
        if offset + _ITEM.size > len(encoded):
            raise ProtocolError
        kind, length = _ITEM.unpack_from(encoded, offset)
        offset += _ITEM.size
        if offset + length > len(encoded):
            raise ProtocolError
        yield kind, encoded[offset : offset + length]
        offset += length


def _aborted(body: bytes) -> str:
    """Return the source and the reason of an A-ABORT in words (PS3.8 9.3.8)."""
    source, reason = body[2:3], body[3:4]
    who = _ABORT_SOURCES.get(source[0]) if source else None
    if who is None:
        return "the server aborted it"
    # A service user gives no reason.
    why = _ABORT_REASONS.get(reason[0]) if source[0] and reason else None
    return f"the server aborted it ({who}" + (f": {why})" if why else ")")


def _is_accepted(proposed: Context, encoded: bytes) -> bool:
    """Return whether an accepted context has the proposed transfer syntax."""
    syntax = dict(items(encoded)).get(TRANSFER_SYNTAX, b"")
    return name_of(syntax) == proposed.transfer_syntax


def name_of(value: bytes) -> str:
    """Decode a UID or a name with any characters; overlong values of servers are cut."""
    return printable(value[:_MAX_NAME].decode("latin-1").strip("\0 "))
