"""Encoded C-STORE requests equal those of pynetdicom."""

import io
from collections.abc import Iterable, Sequence
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF

from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span
from fw_gear_dicom_send.network.dimse import Buffer, c_store_request, ids_of, message_id

UIDS = st.from_regex(r"[1-9][0-9]{0,4}(\.[1-9][0-9]{0,8}){1,5}", fullmatch=True)
MAX_PDU_LENGTHS = [16, 128, 4096, 16382, 1 << 18]


def image(sop_class_uid: str, sop_instance_uid: str, dataset: bytes) -> SOPInstance:
    encoded = EncodedDataset(io.BytesIO(dataset), (Span(0, len(dataset)),))
    return SOPInstance(sop_class_uid, sop_instance_uid, "1.2.840.10008.1.2.1", encoded)


def as_pynetdicom(
    message_id: int, context_id: int, sent: SOPInstance, dataset: bytes, largest_pdu: int
) -> bytes:
    """Return the same request, encoded by pynetdicom."""
    request = C_STORE()
    request.MessageID = message_id
    request.AffectedSOPClassUID = sent.sop_class_uid
    request.AffectedSOPInstanceUID = sent.sop_instance_uid
    request.Priority = 0
    request.DataSet = io.BytesIO(dataset)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    primitives = message.encode_msg(context_id, largest_pdu)
    return b"".join(P_DATA_TF(primitive).encode() for primitive in primitives)


def joined(writes: Iterable[Sequence[Buffer]]) -> bytes:
    """Return the written data as one piece."""
    return b"".join(chain(*writes))


def pdus_of(data: bytes) -> list[bytes]:
    """Return the written PDUs."""
    pdus = []
    while data:
        end = 6 + int.from_bytes(data[2:6], "big")
        pdus.append(data[:end])
        data = data[end:]
    return pdus


@given(
    sop_class_uid=UIDS,
    sop_instance_uid=UIDS,
    message_id=st.integers(1, 0xFFFF),
    context_id=st.integers(0, 127).map(lambda number: 2 * number + 1),
    dataset=st.binary(min_size=1, max_size=300),
    largest_pdu=st.sampled_from(MAX_PDU_LENGTHS),
)
def test_requests_equal_those_of_pynetdicom(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    message_id: int,
    context_id: int,
    dataset: bytes,
    largest_pdu: int,
) -> None:
    """Pynetdicom writes the same bytes for any UIDs, numbers and sizes."""
    sent = image(sop_class_uid, sop_instance_uid, dataset)
    ours = joined(c_store_request(message_id, context_id, sent, largest_pdu))
    assert ours == as_pynetdicom(message_id, context_id, sent, dataset, largest_pdu)


@pytest.mark.parametrize("largest_pdu", MAX_PDU_LENGTHS)
def test_pdus_have_the_servers_maximum_length(largest_pdu: int) -> None:
    """All PDUs of a large dataset except the last have the length that the server requests."""
    sent = image("1.2.3", "1.2.4", bytes(1 << 17))
    pdus = pdus_of(joined(c_store_request(1, 1, sent, largest_pdu)))
    sizes = [len(pdu) - 6 for pdu in pdus if pdu[11] & 1 == 0]
    assert set(sizes[:-1]) <= {largest_pdu}
    assert 0 < sizes[-1] <= largest_pdu


def test_the_bytes_of_an_image_are_not_copied() -> None:
    """Few writes contain PDU headers and slices of the read data."""
    data = bytes(range(256)) * 4096
    writes = list(c_store_request(1, 1, image("1.2.3", "1.2.4", data), 16382))
    slices = [part for part in chain(*writes) if isinstance(part, memoryview)]
    assert b"".join(slices[1:]) == data
    assert len({id(part.obj) for part in slices[1:]}) == 4
    assert len(writes) <= 5


def test_message_ids_wrap_around() -> None:
    """Message IDs have 16 bits: after the last one comes 1 again (PS3.7 E.1)."""
    ids = [message_id(request) for request in range(1, 0x10000 + 3)]
    assert ids[:0xFFFF] == list(range(1, 0x10000))
    assert ids[0xFFFF:] == [1, 2, 3]
    assert ids_of(2) == range(1, 3)
    assert ids_of(0x10000) == range(1, 0x10000)
