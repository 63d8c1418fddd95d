"""An acceptor takes any bytes."""

from hypothesis import given
from hypothesis import strategies as st

from fw_gear_dicom_send.network.acceptor import Acceptor
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.protocol import Protocol
from fw_gear_dicom_send.network.types import PeerAE
from tests.support.drawn_datasets import bounded
from tests.support.fuzzing import Damage, damaged, many_damages

COMMITMENT = "1.2.840.10008.1.20.1"
REQUEST = Protocol(
    PeerAE("127.0.0.1", 104, "SENDER", "PACS"), [Context(COMMITMENT, "1.2.840.10008.1.2")]
).request()


@bounded
@given(changes=many_damages, size=st.integers(1, 400), tail=st.binary(max_size=200))
def test_any_bytes_are_answered_or_refused(changes: list[Damage], size: int, tail: bytes) -> None:
    """Whatever comes, in whatever pieces, nothing is raised."""
    data = damaged(REQUEST, changes) + tail
    acceptor = Acceptor("SENDER", "PACS")
    for start in range(0, len(data), size):
        for report in acceptor.receive(data[start : start + size]):
            acceptor.answer(report, 0)
