"""Encoding and decoding of DIMSE messages (PS3.7 6.3 and 9, PS3.8 9.3.5 and E).

pynetdicom does this through pydicom's datasets. This takes longer than all other work for an
image, and rejects responses that other toolkits accept.
"""

from collections.abc import Iterable, Iterator, Mapping
from struct import Struct

from ..dicom.types import SOPInstance
from ..values import frozen
from .throttle import MAX_PIECE

Buffer = bytes | memoryview
Command = Mapping[int, bytes]
"""Values of a command set, by the element numbers of group 0000."""

AFFECTED_SOP_CLASS_UID, REQUESTED_SOP_CLASS_UID = 0x0002, 0x0003
COMMAND_FIELD, MESSAGE_ID, MESSAGE_ID_BEING_RESPONDED_TO = 0x0100, 0x0110, 0x0120
PRIORITY, COMMAND_DATA_SET_TYPE = 0x0700, 0x0800
STATUS, OFFENDING_ELEMENT, ERROR_COMMENT = 0x0900, 0x0901, 0x0902
AFFECTED_SOP_INSTANCE_UID, REQUESTED_SOP_INSTANCE_UID = 0x1000, 0x1001
EVENT_TYPE_ID, ACTION_TYPE_ID = 0x1002, 0x1008

C_STORE_RQ, C_FIND_RQ, C_ECHO_RQ = 0x0001, 0x0020, 0x0030
N_EVENT_REPORT_RQ, N_ACTION_RQ = 0x0100, 0x0130
RESPONSE = 0x8000
"""The bit that distinguishes the command field of a response (PS3.7 E.1)."""
MEDIUM_PRIORITY = 0x0000
HAS_DATASET, NO_DATASET = 0x0001, 0x0101
PENDING = (0xFF00, 0xFF01)
"""Statuses of responses before the final one (PS3.7 C.1.4)."""
MAX_ERROR_COMMENT = 64
"""Maximum characters of an error comment, a value of VR LO (PS3.5 6.2)."""
_MAX_OFFENDING_ELEMENTS = 16
_MAX_COMMENT_BYTES = 1024
_MAX_MESSAGE_ID = 0xFFFF

_ELEMENT = Struct("<HHL")
_US_ELEMENT = Struct("<HHLH")
_UL_ELEMENT = Struct("<HHLL")
_TAG = Struct("<HH")

_P_DATA_TF = 0x04
_PDU_HEADER = Struct(">BBLLBB")
_PDV_OVERHEAD = 6
_DATASET, _COMMAND, _LAST = 0x00, 0x01, 0x02
_MAX_BUFFERS = 512


@frozen
class StoreResponse:
    """A peer's response to a C-STORE request (PS3.7 9.1.1, C.4).

    It has at most 16 offending elements, and a comment of at most 1024 characters.
    """

    status: int
    offending_elements: tuple[str, ...] = ()
    error_comment: str = ""


def message_id(request: int) -> int:
    """Return the message ID of a request; requests count from 1, IDs have 16 bits (PS3.7 E.1)."""
    return (request - 1) % _MAX_MESSAGE_ID + 1


def ids_of(requests: int) -> range:
    """Return the message IDs of the first `requests` requests."""
    return range(1, min(requests, _MAX_MESSAGE_ID) + 1)


def c_store_request(
    message_id: int,
    context_id: int,
    instance: SOPInstance,
    max_pdu: int,
    *,
    max_write: int = MAX_PIECE,
) -> Iterator[list[Buffer]]:
    """Yield the buffers of each write of a C-STORE request with its dataset.

    `max_pdu` is the maximum number of bytes of a PDU after its header. It must be even, because
    some servers abort after a fragment of odd length (PS3.7 9.3.1.1). A write has about `max_write`
    bytes, or one PDU if that is longer. Raises OSError if the dataset cannot be read.
    """
    command = encode_command(
        {
            AFFECTED_SOP_CLASS_UID: instance.sop_class_uid,
            COMMAND_FIELD: C_STORE_RQ,
            MESSAGE_ID: message_id,
            PRIORITY: MEDIUM_PRIORITY,
            COMMAND_DATA_SET_TYPE: HAS_DATASET,
            AFFECTED_SOP_INSTANCE_UID: instance.sop_instance_uid,
        }
    )
    blocks, size = instance.dataset.blocks(), instance.dataset.size
    return _writes(context_id, command, blocks, size, max_pdu, max_write=max_write)


def message(
    context_id: int, command: Mapping[int, int | str], dataset: bytes, max_pdu: int
) -> Iterator[list[Buffer]]:
    """Yield the buffers of each write of any other message."""
    encoded = encode_command(dict(sorted(command.items())))
    return _writes(context_id, encoded, [dataset], len(dataset), max_pdu)


