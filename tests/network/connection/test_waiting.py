"""An idle association waits without work, and reacts at once."""

import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from fw_gear_dicom_send.network.association import StorageAssociation
from tests.support.associations import CONTEXTS, associate, open_layer
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import made_instance
from tests.support.waiting import NEVER, PATIENCE, PATIENT, at_once, wait_for

LONG_WAITS = replace(PATIENT, tick=NEVER)
"""Without being woken, the upper layer waits for longer than the tests do."""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel counts the waits")
def test_an_idle_association_waits() -> None:
    """Where nothing happens hardly anything is done: pynetdicom would look 500 times.

    A busy machine lets a thread look less often, and never more.
    """
    with FaultSCP() as server:
        assoc = associate(server, timeouts=LONG_WAITS)
        assoc.send_c_store(made_instance(), CONTEXTS[0])
        assert wait_for(lambda: open_layer().is_waiting)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
        time.sleep(0.5)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before < 100
        assoc.release()


def kill(_: StorageAssociation) -> None:
    layer = open_layer()
    layer.kill_dul()
    layer.join(PATIENCE)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (StorageAssociation.release, "released"),
        (StorageAssociation.abort, "aborted"),
        (kill, "closed"),
    ],
)
def test_an_idle_association_ends_at_once(
    end: Callable[[StorageAssociation], None], told: str
) -> None:
    """A release, an abort and the thread's end do not wait for the next look at the queue."""
    with FaultSCP() as server:
        assoc = associate(server, timeouts=LONG_WAITS)
        layer = open_layer()
        assert wait_for(lambda: layer.is_waiting)
        with at_once():
            end(assoc)
        assert not layer.is_alive()
        assert wait_for(lambda: server.ends == [told])


def test_an_image_wakes_an_idle_association() -> None:
    """Association, images and their responses do not wait for the next look at the queue."""
    with FaultSCP() as server, at_once():
        assoc = associate(server, timeouts=LONG_WAITS)
        for number in range(3):
            assert wait_for(lambda: open_layer().is_waiting)
            assert assoc.send_c_store(made_instance(number), CONTEXTS[0]).status == 0
        assoc.release()


@pytest.mark.parametrize("leave", [Peer.close, Peer.abort, Peer.request_release])
def test_a_server_that_leaves_is_noticed_at_once(leave: Callable[[Peer], None]) -> None:
    """What the server does ends the wait as well."""

    def script(peer: Peer) -> None:
        peer.accept()
        go_on.wait(PATIENCE)
        leave(peer)
        peer.read_to_end()

    go_on = threading.Event()
    with FaultSCP(script) as server:
        assoc = associate(server, timeouts=LONG_WAITS)
        assert wait_for(lambda: open_layer().is_waiting)
        go_on.set()
        assert wait_for(lambda: not assoc.is_usable)
        assoc.release()
