"""Any bytes of a peer become events, and never an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fw_gear_dicom_send.network.acceptor import Acceptor
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.pdus import Message
from fw_gear_dicom_send.network.protocol import Ended, Protocol
from tests.network.test_fuzz_servers import messages, pdus
from tests.support.fuzzing import Fuzz, damaged, in_rounds, many_damages
from tests.support.pdus import accepted_context, associate_ac, message, response, user_information

from .conftest import CT, EXPLICIT, IMPLICIT, PEER

ACCEPTANCE = associate_ac(accepted_context(1, EXPLICIT.encode()), user_information())
good = st.sampled_from([ACCEPTANCE, message(response(1)), message(response(1, 0xFF00), bytes(20))])
streams = st.lists(
    good | pdus() | messages() | st.builds(damaged, good, many_damages), max_size=6
).map(b"".join)


@pytest.mark.slow
def test_any_bytes_to_the_requestor(fuzz: Fuzz) -> None:
    """Nothing follows the end of the association, and an incomplete PDU is bounded."""

    @in_rounds
    @given(streams, st.integers(1, 400), st.sampled_from(["request", "accepted", "release"]))
    def check(data: bytes, size: int, state: str) -> None:
        protocol = Protocol(PEER, (Context(CT, EXPLICIT), Context(CT, IMPLICIT)))
        protocol.request()
        if state != "request":
            list(protocol.receive(ACCEPTANCE))
        if state == "release":
            protocol.release()
        events: list[object] = []
        for start in range(0, len(data), size):
            events += protocol.receive(data[start : start + size])
        events += protocol.receive(b"")
        assert protocol.is_over
        assert not any(isinstance(event, Ended) for event in events[:-1])

    fuzz(check)


@pytest.mark.slow
def test_any_bytes_to_the_acceptor(fuzz: Fuzz) -> None:
    """It accepts only reports, and its answers are bounded."""

    @in_rounds
    @given(streams, st.integers(1, 400))
    def check(data: bytes, size: int) -> None:
        acceptor = Acceptor(PEER)
        events: list[object] = []
        for start in range(0, len(data), size):
            events += acceptor.receive(data[start : start + size])
        assert sum(isinstance(event, Message) for event in events) <= 16

    fuzz(check)
