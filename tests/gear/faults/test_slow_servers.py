"""A server that reads slowly is tolerated; one that stops reading loses its association."""

import socket
from pathlib import Path

import pytest

from tests.support.fault_asserts import (
    assert_nothing_lost,
)
from tests.support.fault_runs import (
    IMAGES,
    LAST,
    always,
    number_of,
    run_gear,
)
from tests.support.fault_scp import Peer, serve
from tests.support.hurried_gear import SHORT_TIMEOUT

pytestmark = pytest.mark.slow

SMALL_BUFFER = 1 << 15
LARGE, LARGER = 600, 2048
PAUSE = 0.06


def test_a_slow_reader_is_waited_for(tmp_path: Path) -> None:
    """A server that reads an image in small parts, for longer than each timeout, receives it."""
    for run in run_gear(tmp_path, always(read_slowly), size_of_last=LARGE, timeout=SHORT_TIMEOUT):
        assert_nothing_lost(run)
        assert run.result.seconds - run.start_seconds > 2 * SHORT_TIMEOUT
        assert len(run.images) == IMAGES


def read_slowly(peer: Peer) -> None:
    """Read the large image with a pause before each part."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    peer.accept()
    while True:
        command = peer.read_command()
        peer.pause = PAUSE if number_of(command.sop_instance_uid) == LAST else 0
        peer.answer(peer.read_image(command))


def test_a_reader_that_stops_within_an_image_loses_its_association(tmp_path: Path) -> None:
    """The image is resent over a new association."""
    scripts = (serve, stop_reading, serve)
    for run in run_gear(tmp_path, lambda _: scripts, size_of_last=LARGER, timeout=SHORT_TIMEOUT):
        assert_nothing_lost(run)


def stop_reading(peer: Peer) -> None:
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    peer.accept()
    while True:
        command = peer.read_command()
        if number_of(command.sop_instance_uid) == LAST:
            peer.stall()
        peer.answer(peer.read_image(command))
