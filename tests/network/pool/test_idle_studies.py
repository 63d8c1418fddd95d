"""Idle associations of studies do not stop the run."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

from fw_gear_dicom_send.network.pool import AssociationPool
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.retry import RetryBudget
from tests.support.fault_scp import FaultSCP
from tests.support.peers import peer_of
from tests.support.pool import CONTEXT
from tests.support.waiting import LONG_TIMEOUTS, NEVER


def test_an_unused_association_of_a_study_makes_room_for_another_study() -> None:
    """Its owner may wait for that study."""
    transport = Transport(timeouts=replace(LONG_TIMEOUTS, idle=0.1))
    with FaultSCP() as server:
        pool = AssociationPool(peer_of(server), 1, RetryBudget(NEVER), transport)
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
        assert server.connections == 3
        assert pool.split_studies == ("1.1",)
        pool.close()
