"""A slow link is not an error, however large the image is."""

import io
import socket
import time
from typing import Any

import pytest

from fw_gear_dicom_send.network.errors import AssociationError, LostAnswerError
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support.associations import CONTEXTS, associate
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.fuzzing import no_hang
from tests.support.instances import of_source
from tests.support.peers import peer_of
from tests.support.results import SENT, outcome
from tests.support.sending import unconverted
from tests.support.waiting import LONG_TIMEOUTS

TIMEOUT = 2.0
SHORT_TIMEOUT = 0.5
READ = 16_384
IN_BUFFER, BEYOND_BUFFER = 1_000_000, 32_000_000
"""Sizes of an image that fits into the buffer of this side, and of one that does not."""


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


@pytest.mark.slow
@pytest.mark.parametrize("size", [IN_BUFFER, 4_000_000])
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


@pytest.mark.parametrize("size", [IN_BUFFER, BEYOND_BUFFER])
@pytest.mark.parametrize("reads", [True, False])
def test_a_server_that_reads_almost_nothing_ends_the_wait(size: int, reads: bool) -> None:
    """Below the minimum rate, progress does not extend the wait; a server that stops gets less."""
    timeouts = replace(
        LONG_TIMEOUTS,
        write=SHORT_TIMEOUT,
        response=SHORT_TIMEOUT,
        abort=SHORT_TIMEOUT,
        min_rate=10 * BEYOND_BUFFER if reads else 1,
        tick=SHORT_TIMEOUT / 10,
    )

    def script(peer: Peer) -> None:
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ)
        peer.accept()
        while not peer.server.closing.wait(SHORT_TIMEOUT / 10):
            if reads:
                peer.socket.recv(READ)

    with no_hang(), FaultSCP(script) as server:
        assoc = associate(server, timeouts=timeouts)
        with pytest.raises(AssociationError) as error:
            assoc.send_c_store(of_source(io.BytesIO(bytes(size)), size), CONTEXTS[0])
    assert not isinstance(error.value, LostAnswerError)
    is_written = size == IN_BUFFER
    assert error.value.reason.kind is (Kind.NO_ANSWER if is_written else Kind.CONNECTION_LOST)
