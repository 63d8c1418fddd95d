"""PDUs and messages of a peer, valid or invalid (PS3.8 9.3, PS3.7 6.3)."""

import struct

C_STORE_RSP, C_FIND_RSP = 0x8001, 0x8020
NO_DATASET = 0x0101
APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"


def pdu(kind: int, body: bytes) -> bytes:
    """Return a PDU."""
    return struct.pack(">BBL", kind, 0, len(body)) + body


def item(kind: int, value: bytes) -> bytes:
    """Return an item or a sub-item."""
    return struct.pack(">BBH", kind, 0, len(value)) + value


def accepted_context(context_id: int, syntax: bytes, result: int = 0) -> bytes:
    """Return a presentation context of an A-ASSOCIATE-AC."""
    return item(0x21, bytes([context_id, 0, result, 0]) + item(0x40, syntax))


def user_information(*items: bytes, max_length: int = 16384) -> bytes:
    """Return user information with a maximum length, a class UID and these items."""
    limit = item(0x51, struct.pack(">L", max_length))
    return item(0x50, limit + item(0x52, b"1.2.3.4") + b"".join(items))


def associate_ac(*items: bytes) -> bytes:
    """Return an A-ASSOCIATE-AC with these items."""
    head = struct.pack(">HH", 1, 0) + b"CALLED".ljust(16) + b"CALLING".ljust(16) + bytes(32)
    return pdu(2, head + item(0x10, APPLICATION_CONTEXT) + b"".join(items))


def element(number: int, value: bytes | int) -> bytes:
    """Return a command set element, padded to an even length; numbers have VR US."""
    encoded = struct.pack("<H", value) if isinstance(value, int) else value
    encoded += bytes(len(encoded) % 2)
    return struct.pack("<HHL", 0, number, len(encoded)) + encoded


def response(message_id: int, status: int = 0, *more: bytes, field: int = C_STORE_RSP) -> bytes:
    """Return the command set of a response."""
    return b"".join(
        (
            element(0x0100, field),
            element(0x0120, message_id),
            element(0x0800, NO_DATASET),
            element(0x0900, status),
            *more,
        )
    )


def fragment(data: bytes, control: int, context_id: int = 1) -> bytes:
    """Return a presentation data value; control 1 means command, 2 means last fragment."""
    return struct.pack(">LBB", len(data) + 2, context_id, control) + data


def message(command: bytes, dataset: bytes | None = None, context_id: int = 1) -> bytes:
    """Return a message in one PDU."""
    values = fragment(command, 3, context_id)
    if dataset is not None:
        values += fragment(dataset, 2, context_id)
    return pdu(4, values)


def event_report(context_id: int, dataset: bytes = b"") -> bytes:
    """Return an N-EVENT-REPORT request for storage commitment (PS3.4 J.3.3)."""
    command = (
        element(0x0002, b"1.2.840.10008.1.20.1")
        + element(0x0100, 0x0100)
        + element(0x0110, 9)
        + element(0x0800, 0x0001)
        + element(0x1000, b"1.2.840.10008.1.20.1.1")
        + element(0x1002, 1)
    )
    return message(command, dataset, context_id)
