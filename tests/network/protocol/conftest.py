"""Protocol objects in the initial state of a test."""

import pytest

from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.protocol import Protocol
from fw_gear_dicom_send.network.types import PeerAE
from tests.support.pdus import accepted_context, associate_ac, user_information

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
PEER = PeerAE("127.0.0.1", 104, "CALLED", "CALLING")


@pytest.fixture
def requested() -> Protocol:
    """Association that was requested with two contexts."""
    protocol = Protocol(PEER, (Context(CT, EXPLICIT), Context(CT, IMPLICIT)))
    protocol.request()
    return protocol


@pytest.fixture
def established(requested: Protocol) -> Protocol:
    """Association in which context 1 was accepted."""
    answer = associate_ac(accepted_context(1, EXPLICIT.encode()), user_information())
    assert len(list(requested.receive(answer))) == 1
    return requested
