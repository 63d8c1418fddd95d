"""An idle association waits without work, and reacts at once."""

import socket
import threading
import time
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.network import association as upper_layer
from fw_gear_dicom_send.network import connection as transport
from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.connection import UpperLayer
from tests.support.associations import CONTEXTS, associate, open_layer
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import made_instance
from tests.support.waiting import wait_for

PATIENCE = 10.0


def test_an_idle_association_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing happens hardly anything is done: pynetdicom would look 500 times."""
    waits: list[float] = []
    wait = UpperLayer.wait

    def counted(layer: UpperLayer, connection: socket.socket | None) -> bool:
        waits.append(time.monotonic())
        return wait(layer, connection)

    monkeypatch.setattr(UpperLayer, "wait", counted)
    with FaultSCP() as server:
        assoc = associate(server)
        assoc.send_c_store(made_instance(), CONTEXTS[0])
        time.sleep(0.1)
        waits.clear()
        time.sleep(0.5)
        assert len(waits) < 10
        assoc.release()


@pytest.fixture
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without being woken, the upper layer waits for longer than the tests do."""
    monkeypatch.setattr(transport, "_TICK", 6 * PATIENCE)
    monkeypatch.setattr(upper_layer, "ABORT_TIMEOUT", 3 * PATIENCE)
    monkeypatch.setattr(upper_layer, "RELEASE_TIMEOUT", 3 * PATIENCE)


def kill(_: StorageAssociation) -> None:
    layer = open_layer()
    layer.kill_dul()
    layer.join(PATIENCE)


@pytest.mark.usefixtures("long_waits")
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
        assoc = associate(server)
        layer = open_layer()
        assert wait_for(lambda: layer._is_waiting, PATIENCE)
        begun = time.monotonic()
        end(assoc)
        assert time.monotonic() - begun < PATIENCE
        assert not layer.is_alive()
        assert wait_for(lambda: server.ends == [told], PATIENCE)


@pytest.mark.usefixtures("long_waits")
def test_an_image_wakes_an_idle_association() -> None:
    """Association, images and their responses do not wait for the next look at the queue."""
    with FaultSCP() as server:
        begun = time.monotonic()
        assoc = associate(server)
        for number in range(3):
            assert wait_for(lambda: open_layer()._is_waiting, PATIENCE)
            assert assoc.send_c_store(made_instance(number), CONTEXTS[0]).status == 0
        assoc.release()
        assert time.monotonic() - begun < PATIENCE


@pytest.mark.usefixtures("long_waits")
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
        assoc = associate(server)
        assert wait_for(lambda: open_layer()._is_waiting, PATIENCE)
        go_on.set()
        assert wait_for(lambda: not assoc.is_usable, PATIENCE)
        assoc.release()
