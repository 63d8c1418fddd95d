"""Connections: their options, their limits, and what is relied on in pynetdicom."""

import io
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_ABORT
from pynetdicom.transport import AssociationSocket

from fw_gear_dicom_send.network import association as upper_layer
from fw_gear_dicom_send.network import connection as transport
from fw_gear_dicom_send.network.association import AssociationError, StorageAssociation
from fw_gear_dicom_send.network.connection import (
    ConnectionLostError,
    DataPDUs,
    LowLatencySocket,
    UpperLayer,
)
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.types import PeerAE
from tests.support.fault_scp import A_RELEASE_RP, MAXIMUM_LENGTH, FaultSCP, Peer
from tests.support.instances import made_instance, of_source
from tests.support.pacs import StoreSCP

CT = "1.2.840.10008.5.1.4.1.1.2"
CONTEXTS = (Context(CT, "1.2.840.10008.1.2.1"), Context(CT, "1.2.840.10008.1.2"))
PATIENCE = 10.0
REPOSITORY = Path(__file__).parents[2]
SMALL_BUFFER = 1 << 16

MEASURE_MEMORY = """
import resource, struct, sys
from fw_gear_dicom_send.models import EncodedDataset, PeerAE, SOPInstance, Span
from fw_gear_dicom_send.network.store import StorageSCU

port, path, size = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
scu = StorageSCU(PeerAE("127.0.0.1", port, "A", "B"), lambda *_: None)
ct, explicit = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"

def send(size):
    pixel_data = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, size)
    dataset = EncodedDataset(open(path, "rb"), (pixel_data, Span(0, size)))
    return scu.send(SOPInstance(ct, "1.2.3", explicit, dataset))

send(1000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = send(size)
assert result.sent, result.remark
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
scu.close()
"""


def associate(server: FaultSCP | StoreSCP, host: str | None = None) -> StorageAssociation:
    host = host or getattr(server, "host", "127.0.0.1")
    return opened(PeerAE(host, server.port, "CALLED", "CALLING"))


def opened(peer: PeerAE) -> StorageAssociation:
    assoc = StorageAssociation(peer, CONTEXTS)
    assoc.open()
    return assoc


def open_layer() -> UpperLayer:
    """Return the upper layer of the one association there is."""
    (layer,) = (thread for thread in threading.enumerate() if isinstance(thread, UpperLayer))
    return layer


def open_connection() -> socket.socket:
    """Return the connection of the one association there is."""
    end = open_layer().socket
    assert end
    assert end.socket
    return end.socket


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


# Options of the connection


def test_small_writes_are_not_delayed_and_dead_peers_are_noticed() -> None:
    """TCP_NODELAY and SO_KEEPALIVE are on, and no read or write waits for ever."""
    with FaultSCP() as server:
        assoc = associate(server)
        connection = open_connection()
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connection.gettimeout() == transport.WRITE_TIMEOUT
        assoc.release()


