"""Responses of a peer to an association request."""

import io

import pytest
from pynetdicom.pdu import A_ASSOCIATE_RQ

from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.pdus import (
    APPLICATION_CONTEXT,
    IMPLEMENTATION_UID,
    IMPLEMENTATION_VERSION,
    MAX_RECEIVED_PDU,
)
from fw_gear_dicom_send.network.protocol import Accepted, Ended, Protocol, Rejected, State
from tests.support.pdus import accepted_context, associate_ac, item, pdu, user_information

from .conftest import CT, EXPLICIT, IMPLICIT, PEER

UID = EXPLICIT.encode()


def only(protocol: Protocol, data: bytes) -> object:
    """Return the only event that the data produces."""
    (event,) = protocol.receive(data)
    return event


def test_the_request_names_both_sides_and_each_context() -> None:
    """Each context has one transfer syntax and an odd ID (PS3.8 9.3.2)."""
    contexts = tuple(Context(f"1.2.{n}", EXPLICIT) for n in range(128))
    request = A_ASSOCIATE_RQ()
    request.decode(Protocol(PEER, contexts).request())
    primitive = request.to_primitive()
    assert (primitive.called_ae_title, primitive.calling_ae_title) == ("CALLED", "CALLING")
    proposed = primitive.presentation_context_definition_list
    assert [cx.context_id for cx in proposed] == list(range(1, 256, 2))
    assert [cx.abstract_syntax for cx in proposed] == [f"1.2.{n}" for n in range(128)]
    assert {tuple(cx.transfer_syntax) for cx in proposed} == {(EXPLICIT,)}


def test_the_request_identifies_the_gear() -> None:
    """The user information has the maximum length and the implementation (PS3.7 D.3.3)."""
    request = A_ASSOCIATE_RQ()
    request.decode(Protocol(PEER, (Context(CT, EXPLICIT),)).request())
    information = request.user_information
    assert information.maximum_length == MAX_RECEIVED_PDU
    assert information.implementation_class_uid == IMPLEMENTATION_UID
    assert information.implementation_version_name == IMPLEMENTATION_VERSION
    assert request.application_context_name == APPLICATION_CONTEXT


def test_accepted_contexts_have_result_0(requested: Protocol) -> None:
    """A context that is rejected or was never proposed is not in the result."""
    answer = associate_ac(
        accepted_context(1, UID), accepted_context(3, UID, result=4), accepted_context(5, UID),
        user_information(max_length=1234),
    )  # fmt: skip
    first, second = Context(CT, EXPLICIT), Context(CT, IMPLICIT)
    assert only(requested, answer) == Accepted(
        {1: first}, 1234, "1.2.3.4", class_uid="1.2.3.4", results={first: 0, second: 4}
    )
    assert requested.state is State.ESTABLISHED


def test_a_context_in_another_syntax_is_not_accepted(requested: Protocol) -> None:
    """The peer must accept the proposed syntax (PS3.8 9.3.3.2)."""
    answer = associate_ac(accepted_context(1, IMPLICIT.encode()), accepted_context(3, UID))
    results = {Context(CT, EXPLICIT): 0, Context(CT, IMPLICIT): 0}
    assert only(requested, answer) == Accepted({}, 0, "", results=results)


@pytest.mark.parametrize("padding", [b"\0", b" ", b"\0\0"])
def test_a_padded_syntax_is_the_same(requested: Protocol, padding: bytes) -> None:
    """Some servers pad UIDs to an even length, as in a dataset."""
    event = only(requested, associate_ac(accepted_context(1, UID + padding)))
    assert isinstance(event, Accepted)
    assert event.contexts.keys() == {1}


@pytest.mark.parametrize(
    "items",
    [
        (item(0x99, b"odd"), accepted_context(1, UID), user_information(item(0x77, b"x" * 999))),
        (user_information(), item(0x00, b""), accepted_context(1, UID), item(0xFF, bytes(5))),
        (accepted_context(1, UID), user_information(item(0x54, b"role"), item(0x56, b"?"))),
    ],
)
def test_unknown_items_are_ignored(requested: Protocol, items: tuple[bytes, ...]) -> None:
    """Items and sub-items of other kinds may be anywhere (PS3.8 9.3.1)."""
    context = Context(CT, EXPLICIT)
    assert only(requested, associate_ac(*items)) == Accepted(
        {1: context}, 16384, "1.2.3.4", class_uid="1.2.3.4", results={context: 0}
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"PACS", "PACS"),
        (b"A version name of more than 16 bytes", "A version name of more than 16 bytes"),
        (b"caf\xe9 ", "café"),
        (b"x" * 60_000, "x" * 64),
        (b"a\nb", r"a\nb"),
        (b" \0", "1.2.3.4"),
    ],
)
def test_an_implementation_may_have_any_name(requested: Protocol, name: bytes, shown: str) -> None:
    """Names that are too long or not ASCII are harmless; without one the class UID is shown."""
    event = only(requested, associate_ac(user_information(item(0x55, name))))
    assert isinstance(event, Accepted)
    assert event.implementation == shown


@pytest.mark.parametrize(
    "answer",
    [
        pdu(2, bytes(20)),
        associate_ac()[:-3],
        associate_ac(b"\x21\0\xff\xff"),
        associate_ac(item(0x21, b"\x01")),
        associate_ac(item(0x21, b"\x01\0\0\0\x40\0\0\x40")),
        pdu(3, b"\0\x01"),
        pdu(3, bytes([0, 0, 1, 1])),
        pdu(3, bytes([0, 1, 9, 1])),
        pdu(4, bytes(6)),
        pdu(6, bytes(4)),
        pdu(0, b""),
        pdu(9, b""),
        b"HTTP/1.1 400 Bad Request",
    ],
)
def test_an_invalid_response_ends_the_association(requested: Protocol, answer: bytes) -> None:
    """Any error results in an event, and no more data is read."""
    events = [*requested.receive(answer), *requested.receive(b"")]
    assert events == [Ended()]
    assert requested.is_over
    assert list(requested.receive(associate_ac())) == []


def test_a_response_may_arrive_in_pieces(requested: Protocol) -> None:
    """Each byte may arrive alone."""
    answer = associate_ac(accepted_context(1, UID), user_information())
    stream = io.BytesIO(answer)
    events = [event for _ in answer for event in requested.receive(stream.read(1))]
    assert [type(event) for event in events] == [Accepted]


def test_a_rejection_has_its_three_numbers(requested: Protocol) -> None:
    """The numbers are result, source and reason (PS3.8 9.3.4)."""
    assert only(requested, pdu(3, bytes([0, 2, 3, 2]))) == Rejected(2, 3, 2)
    assert requested.abort() == b""


@pytest.mark.parametrize(("data", "is_tls"), [(b"\x15\x03\x01\0\x02\x02\x28", True), (b"", False)])
def test_a_tls_alert_is_recognized(requested: Protocol, data: bytes, *, is_tls: bool) -> None:
    """A server with TLS only responds with an alert (RFC 8446 6)."""
    assert [*requested.receive(data), *requested.receive(b"")] == [Ended()]
    assert requested.speaks_tls is is_tls
