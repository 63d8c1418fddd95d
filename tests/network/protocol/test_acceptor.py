"""An acceptor handles any bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fw_gear_dicom_send.network.acceptor import Acceptor
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.pdus import Message
from fw_gear_dicom_send.network.protocol import Ended, Protocol
from fw_gear_dicom_send.values import replace
from tests.support.drawn_datasets import bounded
from tests.support.fuzzing import Damage, damaged, many_damages
from tests.support.pdus import element, event_report, item, message, pdu
from tests.support.reporting import PACS

COMMITMENT = "1.2.840.10008.1.20.1"
REQUEST = Protocol(
    replace(PACS, called_ae="SENDER", calling_ae="PACS"), [Context(COMMITMENT, "1.2.840.10008.1.2")]
).request()


@bounded
@given(changes=many_damages, size=st.integers(1, 400), tail=st.binary(max_size=200))
def test_any_bytes_are_answered_or_rejected(changes: list[Damage], size: int, tail: bytes) -> None:
    """Any bytes, in any pieces, raise nothing."""
    data = damaged(REQUEST, changes) + tail
    acceptor = Acceptor(PACS)
    for start in range(0, len(data), size):
        list(acceptor.receive(data[start : start + size]))


ROLE = len(COMMITMENT).to_bytes(2, "big") + COMMITMENT.encode() + b"\0\1"


OTHERS = {
    "C-ECHO": message(element(0x0002, COMMITMENT.encode()) + element(0x0100, 0x0030)),
    "another context": event_report(3),
    "another SOP class": event_report(1).replace(COMMITMENT.encode(), b"1.2.840.10008.1.20.2"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_only_reports_are_accepted(other: str) -> None:
    """Any other message ends the association."""
    acceptor = Acceptor(PACS)
    list(acceptor.receive(REQUEST))
    assert list(acceptor.receive(OTHERS[other])) == [Ended()]


@pytest.mark.parametrize(("size", "reports"), [(8, 16), (600_000, 13)])
def test_reports_without_end_end(size: int, reports: int) -> None:
    """The number of reports over one association is limited, and their bytes are."""
    acceptor = Acceptor(PACS)
    list(acceptor.receive(REQUEST))
    events = list(acceptor.receive(event_report(1, bytes(size)) * 20))
    assert [type(event) for event in events] == [Message] * reports + [Ended]


FLOODS = {
    "contexts": item(0x20, b"\1") * 200_000,
    "roles": item(0x50, item(0x54, ROLE) * 2_300),
    "long roles": item(0x50, item(0x54, b"\xff\xf0" + COMMITMENT.encode() + bytes(65_000))),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_items_has_a_short_response(flood: str) -> None:
    """An association request with any number of items has a single short response."""
    (event,) = Acceptor(PACS).receive(pdu(1, REQUEST[6:] + FLOODS[flood]))
    assert isinstance(event, Ended) or len(event.answer) < 1000
