"""As many associations are open as configured and needed."""

import threading
from collections import Counter

import pytest

from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pool import Together, ct, scu_of, send_in_threads
from tests.support.results import SENT
from tests.support.waiting import PATIENCE


@pytest.mark.parametrize("associations", [1, 3])
def test_as_many_images_are_in_flight_as_there_are_associations(associations: int) -> None:
    """Each association carries exactly one image at a time."""
    with FaultSCP(Together(associations)) as server:
        scu = scu_of(server, associations)
        images = ct(*range(4 * associations))
        assert send_in_threads(scu, images, 4) == [SENT] * len(images)
        scu.close()
        counts = Counter(image.connection for image in server.images)
    assert counts == dict.fromkeys(range(1, associations + 1), 4)
    assert len({image.sop_instance_uid for image in server.images}) == len(images)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_no_more_associations_are_opened_than_needed(threads: int) -> None:
    """Threads that each send one image after another need one association each."""
    with FaultSCP(Together(threads)) as server:
        scu = scu_of(server)
        assert send_in_threads(scu, ct(*range(30)), threads) == [SENT] * 30
        scu.close()
        assert server.connections == threads


@pytest.mark.slow
def test_many_small_images_share_four_associations(caplog: pytest.LogCaptureFixture) -> None:
    """None of 4,000 images is lost or sent twice."""
    together = threading.Barrier(4, timeout=PATIENCE)

    def script(peer: Peer) -> None:
        peer.accept()
        first = peer.read_image()
        together.wait()
        peer.answer(first)
        while True:
            peer.answer(peer.read_image())

    with FaultSCP(script) as server:
        scu = scu_of(server)
        assert send_in_threads(scu, ct(*range(4000))) == [SENT] * 4000
        scu.close()
        assert server.connections == 4
        assert server.ends == ["released"] * 4
        uids = [image.sop_instance_uid for image in server.images]
    assert len(uids) == 4000
    assert set(uids) == {f"1.2.3.4.{n}" for n in range(4000)}
    assert {image.connection for image in server.images} == {1, 2, 3, 4}
    assert caplog.records == []
