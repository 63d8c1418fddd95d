"""Neither a server that stops reading nor a large image takes much time or memory."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fw_gear_dicom_send.network import connection as transport
from fw_gear_dicom_send.network.association import AssociationError
from tests.support.associations import CONTEXTS, associate, open_connection, upper_layers
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.gear import REPOSITORY
from tests.support.instances import of_source
from tests.support.pacs import StoreSCP
from tests.support.scripted import accept_and_stand_still
from tests.support.sources import CountedSource

PATIENCE = 10.0
SMALL_BUFFER = 1 << 16
MEASURE_MEMORY = """
import resource, struct, sys
from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import PeerAE

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


def stop_reading(peer: Peer) -> None:
    """Read no image, and have little room for what the gear sends of it."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    accept_and_stand_still(peer)


def test_a_server_that_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is read of an image that the server does not take, which fails after the timeout."""
    monkeypatch.setattr(transport, "WRITE_TIMEOUT", 0.5)
    source = CountedSource()
    with FaultSCP(stop_reading) as server:
        assoc = associate(server)
        open_connection().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        begun = time.monotonic()
        with pytest.raises(AssociationError, match="lost in the middle of a request"):
            assoc.send_c_store(of_source(source, 1 << 30), CONTEXTS[0])
        assert time.monotonic() - begun < PATIENCE
        assert 0 < source.taken < 1 << 23
    assert upper_layers() == []


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
