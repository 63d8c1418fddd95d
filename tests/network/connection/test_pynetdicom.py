"""Of pynetdicom's threads the upper layer's alone runs, and it holds nothing up."""

import threading

import pytest
from pynetdicom.association import Association

from fw_gear_dicom_send.network.timeouts import DEFAULT_TIMEOUTS
from fw_gear_dicom_send.network.upper_layer import ConnectionLostError, DataPDUs, UpperLayer
from tests.support.associations import CONTEXTS, associate
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import made_instance
from tests.support.waiting import wait_for


@pytest.fixture
def raw_association() -> Association:
    """An association of pynetdicom that never was requested."""
    from pynetdicom.ae import ApplicationEntity

    return Association(ApplicationEntity(), "requestor")


def test_data_for_an_upper_layer_that_has_ended_is_refused(raw_association: Association) -> None:
    """Where no thread takes data from the queue, adding some fails and does not wait."""
    layer = UpperLayer(raw_association, DEFAULT_TIMEOUTS)
    raw_association.dul = layer
    with pytest.raises(ConnectionLostError):
        layer.to_provider_queue.put(DataPDUs(bytes(12)))


def test_an_abort_passes_a_full_queue(raw_association: Association) -> None:
    """All but data is queued at once, so that an abort never waits for a stuck server."""
    layer = UpperLayer(raw_association, DEFAULT_TIMEOUTS)
    for number in range(100):
        layer.to_provider_queue.put(number)
    assert layer.to_provider_queue.get(block=False) == 0
    assert layer.to_provider_queue.queue[0] == 1
    assert layer.to_provider_queue.qsize() == 99


def test_pynetdicoms_reactor_does_not_run() -> None:
    """A request starts the upper layer's thread alone: nobody else takes responses."""

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        peer.socket.sendall(peer.response(image) * 2)
        peer.read_to_end()

    with FaultSCP(script) as server:
        before = set(threading.enumerate())
        assoc = associate(server)
        started = set(threading.enumerate()) - before
        (layer,) = (thread for thread in started if thread.name != "FaultSCP")
        assert isinstance(layer, UpperLayer)
        assoc.send_c_store(made_instance(), CONTEXTS[0])
        messages = layer.assoc.dimse.msg_queue
        assert wait_for(lambda: not messages.empty())
        assert messages.qsize() == 1
        assert not layer.assoc.is_alive()
        assoc.abort()


def test_the_upper_layers_thread_does_not_keep_the_process_alive(
    raw_association: Association,
) -> None:
    """Should it ever be left behind, the process ends nevertheless."""
    assert UpperLayer(raw_association, DEFAULT_TIMEOUTS).daemon
