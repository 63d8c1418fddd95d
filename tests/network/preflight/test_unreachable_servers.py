"""A server that provides no association fails the check, and the error has advice."""

import socket
import ssl

import pytest
import trustme

from fw_gear_dicom_send.network.preflight import REJECTION_POLICY, check
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.checks import check_failure
from tests.support.clock import Clock
from tests.support.fault_scp import FaultSCP, Peer, Script, serve
from tests.support.peers import peer_of
from tests.support.scripted import (
    AT_LIMIT,
    UNKNOWN_CALLED_AE,
    UNKNOWN_CALLING_AE,
    Rejection,
    abort_on_request,
    accept_with_nonsense,
    answer_on_request,
    close_on_request,
    rejecting,
    reset_on_request,
)
from tests.support.waiting import LONG_TIMEOUTS

CHECK_TITLES = f": {wording.CHECK_TITLES}"
CHECK_PORT = f": {wording.CHECK_DICOM}"
CHECK_REACH = f": {wording.CHECK_ADDRESS}"
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
TRY_LATER = f": {wording.CHECK_LIMIT}"


def test_a_refused_connection() -> None:
    """A refused connection names host and port and possible causes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reason = f"{wording.CANNOT_CONNECT} 127.0.0.1 port {port}: Connection refused"
    assert check_failure(PeerAE("127.0.0.1", port, "A", "B")) == reason + CHECK_REACH


def test_a_connection_that_times_out() -> None:
    """A connection to a host that drops all packets times out."""
    with FaultSCP(Peer.stall) as server:
        message = check_failure(peer_of(server), timeouts=replace(LONG_TIMEOUTS, associate=0.3))
    assert message == wording.NO_VALID_ANSWER + CHECK_PORT


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(answer_on_request(HTTP), id="greet_as_http"),
        close_on_request,
        reset_on_request,
        accept_with_nonsense,
        abort_on_request,
    ],
)
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_does_not_speak_dicom(script: Script) -> None:
    """A server without a DICOM response gets one request, and the error says so."""
    with FaultSCP(script) as server:
        message = check_failure(peer_of(server))
        assert server.connections == 1
    assert message == wording.NO_VALID_ANSWER + CHECK_PORT


def test_a_server_with_tls_only() -> None:
    """The error says that TLS may be required."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def shake_hands(peer: Peer) -> None:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(peer.socket, server_side=True)

    with FaultSCP(shake_hands) as server:
        message = check_failure(peer_of(server))
    assert message == wording.NO_VALID_ANSWER + CHECK_PORT


@pytest.mark.parametrize(
    ("rejection", "reason"),
    [
        (UNKNOWN_CALLING_AE, f"{wording.UNKNOWN_CALLING_AE} 'CALLING'"),
        (UNKNOWN_CALLED_AE, f"{wording.UNKNOWN_CALLED_AE} 'CALLED'"),
        ((1, 1, 2), wording.OTHER_CONTEXT_NAME),
        ((1, 1, 1), wording.NO_REASON),
    ],
)
def test_a_permanent_rejection_fails_immediately(rejection: Rejection, reason: str) -> None:
    """A permanent rejection is not retried, and the error names the wrong AE title."""
    with FaultSCP(rejecting(rejection), serve) as server:
        message = check_failure(peer_of(server))
        assert server.connections == 1
    assert message == f"{wording.REJECTED}: {reason}{CHECK_TITLES}"


def test_a_transient_rejection_is_waited_out(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that is temporarily at its limit passes later, without a log line."""
    with FaultSCP(rejecting(AT_LIMIT), rejecting(AT_LIMIT), serve) as server:
        check(peer_of(server), policy=replace(REJECTION_POLICY, clock=clock))
        assert server.connections == 3
    assert len(clock.waits) == 2
    assert caplog.messages == []


def test_a_persistent_transient_rejection_is_reported(clock: Clock) -> None:
    """After the retry time the error has the reason and specific advice."""
    with FaultSCP(rejecting(AT_LIMIT)) as server:
        message = check_failure(peer_of(server), policy=replace(REJECTION_POLICY, clock=clock))
        assert server.connections > 1
    assert sum(clock.waits) == pytest.approx(10, abs=0.01)
    assert message == f"{wording.REJECTED}: {wording.LIMIT_REACHED}{TRY_LATER}"


def test_a_long_wait_is_logged_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """If a rejection is waited out for longer than usual, the log has the duration."""
    with FaultSCP(rejecting(AT_LIMIT), rejecting(AT_LIMIT), serve) as server:
        check(peer_of(server), policy=RetryPolicy(max_time=300, clock=clock))
        assert server.connections == 3
    assert len(clock.waits) == 2
    assert caplog.messages == [
        (
            f"127.0.0.1 port {server.port} {wording.REJECTED}: {wording.LIMIT_REACHED}. "
            f"{wording.RETRYING} 300 s"
        )
    ]


@pytest.mark.parametrize("result", [1, 2])
@pytest.mark.parametrize("reason", [1, 2])
def test_a_congested_provider_is_retried(clock: Clock, result: int, reason: int) -> None:
    """Congestion and limits are transient, whatever the result field is (PS3.8 9.3.4)."""
    with FaultSCP(rejecting((result, 3, reason)), serve) as server:
        assert check(peer_of(server), policy=replace(REJECTION_POLICY, clock=clock))
        assert server.connections == 2
