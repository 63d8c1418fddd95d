"""Queries share the associations for images, or use one instead."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import pytest
from pynetdicom import evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from fw_gear_dicom_send.delivery.sender import QueryError
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.transport import Transport
from tests.support import pool
from tests.support.archive_scp import ArchiveSCP
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pacs import Orthanc, PythonSCP
from tests.support.peers import peer_of
from tests.support.pool import SHORT_WAITS, send_in_threads
from tests.support.querying import find_scu, query_answer
from tests.support.results import SENT
from tests.support.scripted import AT_LIMIT, rejecting
from tests.support.sending import unconverted
from tests.support.series import SERIES, STUDY, image, reference, uids
from tests.support.waiting import LONG_TIMEOUTS, wait_for, without_timeout

FIND = str(StudyRootQueryRetrieveInformationModelFind)


def scu_of(server: PythonSCP | Orthanc, associations: int) -> StorageSCU:
    """Return an SCU that sends to a server."""
    return StorageSCU(
        peer_of(server, server.ae_title),
        unconverted,
        associations=associations,
        transport=Transport(timeouts=LONG_TIMEOUTS),
        policy=SHORT_WAITS,
    )


class PickyArchive(ArchiveSCP):
    """SCP that accepts queries only in an association without images."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed = 0

    def _own_handlers(self) -> list[tuple[evt.EventType, Callable[[evt.Event], Any]]]:
        return [*super()._own_handlers(), (evt.EVT_REQUESTED, self._choose)]

    def _choose(self, event: evt.Event) -> None:
        proposed = {str(cx.abstract_syntax) for cx in event.assoc.requestor.requested_contexts}
        if FIND in proposed and len(proposed - {"1.2.840.10008.1.1"}) > 1:
            self.mixed += 1
            supported = event.assoc.acceptor.supported_contexts
            event.assoc.acceptor.supported_contexts = [
                cx for cx in supported if cx.abstract_syntax != FIND
            ]


def test_a_query_shares_an_association_with_images() -> None:
    """Images and queries share the only association that the server provides."""
    with ArchiveSCP() as server:
        server.ae.maximum_associations = 1
        scu = scu_of(server, 1)
        find = scu.finder()
        assert send_in_threads(scu, [image(0)]) == [SENT]
        assert find.present(STUDY, SERIES) == uids(0)
        assert send_in_threads(scu, [image(1)]) == [SENT]
        assert find.present(STUDY, SERIES) == uids(0, 1)
        scu.close()
        # The first one did not propose queries. Others may have been rejected in between.
        assert wait_for(lambda: server.released == 2)


def test_orthanc_accepts_images_and_queries_in_one_association(orthanc: Orthanc) -> None:
    """Only the first query costs an association, which replaces another one."""
    scu = scu_of(orthanc, 1)
    find = scu.finder()
    assert find.present(STUDY, SERIES) == frozenset()
    assert send_in_threads(scu, [image(0)]) == [SENT]
    assert find.verify([reference(0), reference(1)]).verified == uids(0)
    assert scu.facts().connections == 1
    scu.close()


def test_a_query_has_its_own_association_if_necessary() -> None:
    """It counts towards the limit, and the combination is proposed to the server only once."""
    with PickyArchive() as server:
        server.ae.maximum_associations = 1
        scu = scu_of(server, 1)
        find = scu.finder()
        for number in range(3):
            assert send_in_threads(scu, [image(number)]) == [SENT]
            assert find.present(STUDY, SERIES) == uids(*range(number + 1))
        scu.close()
        assert server.mixed >= 1


def test_a_failed_query_leaves_the_association_to_the_images() -> None:
    """Only a lost association is not used again."""
    with ArchiveSCP(find_status=0xC000) as server:
        scu = scu_of(server, 1)
        find = scu.finder()
        with pytest.raises(QueryError, match="0xC000"):
            find.present(STUDY, SERIES)
        assert send_in_threads(scu, [image(0)]) == [SENT]
        number = len(server.associations)
        with pytest.raises(QueryError, match="0xC000"):
            find.present(STUDY, SERIES)
        assert send_in_threads(scu, [image(1)]) == [SENT]
        assert len(server.associations) <= number + 1
        scu.close()


def test_a_server_that_stays_at_its_limit_verifies_nothing() -> None:
    """The state of its images is unknown."""
    with FaultSCP(rejecting(AT_LIMIT)) as server:
        with pytest.raises(QueryError, match="limit of assoc"):
            find_scu(peer_of(server)).present(STUDY, SERIES)
        assert server.connections == 1


def test_a_list_is_not_retried_without_an_association() -> None:
    """The failure does not mean that the server rejects lists."""
    with FaultSCP(rejecting(AT_LIMIT)) as server:
        answer = find_scu(peer_of(server)).verify([reference(1), reference(2)])
        assert answer.unknown.keys() == uids(1, 2)
        assert server.connections == 1


@pytest.mark.parametrize("associations", [1, 2, 4])
def test_a_query_does_not_wait_for_an_idle_association(associations: int) -> None:
    """A server that serves one association at a time answers queries and images in turn."""
    turn = Lock()

    def script(peer: Peer) -> None:
        with turn:
            peer.accept(refused=())
            while True:
                request = peer.read_command()
                if request.sop_class_uid == FIND:
                    peer.socket.sendall(query_answer(peer.read_query(request), 0x0000))
                else:
                    peer.answer(peer.read_image(request))

    with FaultSCP(script) as server:
        scu = pool.scu_of(server, associations)
        find = scu.finder()
        with without_timeout():
            for number in range(3):
                assert send_in_threads(scu, [image(number)]) == [SENT]
                assert find.present(STUDY, SERIES) == frozenset()
        scu.close()
