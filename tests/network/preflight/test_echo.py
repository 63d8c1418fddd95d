"""A server that does not answer the C-ECHO fails the check."""

import pytest

from fw_gear_dicom_send.network import association as upper_layer
from tests.support.checks import check_failure
from tests.support.fault_scp import FaultSCP, Script
from tests.support.peers import peer_of
from tests.support.scripted import (
    abort_in_first_message,
    accept_and_stand_still,
    close_in_first_message,
)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (accept_and_stand_still, "the server gave no answer in 0 s"),
        (close_in_first_message, "the connection was lost before the answer to a request"),
        (abort_in_first_message, "the connection was lost before the answer to a request"),
    ],
)
def test_an_echo_that_is_not_answered(
    monkeypatch: pytest.MonkeyPatch, script: Script, reason: str
) -> None:
    """A server that takes the association and answers nothing is no server to send to."""
    monkeypatch.setattr(upper_layer, "ECHO_TIMEOUT", 0.3)
    monkeypatch.setattr(upper_layer, "ABORT_TIMEOUT", 0.3)
    with FaultSCP(script) as server:
        told = check_failure(peer_of(server))
    assert told.startswith(reason + ": check ")
