"""Idle associations of studies do not stop the run."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

import pytest

from fw_gear_dicom_send.network.pool import AssociationPool
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.retry import RetryBudget
from fw_gear_dicom_send.values import replace
from tests.support.fault_scp import FaultSCP, Peer, serve
from tests.support.peers import peer_of
from tests.support.pool import CONTEXT, SHORT_WAITS
from tests.support.waiting import LONG_TIMEOUTS, NEVER


@pytest.mark.parametrize("associations", [1, 2])
def test_an_unused_association_of_a_study_makes_room_for_another_study(associations: int) -> None:
    """Its owner may wait for that study. The server takes one association."""
    transport = Transport(timeouts=replace(LONG_TIMEOUTS, idle=0.2, limit=0.05))
    turn = Lock()

    def serve_one(peer: Peer) -> None:
        if not turn.acquire(blocking=False):
            peer.reject(2, 3, 2)
            return
        try:
            serve(peer)
        finally:
            turn.release()

    with FaultSCP(serve_one) as server:
        budget = RetryBudget(NEVER)
        pool = AssociationPool(peer_of(server), associations, budget, transport, policy=SHORT_WAITS)
        turns = [Event() for _ in range(3)]

        def send(study: str, number: int) -> None:
            with pool.association(CONTEXT, study=study) as assoc:
                assert assoc.study == study
            turns[number].set()

        def send_twice() -> None:
            with pool.for_study("1.1", [CONTEXT]):
                send("1.1", 0)
                turns[1].wait(NEVER)
                send("1.1", 2)

        with ThreadPoolExecutor() as executor:
            first = executor.submit(send_twice)
            turns[0].wait(NEVER)
            with pool.for_study("1.2", [CONTEXT]):
                send("1.2", 1)
            first.result()
        assert pool.split_studies == ("1.1",)
        pool.close()
