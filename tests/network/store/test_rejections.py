"""A rejected association is retried only if that may help."""

import pytest

from fw_gear_dicom_send.network.store import RESEND_POLICY
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.clock import Clock
from tests.support.fault_scp import FaultSCP, serve
from tests.support.instances import made_instance
from tests.support.pacs import PythonSCP
from tests.support.results import SENT, outcome, outcomes
from tests.support.scripted import AT_LIMIT, CONGESTED, UNKNOWN_CALLED_AE, Rejection, rejecting
from tests.support.sending import SCUFactory, fail_to_send, send_all


def test_a_called_title_that_is_not_recognised(scu: SCUFactory) -> None:
    """If the called AE title is wrong, the reason names it."""
    server = PythonSCP(ae_title="RIGHT")
    server.ae.require_called_aet = True
    with server:
        kind, message = fail_to_send(scu(server, called_ae="WRONG"), server)
        assert len(server.associations) == 1
    assert kind is Kind.UNKNOWN_CALLED_AE
    assert message.endswith(f"{wording.REJECTED}: {wording.UNKNOWN_CALLED_AE} 'WRONG'")


def test_a_calling_title_that_is_not_recognised(scu: SCUFactory) -> None:
    """If the calling AE title is wrong, the reason names it."""
    server = PythonSCP()
    server.ae.require_calling_aet = ["SOMEONE"]
    with server:
        kind, message = fail_to_send(scu(server, calling_ae="ELSE"), server)
        assert len(server.associations) == 1
    assert kind is Kind.UNKNOWN_CALLING_AE
    assert message.endswith(f"{wording.REJECTED}: {wording.UNKNOWN_CALLING_AE} 'ELSE'")


@pytest.mark.parametrize(
    ("rejection", "reason"),
    [
        (AT_LIMIT, wording.LIMIT_REACHED),
        (CONGESTED, wording.CONGESTED),
        ((1, 1, 2), wording.OTHER_CONTEXT_NAME),
        ((1, 2, 2), "it does not support this version of the protocol"),
        ((1, 1, 1), wording.NO_REASON),
        ((1, 2, 1), wording.NO_REASON),
    ],
)
def test_a_rejection_has_its_reason(scu: SCUFactory, rejection: Rejection, reason: str) -> None:
    """Each reason of the standard has its own text (PS3.8 9.3.4)."""
    with FaultSCP(rejecting(rejection)) as server:
        kind, message = fail_to_send(scu(server, retry_time=0), server)
        assert server.connections == 1
    assert kind is Kind.REJECTED
    assert message.endswith(f"{wording.REJECTED}: {reason}")


def test_a_transient_rejection_is_waited_out(scu: SCUFactory, clock: Clock) -> None:
    """A server that is temporarily at its limit receives the image later."""
    with FaultSCP(rejecting(AT_LIMIT), rejecting(AT_LIMIT), serve) as server:
        sender = scu(server, policy=replace(RESEND_POLICY, clock=clock))
        assert outcomes(send_all(sender, [made_instance(1)])) == [SENT]
        assert server.connections == 3
    assert len(clock.waits) == 2


def test_a_permanent_rejection_is_not_retried(scu: SCUFactory) -> None:
    """A server that does not know an AE title gets one request."""
    with FaultSCP(rejecting(UNKNOWN_CALLED_AE), serve) as server:
        (result,) = send_all(scu(server), [made_instance(1)])
        assert server.connections == 1
    assert outcome(result)[:2] == (False, Kind.UNKNOWN_CALLED_AE)
