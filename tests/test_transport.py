"""Connections: their options, their limits, and what is relied on in pynetdicom."""

import io
import queue
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AssociationSocket

from fw_gear_dicom_send import transport
from fw_gear_dicom_send.models import PeerAE
from fw_gear_dicom_send.negotiation import Context
from fw_gear_dicom_send.transport import ConnectionLostError, LowLatencySocket, UpperLayer
from fw_gear_dicom_send.upper_layer import AssociationError, StorageAssociation
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import made_instance, of_source
from tests.support.pacs import StoreSCP

CT = "1.2.840.10008.5.1.4.1.1.2"
CONTEXTS = (Context(CT, "1.2.840.10008.1.2.1"), Context(CT, "1.2.840.10008.1.2"))
PATIENCE = 10.0
REPOSITORY = Path(__file__).parents[1]
SMALL_BUFFER = 1 << 16

MEASURE_MEMORY = """
import resource, struct, sys
from fw_gear_dicom_send.models import EncodedDataset, PeerAE, SOPInstance, Span
from fw_gear_dicom_send.storage_scu import StorageSCU

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


def open_connection() -> socket.socket:
    """Return the connection of the one association there is."""
    (thread,) = (t for t in threading.enumerate() if isinstance(t, UpperLayer))
    assert thread.socket
    assert thread.socket.socket
    return thread.socket.socket


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
        deadline = time.monotonic() + PATIENCE
        while connection.fileno() != -1 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert connection.fileno() == -1
        assert not assoc.is_usable


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
        with pytest.raises(AssociationError, match="lost in the middle of an image"):
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


def fragment() -> P_DATA:
    pdata = P_DATA()
    pdata.presentation_data_value_list.append((1, b"\x00" + bytes(10)))
    return pdata


def test_data_for_an_upper_layer_that_has_ended_is_refused(raw_association: Association) -> None:
    """Where no thread takes data from the queue, adding some fails and does not wait."""
    layer = UpperLayer(raw_association)
    raw_association.dul = layer
    with pytest.raises(ConnectionLostError):
        layer.to_provider_queue.put(fragment())


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
        deadline = time.monotonic() + PATIENCE
        while messages.empty() and time.monotonic() < deadline:
            time.sleep(0.001)
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
    layer.to_provider_queue._put(fragment())
    assert layer._process_recv_primitive()
    assert layer.event_queue.get(block=False) == "Evt9"
    assert layer.to_provider_queue.qsize() == 1


def test_the_upper_layers_thread_does_not_keep_the_process_alive(
    raw_association: Association,
) -> None:
    """Should it ever be left behind, the process ends nevertheless."""
    assert UpperLayer(raw_association).daemon
