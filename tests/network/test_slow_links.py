"""A link that is slow is no fault, however large the image."""

import io
import socket
import time
from typing import Any

import pytest

from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.network import association as upper_layer
from fw_gear_dicom_send.network import connection as transport
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import StoreResult
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import of_source
from tests.support.peers import peer_of

TIMEOUT = 0.4
READ = 16_384
PAUSE = 0.01


class SlowReader:
    """A socket from which little is read at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def recv(self, size: int) -> bytes:
        """Read some, after a pause."""
        time.sleep(PAUSE)
        return bytes(self._connection.recv(min(size, READ)))


@pytest.mark.parametrize("size", [1_000_000, 4_000_000])
def test_time_does_not_run_while_an_image_is_on_its_way(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Neither what waits in the kernel's buffer nor a full buffer is silence of the server.

    The smaller image fits the buffer: there it is the response that comes late.
    """
    monkeypatch.setattr(transport, "WRITE_TIMEOUT", TIMEOUT)
    monkeypatch.setattr(upper_layer, "RESPONSE_TIMEOUT", TIMEOUT)
    monkeypatch.setattr(upper_layer, "_TICK", TIMEOUT / 8)

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ)
        peer.accept()
        connection = peer.socket
        peer.socket = SlowReader(connection)  # type: ignore[assignment]
        image = peer.read_image()
        peer.socket = connection
        peer.answer(image)
        peer.read_pdu()

    with FaultSCP(script) as server:
        scu = StorageSCU(peer_of(server), lambda *_: Unreadable(""), retry_time=0)
        begun = time.monotonic()
        assert scu.send(of_source(io.BytesIO(bytes(size)), size)) == StoreResult(True)
        assert time.monotonic() - begun > 2 * TIMEOUT
        scu.close()
