"""C-STORE requests as they go on the wire, in P-DATA-TF PDUs.

pynetdicom makes each of them through pydicom's datasets, which takes longer than all
else that an image costs here.
"""

from collections.abc import Iterable, Iterator
from struct import Struct

from ..dicom.types import SOPInstance

_C_STORE_RQ = 0x0001
_MEDIUM_PRIORITY = 0x0000
_HAS_DATASET = 0x0001
_AFFECTED_SOP_CLASS_UID, _AFFECTED_SOP_INSTANCE_UID = 0x0002, 0x1000
_UL_ELEMENT = Struct("<HHLL")
_US_ELEMENT = Struct("<HHLH")
_UI_HEADER = Struct("<HHL")

_P_DATA_TF = 0x04
_PDU_HEADER = Struct(">BBLLBB")
_PDV_OVERHEAD = 6
_DATASET, _COMMAND, _LAST = 0x00, 0x01, 0x02


def message_ids() -> Iterator[int]:
    """Yield the message IDs of an association, which start over after 65535 (PS3.7 E.1)."""
    while True:
        yield from range(1, 0x10000)


def c_store_request(
    message_id: int, context_id: int, instance: SOPInstance, largest_pdu: int
) -> Iterator[bytes]:
    """Yield the PDUs of a C-STORE request with its dataset (PS3.7 9.3.1.1, PS3.8 9.3.5 and E).

    `largest_pdu` is the most bytes that a PDU may have after its header, an even
    number. Raises OSError if the dataset cannot be read.
    """
    size = largest_pdu - _PDV_OVERHEAD
    command = _command_set(message_id, instance)
    fragments = (command[start : start + size] for start in range(0, len(command), size))
    yield from _pdus(fragments, len(command), context_id, _COMMAND)
    yield from _pdus(instance.dataset.chunks(size), instance.dataset.size, context_id, _DATASET)


def _command_set(message_id: int, instance: SOPInstance) -> bytes:
    """Encode the command set in Implicit VR Little Endian (PS3.7 6.3.1, 9.3.1.1)."""
    elements = b"".join(
        (
            _uid(_AFFECTED_SOP_CLASS_UID, instance.sop_class_uid),
            _US_ELEMENT.pack(0, 0x0100, 2, _C_STORE_RQ),
            _US_ELEMENT.pack(0, 0x0110, 2, message_id),
            _US_ELEMENT.pack(0, 0x0700, 2, _MEDIUM_PRIORITY),
            _US_ELEMENT.pack(0, 0x0800, 2, _HAS_DATASET),
            _uid(_AFFECTED_SOP_INSTANCE_UID, instance.sop_instance_uid),
        )
    )
    return _UL_ELEMENT.pack(0, 0x0000, 4, len(elements)) + elements


def _uid(element: int, uid: str) -> bytes:
    value = uid.encode("latin-1")
    value += bytes(len(value) % 2)
    return _UI_HEADER.pack(0, element, len(value)) + value


def _pdus(fragments: Iterable[bytes], size: int, context_id: int, kind: int) -> Iterator[bytes]:
    """Yield a PDU for each of the fragments, which have so many bytes together."""
    for fragment in fragments:
        size -= len(fragment)
        control = kind if size else kind | _LAST
        length = len(fragment) + 2
        yield _PDU_HEADER.pack(_P_DATA_TF, 0, length + 4, length, context_id, control) + fragment
