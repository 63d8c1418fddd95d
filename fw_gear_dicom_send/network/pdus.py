"""PDUs of the upper layer, their items, and the messages in them (PS3.8 9.3, PS3.7 D.3.3)."""

from collections.abc import Iterator
from struct import Struct

from .. import __version__
from ..text import printable
from ..values import frozen
from .dimse import Command, decode_command, has_dataset
from .types import UserIdentity

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
PROTOCOL_VERSION, _TITLE_SIZE = 1, 16
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA_TF, RELEASE_RQ, RELEASE_RP, A_ABORT = range(1, 8)
"""PDU types, and the fields before the items of the first two (PS3.8 9.3)."""
APPLICATION_CONTEXT_ITEM, CONTEXT_ITEM, ABSTRACT_SYNTAX = 0x10, 0x20, 0x30
CONTEXT_RESULT, TRANSFER_SYNTAX, USER_INFORMATION = 0x21, 0x40, 0x50
MAX_LENGTH, CLASS_UID, ROLE_SELECTION, VERSION_NAME = 0x51, 0x52, 0x54, 0x55
USER_IDENTITY, IDENTITY_RESPONSE = 0x58, 0x59
"""Item types (PS3.8 9.3.2, PS3.7 D.3.3)."""
_ITEM = Struct(">BxH")
_PDV = Struct(">LBB")
_MAX_NAME = 64
_COMMAND, _LAST = 0x01, 0x02

RELEASE_REQUEST = bytes((5, 0, 0, 0, 0, 4, 0, 0, 0, 0))
RELEASE_RESPONSE = bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0))
ABORT = bytes((7, 0, 0, 0, 0, 4, 0, 0, 0, 0))


class ProtocolError(Exception):
    """The peer sent data that is unexpected or cannot be decoded."""


@frozen
class Message:
    """A DIMSE message: the values of its command set, and its dataset, which may be empty."""

    context_id: int
    command: Command
    dataset: bytes


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


def associate_pdu(
    kind: int,
    called: str,
    calling: str,
    contexts: bytes,
    *,
    role: bytes = b"",
    identity: UserIdentity | None = None,
) -> bytes:
    """Return an A-ASSOCIATE-RQ or an A-ASSOCIATE-AC (PS3.8 9.3.2, 9.3.3).

    `contexts` and `role` are encoded items.
    """
    titles = (title.ljust(_TITLE_SIZE).encode("ascii") for title in (called, calling))
    user_information = (
        item(MAX_LENGTH, MAX_RECEIVED_PDU.to_bytes(4, "big"))
        + item(CLASS_UID, IMPLEMENTATION_UID)
        + role
        + item(VERSION_NAME, IMPLEMENTATION_VERSION)
        + _encoded_identity(identity)
    )
    body = (
        REQUEST_FIELDS.pack(PROTOCOL_VERSION, *titles)
        + item(APPLICATION_CONTEXT_ITEM, APPLICATION_CONTEXT)
        + contexts
        + item(USER_INFORMATION, user_information)
    )
    return pdu(kind, body)


def pdu(kind: int, body: bytes) -> bytes:
    """Return a PDU with its header (PS3.8 9.3.1)."""
    return PDU_HEADER.pack(kind, len(body)) + body


def item(kind: int, value: bytes | str) -> bytes:
    """Encode an item of an association request or answer (PS3.8 9.3.2)."""
    encoded = value.encode("ascii") if isinstance(value, str) else value
    return _ITEM.pack(kind, len(encoded)) + encoded


def _encoded_identity(identity: UserIdentity | None) -> bytes:
    """Encode a user identity (PS3.7 D.3.3.7.1), empty bytes for None."""
    if identity is None:
        return b""
    fields = (identity.primary, identity.secondary)
    value = bytes((identity.kind, identity.wants_response))
    value += b"".join(len(field).to_bytes(2, "big") + field for field in fields)
    return item(USER_IDENTITY, value)


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


def name_of(value: bytes) -> str:
    """Decode a UID or a name with any characters; overlong values of servers are cut."""
    return printable(value[:_MAX_NAME].decode("latin-1").strip("\0 "))
