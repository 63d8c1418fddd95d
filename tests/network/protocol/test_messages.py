"""Messages that a peer can send over an association."""

import pytest

from fw_gear_dicom_send.network import dimse
from fw_gear_dicom_send.network.pdus import ABORT, MAX_ANSWER, Message
from fw_gear_dicom_send.network.protocol import Ended, Protocol, ReleaseRequested, State
from tests.support.pdus import (
    C_FIND_RSP,
    associate_ac,
    element,
    fragment,
    message,
    pdu,
    response,
)

FIND = element(0x0100, C_FIND_RSP) + element(0x0120, 7) + element(0x0900, 0xFF00)
WITH_DATASET = FIND + element(0x0800, 1)


def numbers(event: object) -> tuple[int | None, int | None]:
    """Return the message ID and the status of a response."""
    assert isinstance(event, Message)
    command = event.command
    return (
        dimse.number(command, dimse.MESSAGE_ID_BEING_RESPONDED_TO),
        dimse.number(command, dimse.STATUS),
    )


def test_messages_are_received_in_order(established: Protocol) -> None:
    """Several may arrive together."""
    events = established.receive(message(response(1)) + message(response(2, 0xA700)))
    assert list(map(numbers, events)) == [(1, 0), (2, 0xA700)]


def test_a_message_may_come_in_many_fragments(established: Protocol) -> None:
    """They may be in one PDU or in several, with empty ones, and with a dataset."""
    half = len(WITH_DATASET) // 2
    data = pdu(4, fragment(WITH_DATASET[:half], 1) + fragment(b"", 1))
    data += pdu(4, fragment(WITH_DATASET[half:], 3) + fragment(b"data", 0))
    assert list(established.receive(data)) == []
    (event,) = established.receive(pdu(4, fragment(b"set", 2)))
    assert isinstance(event, Message)
    assert (event.context_id, event.dataset) == (1, b"dataset")
    assert numbers(event) == (7, 0xFF00)


@pytest.mark.parametrize(
    "body",
    [
        b"\0\0",
        b"\0\0\0\0",
        fragment(b"x", 3)[:-1],
        b"\0\0\0\x01\x01",
        fragment(b"x", 2),
        fragment(WITH_DATASET, 3) + fragment(response(1), 3),
        fragment(WITH_DATASET, 3) + fragment(b"data", 2, context_id=3),
        fragment(b"x", 1, context_id=3) + fragment(b"x", 3),
    ],
)
def test_fragments_without_a_valid_message_end_the_association(
    established: Protocol, body: bytes
) -> None:
    """They are truncated, out of order, or in two contexts."""
    assert list(established.receive(pdu(4, body))) == [Ended()]
    assert established.abort() == ABORT


def test_an_answer_has_a_limit(established: Protocol) -> None:
    """An endless message ends the association and takes no more memory."""
    piece = pdu(4, fragment(bytes(1 << 15), 1))
    events = [event for _ in range(40) for event in established.receive(piece)]
    assert events == [Ended()]


def test_a_flood_of_empty_fragments_has_a_limit(established: Protocol) -> None:
    """Empty fragments need memory, too."""
    piece = pdu(4, fragment(b"", 1) * 10_000)
    events = [event for _ in range(40) for event in established.receive(piece)]
    assert events == [Ended()]


def test_a_pdu_has_a_limit(established: Protocol) -> None:
    """The protocol does not wait for a PDU that claims to be longer."""
    assert list(established.receive(b"\x04\0" + (MAX_ANSWER + 1).to_bytes(4, "big"))) == [Ended()]


def test_a_release_is_an_event(established: Protocol) -> None:
    """The association continues until the release is answered."""
    assert list(established.receive(pdu(5, bytes(4)))) == [ReleaseRequested()]
    assert established.state is State.ESTABLISHED


@pytest.mark.parametrize(("end", "is_abort"), [(pdu(7, bytes(4)), True), (b"", False)])
def test_messages_before_the_end_count(established: Protocol, end: bytes, is_abort: bool) -> None:
    """The response before an abort counts; the abort is not answered."""
    events = [*established.receive(message(response(1, 0xC000))), *established.receive(end)]
    assert numbers(events[0]) == (1, 0xC000)
    assert events[1:] == [Ended(is_abort)]
    assert established.abort() == b""


@pytest.mark.parametrize("data", [associate_ac(), pdu(3, bytes([0, 1, 1, 1])), pdu(6, bytes(4))])
def test_an_unexpected_pdu_ends_the_association(established: Protocol, data: bytes) -> None:
    """An example is the response to a request that was not made."""
    assert list(established.receive(data)) == [Ended()]
    assert established.abort() == ABORT


def test_a_release_ends_with_its_response(established: Protocol) -> None:
    """There is no abort afterwards."""
    established.release()
    assert list(established.receive(pdu(6, bytes(4)))) == [Ended()]
    assert established.abort() == b""
