"""Lost associations are replaced, and their images are resent."""

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.retry import CLOCK
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pool import ct, scu_of, send_in_threads
from tests.support.results import SENT, outcome
from tests.support.waiting import PATIENCE, wait_for


class Losing:
    """Loses each of the first four associations within an image, after some answered ones."""

    def __init__(self, answered: int, lose: Callable[[Peer], None]) -> None:
        """Use `lose` to end the associations."""
        self.lost: list[str] = []
        self._together = threading.Barrier(4, timeout=PATIENCE)
        self._answered = answered
        self._lose = lose

    def __call__(self, peer: Peer) -> None:
        """Accept the association, and answer its images until the loss."""
        peer.accept()
        answered = 0
        while True:
            image = peer.read_image()
            if peer.number <= 4 and not answered:
                self._together.wait()
            if peer.number <= 4 and answered >= self._answered:
                self.lost.append(image.sop_instance_uid)
                self._lose(peer)
                return
            peer.answer(image)
            answered += 1


@pytest.mark.slow
@pytest.mark.parametrize("answered", [1, 7])
@pytest.mark.parametrize("lose", [Peer.close, Peer.abort, Peer.reset])
def test_lost_associations_are_replaced_and_their_images_resent(
    caplog: pytest.LogCaptureFixture, answered: int, lose: Callable[[Peer], None]
) -> None:
    """No image is lost, and no acknowledged image is resent."""
    script, begun = Losing(answered, lose), CLOCK.now()
    with FaultSCP(script) as server:
        scu = scu_of(server)
        assert send_in_threads(scu, ct(*range(400))) == [SENT] * 400
        scu.close()
        assert 4 < server.connections <= 12
        counts = Counter(image.sop_instance_uid for image in server.images)
    assert 1 <= len(script.lost) <= 4
    assert counts == {f"1.2.3.4.{n}": 1 for n in range(400)} | dict.fromkeys(script.lost, 2)
    assert len(caplog.messages) == len(script.lost) == len(scu.health.lost_at)
    assert begun <= min(scu.health.lost_at) <= max(scu.health.lost_at) <= CLOCK.now()
    assert all(one.startswith("A connection was lost with an image: ") for one in caplog.messages)


def test_an_image_is_not_lost_again_by_a_common_failure() -> None:
    """If a restart ends all associations, each image is resent over a new one."""
    together = threading.Barrier(2, timeout=PATIENCE)

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        if peer.number <= 2:
            together.wait()
        peer.answer(image)
        while True:
            command = peer.read_command()
            if peer.number <= 2:
                return
            peer.answer(peer.read_image(command))

    with FaultSCP(script) as server:
        scu = scu_of(server, 2)
        assert send_in_threads(scu, ct(1, 2), threads=2) == [SENT] * 2
        assert outcome(scu.send(ct(3)[0])) == SENT
        scu.close()


@pytest.mark.parametrize("leave", [Peer.close, Peer.abort, Peer.reset, Peer.request_release])
def test_associations_that_end_while_idle_are_replaced(leave: Callable[[Peer], None]) -> None:
    """Four connections that the server ends between images cost nothing."""
    together, proceed = threading.Barrier(4, timeout=PATIENCE), threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        together.wait()
        peer.answer(image)
        if peer.number <= 4:
            proceed.wait(PATIENCE)
            leave(peer)
            left.append(peer.number)
        peer.read_to_end()

    left: list[int] = []
    with FaultSCP(script) as server:
        scu = scu_of(server)
        assert send_in_threads(scu, ct(1, 2, 3, 4)) == [SENT] * 4
        proceed.set()
        assert wait_for(lambda: len(left) == 4)
        assert send_in_threads(scu, ct(5, 6, 7, 8)) == [SENT] * 4
        scu.close()
        assert sorted(image.connection for image in server.images) == list(range(1, 9))
