"""A query waits for a server that is at its limit of associations."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from fw_gear_dicom_send.network.errors import QueryError
from fw_gear_dicom_send.network.inquiry import OPEN_POLICY, MakeRoom
from fw_gear_dicom_send.network.query import FindSCU
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import Sent
from fw_gear_dicom_send.retry import RetryPolicy
from tests.support.archive_scp import ArchiveSCP
from tests.support.clock import Clock
from tests.support.fault_scp import FaultSCP
from tests.support.peers import peer_of
from tests.support.scripted import AT_LIMIT, rejecting
from tests.support.sending import unconverted
from tests.support.series import SERIES, STUDY, image, reference, uids
from tests.support.waiting import PATIENT


def test_a_server_that_is_slow_to_forget_is_asked_again() -> None:
    """The association that made room may still count when the query asks for its own."""
    refusals: list[str] = []

    def make_room(refusal: str) -> None:
        refusals.append(refusal)
        scu.close()

    @contextmanager
    def place() -> Iterator[MakeRoom]:
        yield make_room

    with ArchiveSCP() as server:
        server.ae.maximum_associations = 1
        peer = peer_of(server, server.ae_title)
        scu = StorageSCU(peer, unconverted, timeouts=PATIENT)
        assert isinstance(scu.send(image(0)), Sent)
        find = FindSCU(peer, place=place, timeouts=PATIENT, policy=RetryPolicy(max_wait=0.05))
        assert find.present(STUDY, SERIES) == uids(0)
    told = (
        f"127.0.0.1 port {server.port} rejected the association: "
        "its limit of associations is reached"
    )
    assert set(refusals) == {told}


def test_a_server_that_stays_at_its_limit_is_given_up(clock: Clock) -> None:
    """After a few tries nothing is known of what it has."""
    with FaultSCP(rejecting(AT_LIMIT)) as server:
        find = FindSCU(peer_of(server), policy=replace(OPEN_POLICY, clock=clock))
        with pytest.raises(QueryError, match="limit of assoc"):
            find.present(STUDY, SERIES)
        assert server.connections == 5
    assert len(clock.waits) == 4


def test_a_list_is_not_asked_for_again_where_there_is_no_association(clock: Clock) -> None:
    """That the server takes no lists is no reason for it."""
    with FaultSCP(rejecting(AT_LIMIT)) as server:
        find = FindSCU(peer_of(server), policy=replace(OPEN_POLICY, clock=clock))
        assert find.verify([reference(1), reference(2)]).unknown.keys() == uids(1, 2)
        assert server.connections == 5
