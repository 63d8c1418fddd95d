"""A server that does not answer C-ECHO fails the check."""

import pytest

from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.checks import check_failure
from tests.support.fault_scp import FaultSCP, Script
from tests.support.peers import peer_of
from tests.support.scripted import (
    abort_in_first_message,
    accept_and_stall,
    close_in_first_message,
)
from tests.support.waiting import LONG_TIMEOUTS, NEVER


@pytest.mark.parametrize(
    ("script", "echo_timeout", "reason"),
    [
        (accept_and_stall, 0.3, f"{wording.NO_ANSWER_WITHIN} 0 s"),
        (close_in_first_message, NEVER, f"{wording.CONNECTION_LOST} {wording.BEFORE_THE_ANSWER}"),
        (abort_in_first_message, NEVER, f"{wording.CONNECTION_LOST} {wording.BEFORE_THE_ANSWER}"),
    ],
)
def test_an_echo_that_is_not_answered(script: Script, echo_timeout: float, reason: str) -> None:
    """A server that accepts the association and is then silent fails the check."""
    timeouts = replace(LONG_TIMEOUTS, echo=echo_timeout, abort=0.3)
    with FaultSCP(script) as server:
        message = check_failure(peer_of(server), timeouts=timeouts)
    assert message.startswith(reason + ": check ")
