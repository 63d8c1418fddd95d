"""Neither a server that stops reading nor a large image costs much time or memory."""

import socket
import subprocess
import sys
import threading
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest

from fw_gear_dicom_send.network.errors import AssociationError
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.associations import CONTEXTS, associate, connection_to, connections_to
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import of_source
from tests.support.pacs import StoreSCP
from tests.support.pdus import element, event_report, message, response
from tests.support.preloaded import REPOSITORY
from tests.support.scripted import accept_and_stall
from tests.support.sources import CountedSource
from tests.support.waiting import LONG_TIMEOUTS, NEVER, wait_for, without_timeout

SMALL_BUFFER = 1 << 16
MEASURE_MEMORY = """
import resource, struct, sys
from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.delivery.results import Sent

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
assert isinstance(result, Sent), result
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
scu.close()
"""


def stop_reading(peer: Peer) -> None:
    """Read no image, and use a small receive buffer."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    accept_and_stall(peer)


def test_a_server_that_stops_reading_times_out() -> None:
    """Little is read of an image that the server does not accept; it fails after the timeout."""
    source = CountedSource()
    with FaultSCP(stop_reading) as server:
        assoc = associate(server, timeouts=replace(LONG_TIMEOUTS, write=0.5))
        with connection_to(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        with (
            without_timeout(),
            pytest.raises(AssociationError, match=f"lost {wording.DURING_A_REQUEST}"),
        ):
            assoc.send_c_store(of_source(source, 1 << 30), CONTEXTS[0])
        assert 0 < source.taken < 1 << 23
        assert connections_to(server.port) == 0


def test_memory_does_not_grow_with_the_image(tmp_path: Path) -> None:
    """An image of 200 MB needs a few MB of memory."""
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
            timeout=NEVER,
        )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 60_000


def fill(connection: socket.socket) -> None:
    """Write until the system accepts not a single byte."""
    for size in (SMALL_BUFFER, 1):
        with suppress(BlockingIOError):
            while True:
                connection.send(bytes(size), socket.MSG_DONTWAIT)


def test_answers_to_reports_do_not_wait() -> None:
    """A server that does not read the answers to its reports loses its association."""
    asked = threading.Semaphore(0)

    def script(peer: Peer) -> None:
        # A fixed size: otherwise the system enlarges the buffer, and the association has space.
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        peer.accept()
        while not peer.server.closing.wait(0.01):
            if asked.acquire(blocking=False):
                peer.socket.sendall(event_report(peer.context_id))

    def is_lost_after_a_report() -> bool:
        # The system goes on moving data to the server for a while, so the first answers may fit.
        with connection_to(server) as connection:
            fill(connection)
        asked.release()
        assoc.reported(NEVER)
        return not assoc.is_usable

    with FaultSCP(script) as server:
        assoc = associate(server)
        with without_timeout():
            assert wait_for(is_lost_after_a_report)
        assoc.abort()


def test_unread_answers_have_a_limit() -> None:
    """A server that answers during an image with large datasets loses its association."""
    answers = message(response(1, 0xFF00) + element(0x0800, 1), bytes(1 << 19))

    def script(peer: Peer) -> None:
        peer.accept()
        peer.read_pdu()
        for _ in range(64):
            peer.socket.sendall(answers)
        peer.stall()

    size = 1 << 26
    with FaultSCP(script) as server, without_timeout():
        assoc = associate(server, timeouts=replace(LONG_TIMEOUTS, abort=1))
        with pytest.raises(AssociationError):
            assoc.send_c_store(of_source(BytesIO(bytes(size)), size), CONTEXTS[0])