def event_report_response(report: Command, status: int) -> dict[int, int | str]:
    """Return the command set of the response to an event report (PS3.7 10.3.1)."""
    return {
        AFFECTED_SOP_CLASS_UID: text(report, AFFECTED_SOP_CLASS_UID),
        COMMAND_FIELD: N_EVENT_REPORT_RQ | RESPONSE,
        MESSAGE_ID_BEING_RESPONDED_TO: number(report, MESSAGE_ID) or 0,
        COMMAND_DATA_SET_TYPE: NO_DATASET,
        STATUS: status,
        AFFECTED_SOP_INSTANCE_UID: text(report, AFFECTED_SOP_INSTANCE_UID),
        EVENT_TYPE_ID: number(report, EVENT_TYPE_ID) or 0,
    }


def encode_command(elements: Mapping[int, int | str]) -> bytes:
    """Encode numbers (VR US) and UIDs in Implicit VR Little Endian, with their group length.

    `elements` must be in the order of their element numbers (PS3.7 6.3.1).
    """
    encoded = b"".join(
        _US_ELEMENT.pack(0, element, 2, value) if isinstance(value, int) else _uid(element, value)
        for element, value in elements.items()
    )
    return _UL_ELEMENT.pack(0, 0x0000, 4, len(encoded)) + encoded


def decode_command(encoded: bytes) -> Command:
    """Return the values of a command set before the first truncated element."""
    values = {}
    offset = 0
    while offset + _ELEMENT.size <= len(encoded):
        group, element, length = _ELEMENT.unpack_from(encoded, offset)
        offset += _ELEMENT.size
        if offset + length > len(encoded):
            break
        if group == 0:
            values[element] = encoded[offset : offset + length]
        offset += length
    return values


def number(command: Command, element: int) -> int | None:
    """Return a value of VR US, None if it is missing."""
    value = command.get(element, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None


def text(command: Command, element: int) -> str:
    """Return a text value without padding. All characters are accepted."""
    return command.get(element, b"").decode("latin-1").strip("\0 ")


def is_response(command: Command) -> bool:
    """Return whether a command set is a response, not a request."""
    return bool((number(command, COMMAND_FIELD) or 0) & RESPONSE)


def is_event_report(command: Command) -> bool:
    """Return whether a command set is an N-EVENT-REPORT request (PS3.7 10.3.1)."""
    return number(command, COMMAND_FIELD) == N_EVENT_REPORT_RQ


def has_dataset(command: Command) -> bool:
    """Return whether a dataset follows the command set."""
    return number(command, COMMAND_DATA_SET_TYPE) not in (NO_DATASET, None)


def store_response(command: Command) -> StoreResponse:
    """Return a C-STORE response from its command set."""
    status = number(command, STATUS) or 0
    if not status:
        return StoreResponse(status)
    tags = command.get(OFFENDING_ELEMENT, b"")
    ends = range(_TAG.size, min(len(tags), _TAG.size * _MAX_OFFENDING_ELEMENTS) + 1, _TAG.size)
    offending = (_TAG.unpack_from(tags, end - _TAG.size) for end in ends)
    comment = command.get(ERROR_COMMENT, b"")[:_MAX_COMMENT_BYTES]
    return StoreResponse(
        status,
        tuple(f"({group:04x},{element:04x})" for group, element in offending),
        " ".join(_characters(comment).strip("\0").split()),
    )


def _characters(value: bytes) -> str:
    """Decode text as UTF-8, else Latin-1: a command set has no character set."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _uid(element: int, uid: str) -> bytes:
    value = uid.encode("latin-1")
    value += bytes(len(value) % 2)
    return _ELEMENT.pack(0, element, len(value)) + value


def _writes(
    context_id: int,
    command: bytes,
    dataset: Iterable[Buffer],
    size: int,
    max_pdu: int,
    *,
    max_write: int = MAX_PIECE,
) -> Iterator[list[Buffer]]:
    """Yield the buffers of each write of a message's PDUs."""
    pending: list[Buffer] = []
    pending_size = 0
    for buffer in _buffers(context_id, command, dataset, size, max_pdu - _PDV_OVERHEAD):
        pending.append(buffer)
        pending_size += len(buffer)
        if pending_size >= max_write or len(pending) >= _MAX_BUFFERS:
            yield pending
            pending, pending_size = [], 0
    if pending:
        yield pending


def _buffers(
    context_id: int, command: bytes, dataset: Iterable[Buffer], size: int, max_fragment: int
) -> Iterator[Buffer]:
    yield from _pdus(context_id, _COMMAND, [command], len(command), max_fragment)
    yield from _pdus(context_id, _DATASET, dataset, size, max_fragment)


def _pdus(
    context_id: int, kind: int, blocks: Iterable[Buffer], size: int, max_fragment: int
) -> Iterator[Buffer]:
    """Yield PDU headers with one fragment each, and slices of `blocks` between them.

    The blocks have `size` bytes in total, and are not copied.
    """
    missing = 0
    for block in blocks:
        view = memoryview(block)
        start, end = 0, len(view)
        while start < end:
            if not missing:
                missing = min(size, max_fragment)
                size -= missing
                control = kind if size else kind | _LAST
                yield _PDU_HEADER.pack(
                    _P_DATA_TF, 0, missing + _PDV_OVERHEAD, missing + 2, context_id, control
                )
            stop = min(start + missing, end)
            yield view[start:stop]
            missing -= stop - start
            start = stop
