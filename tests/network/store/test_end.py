"""Associations end with the run, whether it is complete, cancelled or aborted."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import Signals
from types import FrameType

import pytest

from fw_gear_dicom_send.delivery.results import Sent
from fw_gear_dicom_send.errors import CancelledError
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.values import replace
from tests.support.associations import connections_to, opened
from tests.support.fault_scp import FaultSCP, Peer, Script
from tests.support.instances import big_instance, made_instance
from tests.support.peers import peer_of
from tests.support.scripted import accept_and_stall, answering_one
from tests.support.sending import SCUFactory, send_all
from tests.support.waiting import LONG_TIMEOUTS, wait_for, without_timeout

SHORT = 0.3


def test_close_releases_the_association(scu: SCUFactory) -> None:
    """At the end the association is released; closing again does nothing."""
    with FaultSCP() as server:
        sender = scu(server)
        send_all(sender, [made_instance()])
        sender.close()
        sender.abort()
        assert server.ends == ["released"]


def test_abort_aborts_the_association(scu: SCUFactory) -> None:
    """An interrupted run aborts the association; aborting again does nothing."""
    with FaultSCP() as server:
        sender = scu(server)
        sender.send(made_instance())
        sender.abort()
        sender.abort()
        assert wait_for(lambda: server.ends == ["aborted"])


def test_ending_an_association_again_does_nothing() -> None:
    """An ended association can be aborted and released without effect."""
    with FaultSCP() as server:
        assoc = opened(peer_of(server))
        assoc.abort()
        with without_timeout():
            assoc.abort()
            assoc.release()
        assert not assoc.is_usable
        assert wait_for(lambda: server.ends == ["aborted"])


@pytest.mark.parametrize("end", [StorageSCU.close, StorageSCU.abort])
def test_the_end_does_not_wait_for_a_silent_server(
    scu: SCUFactory, end: Callable[[StorageSCU], None]
) -> None:
    """If a server neither answers a release nor reads an abort, the wait ends after the timeout."""
    timeouts = replace(LONG_TIMEOUTS, release=SHORT, abort=SHORT)
    with FaultSCP(answering_one(Peer.stall)) as server:
        sender = scu(server, timeouts=timeouts)
        assert isinstance(sender.send(made_instance()), Sent)
        with without_timeout():
            end(sender)
        assert not server.ends


@contextmanager
def cancelled_after(seconds: float) -> Iterator[None]:
    """Let a signal raise CancelledError in the main thread, as at the end of a job."""

    def cancel(_signal: int, _frame: FrameType | None) -> None:
        raise CancelledError(Signals.SIGTERM)

    before = signal.signal(signal.SIGALRM, cancel)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("script", [Peer.stall, accept_and_stall])
@pytest.mark.parametrize("size", [1000, 64_000_000])
def test_a_cancelled_job_leaves_its_server_immediately(
    scu: SCUFactory, script: Script, size: int
) -> None:
    """A signal ends the wait for a server that does not respond or does not read."""
    with FaultSCP(script) as server:
        sender = scu(server, timeouts=replace(LONG_TIMEOUTS, abort=SHORT))
        image = big_instance(size)
        with without_timeout():
            with pytest.raises(CancelledError), cancelled_after(0.5):
                sender.send(image)
            sender.abort()
        assert wait_for(lambda: connections_to(server.port) == 0)
