"""An association is released after a maximum number of images, and a new one is opened."""

from collections import Counter

import pytest

from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.transport import Transport
from tests.support.fault_scp import FaultSCP, Peer, serve
from tests.support.pacs import PythonSCP
from tests.support.peers import peer_of
from tests.support.pool import SHORT_WAITS, ct, send_in_threads
from tests.support.results import SENT
from tests.support.sending import unconverted
from tests.support.waiting import LONG_TIMEOUTS, wait_for


def scu_of(server: PythonSCP | FaultSCP, max_images: int, associations: int = 1) -> StorageSCU:
    return StorageSCU(
        peer_of(server),
        unconverted,
        associations=associations,
        transport=Transport(timeouts=LONG_TIMEOUTS),
        policy=SHORT_WAITS,
        max_images=max_images,
    )


@pytest.mark.parametrize(
    ("max_images", "sizes"), [(0, [10]), (1, [1] * 10), (3, [3, 3, 3, 1]), (5, [5, 5]), (11, [10])]
)
def test_an_association_carries_a_maximum_number_of_images(
    max_images: int, sizes: list[int]
) -> None:
    """Each is released regularly, the last one at the end."""
    with PythonSCP() as server:
        scu = scu_of(server, max_images)
        assert send_in_threads(scu, ct(*range(10)), threads=1) == [SENT] * 10
        scu.close()
        assert list(Counter(one.association for one in server.stored).values()) == sizes
        assert wait_for(lambda: server.released == len(sizes))
        assert server.aborted == 0


def test_several_associations_are_replaced_one_by_one() -> None:
    """The configured number is never exceeded, and the server sees no longer association."""
    most = 0

    def script(peer: Peer) -> None:
        nonlocal most
        # An end counts before the server answers the release.
        most = max(most, peer.server.connections - len(peer.server.ends))
        serve(peer)

    with FaultSCP(script) as server:
        scu = scu_of(server, 4, associations=3)
        assert send_in_threads(scu, ct(*range(60)), threads=3) == [SENT] * 60
        scu.close()
        # Each one that had images is released; a pending one at the end may be aborted.
        assert server.connections >= 15
        assert Counter(server.ends)["released"] >= 15
        assert most <= 3


def test_a_server_with_one_association_gets_them_one_by_one() -> None:
    """The next one is requested after the release of its predecessor."""
    with PythonSCP() as server:
        server.ae.maximum_associations = 1
        scu = scu_of(server, 2, associations=4)
        assert send_in_threads(scu, ct(*range(8))) == [SENT] * 8
        scu.close()
        counts = Counter(one.association for one in server.stored)
        assert max(counts.values()) == 2
