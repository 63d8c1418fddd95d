"""The parts of pynetdicom that the connection builds upon are as it expects."""

import queue
import threading

import pytest
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_ABORT
from pynetdicom.transport import AssociationSocket

from fw_gear_dicom_send.network.connection import LowLatencySocket
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


def test_pynetdicom_has_what_is_built_upon(raw_association: Association) -> None:
    """The private parts of pynetdicom that are used or replaced are where they were."""
    assert isinstance(raw_association.dul, DULServiceProvider)
    assert isinstance(raw_association.dul, threading.Thread)
    assert isinstance(raw_association.dul.to_provider_queue, queue.Queue)
    assert isinstance(raw_association.dul.to_user_queue, queue.Queue)
    assert isinstance(raw_association.dimse.msg_queue, queue.Queue)
    assert raw_association.dul.peek_next_pdu() is None
    end = LowLatencySocket(raw_association, None, DEFAULT_TIMEOUTS)
    assert isinstance(end._ready, threading.Event)
    assert end._is_connected is False
    raw_association.set_socket(end)
    assert raw_association.dul.socket is end
    assert end.provider_queue is raw_association.dul.to_provider_queue
    assert vars(AssociationSocket).keys() >= {"connect", "recv", "close", "send", "ready"}
    assert end.socket
    end.socket.close()


def test_pynetdicom_peeks_before_it_takes(raw_association: Association) -> None:
    """The upper layer looks at the head of its queue, and leaves it there for the state machine."""
    layer = UpperLayer(raw_association, DEFAULT_TIMEOUTS)
    raw_association.dul = layer
    layer.to_provider_queue.put(A_ABORT())
    assert layer._process_recv_primitive()
    assert layer.event_queue.get(block=False) == "Evt15"
    assert layer.to_provider_queue.qsize() == 1


def test_pynetdicom_can_wait_and_be_woken(raw_association: Association) -> None:
    """What makes its upper layer wait for events is where it was, and asked for as it was."""
    layer = UpperLayer(raw_association, DEFAULT_TIMEOUTS)
    raw_association.dul = layer
    replaced = {"_process_recv_primitive", "kill_dul", "stop_dul", "run_reactor"}
    assert vars(DULServiceProvider).keys() >= replaced
    assert vars(DULServiceProvider(raw_association)).keys() >= {
        "_run_loop_delay",
        "_kill_thread",
        "event_queue",
        "to_provider_queue",
        "state_machine",
    }
    assert layer.state_machine.current_state == "Sta1"
    assert not layer._process_recv_primitive()
    layer.kill_dul()
    assert layer._kill_thread
    assert layer.event_queue.empty()


@pytest.mark.parametrize("state", ["Sta1", "Sta6", "Sta13"])
def test_pynetdicom_asks_the_socket_what_there_is(
    raw_association: Association, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each turn of its upper layer asks once whether there is something to read, and so waits."""
    asked: list[str] = []
    monkeypatch.setattr(LowLatencySocket, "ready", property(lambda _: bool(asked.append(state))))
    layer = UpperLayer(raw_association, DEFAULT_TIMEOUTS)
    raw_association.dul = layer
    end = LowLatencySocket(raw_association, None, DEFAULT_TIMEOUTS)
    raw_association.set_socket(end)
    layer.state_machine.current_state = state
    layer._is_transport_event()
    assert asked == [state]
    assert end.socket
    end.socket.close()


def test_the_upper_layers_thread_does_not_keep_the_process_alive(
    raw_association: Association,
) -> None:
    """Should it ever be left behind, the process ends nevertheless."""
    assert UpperLayer(raw_association, DEFAULT_TIMEOUTS).daemon