@pytest.mark.skipif(sys.platform != "linux", reason="acknowledges at once on Linux only")
def test_a_server_with_nagles_algorithm_does_not_stall() -> None:
    """A response in two small writes does not wait for our delayed acknowledgement.

    Each stall would cost 40 ms.
    """

    def script(peer: Peer) -> None:
        peer.accept()
        while True:
            response = peer.response(peer.read_image())
            peer.socket.sendall(response[:6])
            peer.socket.sendall(response[6:])

    with FaultSCP(script) as server:
        assoc = associate(server)
        begun = time.monotonic()
        for number in range(30):
            assoc.send_c_store(made_instance(number, pixels=128), CONTEXTS[0])
        assert time.monotonic() - begun < 30 * 0.020
        assoc.release()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_versions_of_ip(host: str) -> None:
    """A server is reached at an IPv4 and at an IPv6 address."""
    with FaultSCP(host=host) as server:
        assoc = associate(server)
        assert assoc.send_c_store(made_instance(), CONTEXTS[0]).status == 0
        assoc.release()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_name_with_addresses_of_both_versions(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the addresses of a name the one is used where the server listens."""
    resolve = socket.getaddrinfo

    def both(name: str, *args: object, **kwargs: object) -> object:
        hosts = ("::1", "127.0.0.1") if name == "both.example" else (name,)
        return [item for one in hosts for item in resolve(one, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with FaultSCP(host=host) as server:
        assoc = associate(server, "both.example")
        assert assoc.accepted == frozenset(CONTEXTS)
        assoc.release()


def test_an_error_that_is_none_of_the_network_does_not_wait_for_ever() -> None:
    """A host name that cannot be encoded fails like one that cannot be reached."""
    with pytest.raises(AssociationError):
        opened(PeerAE("a..b", 104, "CALLED", "CALLING"))


def test_an_ended_association_leaves_no_connection_open() -> None:
    """The connection is closed by the end of the association, however it ends."""
    with FaultSCP() as server:
        for end in (StorageAssociation.release, StorageAssociation.abort):
            assoc = associate(server)
            connection = open_connection()
            end(assoc)
            assert connection.fileno() == -1


def test_a_connection_that_the_server_closed_is_closed_here() -> None:
    """What the server has closed does not stay half open."""

    def script(peer: Peer) -> None:
        peer.accept()
        go_on.wait(PATIENCE)

    go_on = threading.Event()
    with FaultSCP(script) as server:
        assoc = associate(server)
        connection = open_connection()
        go_on.set()
        assert wait_for(lambda: connection.fileno() == -1)
        assert not assoc.is_usable


# Waiting


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
        assert wait_for(lambda: layer._is_waiting)
        begun = time.monotonic()
        end(assoc)
        assert time.monotonic() - begun < PATIENCE
        assert not layer.is_alive()
        assert wait_for(lambda: server.ends == [told])


@pytest.mark.usefixtures("long_waits")
def test_an_image_wakes_an_idle_association() -> None:
    """Association, images and their responses do not wait for the next look at the queue."""
    with FaultSCP() as server:
        begun = time.monotonic()
        assoc = associate(server)
        for number in range(3):
            assert wait_for(lambda: open_layer()._is_waiting)
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
        assert wait_for(lambda: open_layer()._is_waiting)
        go_on.set()
        assert wait_for(lambda: not assoc.is_usable)
        assoc.release()


# Data


class Counting(io.RawIOBase):
    """Numbers of 4 bytes, one after the other, so that each part of the data is another."""

    def __init__(self) -> None:
        self._at = 0

    def seek(self, offset: int, _whence: int = 0) -> int:
        """Go to a position."""
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """Return the numbers from the position on."""
        first, skipped = divmod(self._at, 4)
        numbers = range(first, (self._at + size) // 4 + 1)
        self._at += size
        return b"".join(n.to_bytes(4, "big") for n in numbers)[skipped:][:size]


def test_data_arrives_whole_and_in_order_in_partial_writes() -> None:
    """A connection that takes a few KB at a time gets all of it, each byte once."""
    size = 2_000_002

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        peer.accept(1 << 18)
        peer.answer(peer.read_image())
        peer.read_to_end()

    with FaultSCP(script) as server:
        assoc = associate(server)
        open_connection().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        assert assoc.send_c_store(of_source(Counting(), size), CONTEXTS[0]).status == 0
        assoc.release()
        (image,) = server.images
    assert image.dataset == Counting().read(size)


def test_a_server_that_reads_bit_by_bit_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One write may take longer than the timeout, as long as some of it is read now and then."""
    monkeypatch.setattr(transport, "WRITE_TIMEOUT", 1.0)
    pdus = 50

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER // 4)
        peer.accept()
        command = peer.read_command()
        for _ in range(pdus):
            peer.server.closing.wait(0.1)
            peer.read_pdu()
        peer.answer(command)
        peer.read_to_end()

    with FaultSCP(script) as server:
        assoc = associate(server)
        open_connection().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER // 4)
        image = of_source(CountedSource(), pdus * (MAXIMUM_LENGTH - 6))
        assert assoc.send_c_store(image, CONTEXTS[0]).status == 0
        assoc.release()


def test_an_abort_in_the_middle_of_an_image_is_heard() -> None:
    """A server that aborts is not sent the rest of the image, though it goes on reading."""

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        peer.accept(1 << 18)
        peer.read_pdu()
        assert wait_for(open_layer().data.full)
        peer.abort()
        peer.read_to_end()

    source = CountedSource()
    with FaultSCP(script) as server:
        assoc = associate(server)
        open_connection().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        with pytest.raises(AssociationError, match="lost in the middle of a request"):
            assoc.send_c_store(of_source(source, 1 << 28), CONTEXTS[0])
        assert wait_for(lambda: bool(server.ends))
    assert source.taken < 1 << 22


def test_a_status_before_the_end_of_the_image_is_its_answer() -> None:
    """A server that refuses an image early gets the rest of it, and the next image as well."""

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        peer.accept(1 << 18)
        command = peer.read_command()
        peer.answer(command, 0xA700)
        peer.read_image(command)
        peer.answer(peer.read_image())
        peer.read_to_end()

    with FaultSCP(script) as server:
        assoc = associate(server)
        open_connection().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        big = of_source(CountedSource(), 1 << 23)
        assert assoc.send_c_store(big, CONTEXTS[0]).status == 0xA700
        assert assoc.is_usable
        assert assoc.send_c_store(made_instance(), CONTEXTS[0]).status == 0
        assoc.release()
        assert len(server.images[0].dataset) == 1 << 23
        assert server.ends == ["released"]


def test_data_for_an_association_that_has_ended_is_dropped() -> None:
    """Once the server wants to leave it gets the answer to that, and no data before it."""
    answers: list[int] = []

    def script(peer: Peer) -> None:
        peer.accept()
        peer.request_release()
        answers.append(peer.read_any().type)

    with FaultSCP(script) as server:
        assoc = associate(server)
        layer = open_layer()
        assert wait_for(lambda: not assoc.is_usable)
        for _ in range(3):
            layer.data.put(DataPDUs(b"\x04\0\0\0\0\x06\0\0\0\x02\x01\x02"))
        assoc.release()
        assert wait_for(lambda: bool(answers))
    assert answers == [A_RELEASE_RP]
    assert not layer.is_alive()


# Bounds


class CountedSource(io.RawIOBase):
    """Endless zeros, which counts how many of them were read."""

    taken = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought."""
        return True

    def seek(self, offset: int, _whence: int = 0) -> int:
        """Take any position."""
        return offset

    def read(self, size: int = -1) -> bytes:
        """Return zeros."""
        self.taken += size
        return bytes(size)


def accept_and_stand_still(peer: Peer) -> None:
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    peer.accept()
    peer.stand_still()


def test_a_server_that_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is read of an image that the server does not take, which fails after the timeout."""
    monkeypatch.setattr(transport, "WRITE_TIMEOUT", 0.5)
    source = CountedSource()
    with FaultSCP(accept_and_stand_still) as server:
        assoc = associate(server)
        open_connection().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        begun = time.monotonic()
        with pytest.raises(AssociationError, match="lost in the middle of a request"):
            assoc.send_c_store(of_source(source, 1 << 30), CONTEXTS[0])
        assert time.monotonic() - begun < PATIENCE
        assert 0 < source.taken < 1 << 23
    assert not any(isinstance(thread, UpperLayer) for thread in threading.enumerate())


def test_memory_does_not_grow_with_the_image(tmp_path: Path) -> None:
    """An image of 200 MB takes a few MB of memory."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    with StoreSCP("--ignore") as server:
        arguments = [str(server.port), str(path), "200000000"]
        done = subprocess.run(
            [sys.executable, "-c", MEASURE_MEMORY, *arguments],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60_000


# What is relied on in pynetdicom


@pytest.fixture
def raw_association() -> Association:
    """An association of pynetdicom that never was requested."""
    from pynetdicom.ae import ApplicationEntity

    return Association(ApplicationEntity(), "requestor")


def test_data_for_an_upper_layer_that_has_ended_is_refused(raw_association: Association) -> None:
    """Where no thread takes data from the queue, adding some fails and does not wait."""
    layer = UpperLayer(raw_association)
    raw_association.dul = layer
    with pytest.raises(ConnectionLostError):
        layer.to_provider_queue.put(DataPDUs(bytes(12)))


def test_an_abort_passes_a_full_queue(raw_association: Association) -> None:
    """All but data is queued at once, so that an abort never waits for a stuck server."""
    layer = UpperLayer(raw_association)
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
        time.sleep(0.2)
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
    end = LowLatencySocket(raw_association)
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
    layer = UpperLayer(raw_association)
    raw_association.dul = layer
    layer.to_provider_queue.put(A_ABORT())
    assert layer._process_recv_primitive()
    assert layer.event_queue.get(block=False) == "Evt15"
    assert layer.to_provider_queue.qsize() == 1


def test_pynetdicom_can_wait_and_be_woken(raw_association: Association) -> None:
    """What makes its upper layer wait for events is where it was, and asked for as it was."""
    layer = UpperLayer(raw_association)
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
    layer = UpperLayer(raw_association)
    raw_association.dul = layer
    end = LowLatencySocket(raw_association)
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
    assert UpperLayer(raw_association).daemon
