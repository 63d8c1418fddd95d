"""A lost association does not lose any image."""

import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.support.fault_asserts import assert_nothing_lost
from tests.support.fault_runs import (
    ALL_SENT,
    IMAGES,
    FaultRuns,
    always,
    once,
    run_gear,
    run_gears,
)
from tests.support.fault_scp import P_DATA_TF, Peer, PeerLeftError, Script, serve
from tests.support.fault_scripts import after_pdus, has_read_all, never_respond
from tests.support.hurried_gear import SHORT_TIMEOUT
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow


def answer_with(data: bytes, peer: Peer) -> None:
    """Answer an image with these bytes, then read on."""
    peer.accept()
    peer.read_image()
    peer.socket.sendall(data)
    peer.read_to_end()


def answer_partly(end: Callable[[Peer], None], peer: Peer) -> None:
    peer.accept()
    response = peer.response(peer.read_image())
    peer.socket.sendall(response[: len(response) // 2])
    end(peer)


def answer_with_wrong_message_id(peer: Peer) -> None:
    peer.accept()
    image = peer.read_image()
    peer.answer(image, message_id=image.message_id + 1)
    peer.read_to_end()


def leave_between_images(leave: Callable[[Peer], None], peer: Peer) -> None:
    peer.accept()
    peer.answer(peer.read_image())
    leave(peer)


LOST: dict[str, Script] = {
    "abort after 1 PDU": partial(after_pdus, 1, Peer.abort),
    "abort after 6 PDUs": partial(after_pdus, 6, Peer.abort),
    "reset within an image": partial(after_pdus, 3, Peer.reset),
    "close within an image": partial(after_pdus, 3, Peer.close),
    "no response": never_respond,
    "wrong message ID": answer_with_wrong_message_id,
    "garbage": partial(answer_with, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "a PDU of 4 GiB": partial(
        answer_with, struct.pack(">BBL", P_DATA_TF, 0, 0xFFFFFFF0) + bytes(64)
    ),
    "partial response, then silence": partial(answer_partly, Peer.stall),
    "partial response, then the end": partial(answer_partly, Peer.close),
    "release between images": partial(leave_between_images, Peer.request_release),
    "abort between images": partial(leave_between_images, Peer.abort),
}
SILENT = ("no response", "partial response, then silence")


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> FaultRuns:
    return run_gears(
        tmp_path_factory, {name: once(script) for name, script in LOST.items()}, SILENT
    )


@pytest.mark.xdist_group("lost associations")
@pytest.mark.parametrize("name", LOST)
def test_a_lost_association_loses_no_image(lost: FaultRuns, name: str) -> None:
    """An unacknowledged image is resent once over another association."""
    for run in lost[name]:
        assert_nothing_lost(run)
        assert run.connections >= 3


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset])
def test_a_server_that_accepts_one_image_per_association(
    tmp_path: Path, leave: Callable[[Peer], None]
) -> None:
    """A connection that ends after each response costs a new one each time, but no image."""
    for run in run_gear(tmp_path, always(partial(answer_and_wait, leave))):
        assert_nothing_lost(run)
        assert run.connections > IMAGES


def answer_and_wait(leave: Callable[[Peer], None], peer: Peer) -> None:
    """Answer an image, and leave after the response was read, because a reset would discard it."""
    peer.accept()
    peer.answer(peer.read_image())
    assert wait_for(lambda: has_read_all(peer))
    leave(peer)


def test_a_duplicate_on_a_resend_was_stored_before(tmp_path: Path) -> None:
    """An image that was stored but not acknowledged counts as sent after a duplicate status."""
    for run in run_gear(tmp_path, lambda n: (serve, *[lose_after_image] * n, answer_duplicate)):
        assert run.rows == ALL_SENT, run.result.log
        assert run.result.exit_code == 0
        assert 0x0111 in {answer.status for answer in run.answers}
        most = max(Counter(image.sop_instance_uid for image in run.images).values())
        assert 2 <= most <= 1 + run.associations  # Each of them loses one image.


def lose_after_image(peer: Peer) -> None:
    peer.accept()
    peer.read_image()
    peer.close()


def answer_duplicate(peer: Peer) -> None:
    """Respond according to the images received on any association."""
    peer.accept()
    while True:
        image = peer.read_image()
        uids = [one.sop_instance_uid for one in peer.server.images]
        peer.answer(image, 0x0111 if uids.count(image.sop_instance_uid) > 1 else 0)


@pytest.mark.parametrize("end", [Peer.close, Peer.stall])
def test_an_abort_instead_of_a_release_response_is_harmless(
    tmp_path: Path, end: Callable[[Peer], None]
) -> None:
    """The end of the last association does not affect the images."""
    for run in run_gear(
        tmp_path, lambda _: [partial(end_instead_of_release_response, end)], timeout=SHORT_TIMEOUT
    ):
        assert_nothing_lost(run)
        assert run.not_sent == {}


def end_instead_of_release_response(end: Callable[[Peer], None], peer: Peer) -> None:
    peer.answers_release = False
    with suppress(PeerLeftError):
        serve(peer)
    end(peer)
