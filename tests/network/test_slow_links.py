"""A slow link is not an error, however large the image is."""

import io
import socket
import time
from dataclasses import replace
from typing import Any

import pytest

from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.transport import Transport
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import of_source
from tests.support.peers import peer_of
from tests.support.results import SENT, outcome
from tests.support.sending import unconverted
from tests.support.waiting import LONG_TIMEOUTS

TIMEOUT = 2.0
READ = 16_384


class SlowReader:
    """Socket that returns little data at a time for some seconds, after a pause each."""

    def __init__(self, connection: Any, pause: float, seconds: float) -> None:
        self._connection = connection
        self._pause = pause
        self._end = time.monotonic() + seconds

    def recv(self, size: int) -> bytes:
        """Read some data."""
        if time.monotonic() < self._end:
            time.sleep(self._pause)
        return bytes(self._connection.recv(min(size, READ)))


@pytest.mark.parametrize("size", [1_000_000, 4_000_000])
def test_the_timeout_does_not_run_while_an_image_is_in_transit(size: int) -> None:
    """Data in the kernel's buffer and a full buffer do not count as silence of the server.

    The smaller image fits into the buffer, so its response comes late.
    """
    timeouts = replace(LONG_TIMEOUTS, write=TIMEOUT, response=TIMEOUT, tick=TIMEOUT / 8)
    seconds = 3 * TIMEOUT
    pause = seconds / (size / READ)

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ)
        peer.accept()
        connection = peer.socket
        peer.socket = SlowReader(connection, pause, seconds)  # type: ignore[assignment]
        image = peer.read_image()
        peer.socket = connection
        peer.answer(image)
        peer.read_pdu()

    with FaultSCP(script) as server:
        transport = Transport(timeouts=timeouts)
        scu = StorageSCU(peer_of(server), unconverted, retry_time=0, transport=transport)
        begun = time.monotonic()
        assert outcome(scu.send(of_source(io.BytesIO(bytes(size)), size))) == SENT
        assert time.monotonic() - begun > 2 * TIMEOUT
        scu.close()
