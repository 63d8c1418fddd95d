"""Images that several threads send over several associations in parallel."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait

import pytest

from fw_gear_dicom_send.delivery.results import StoreResult, Suspect
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.pool import AssociationPool
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.retry import RetryBudget, RetryPolicy
from tests.support.fault_scp import Peer
from tests.support.instances import relabelled
from tests.support.peers import Server, peer_of
from tests.support.results import Outcome, final, outcomes
from tests.support.sending import unconverted
from tests.support.waiting import LONG_TIMEOUTS, NEVER, PATIENCE, wait_for

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
CONTEXT = Context(CT, EXPLICIT)
SHORT_WAITS = RetryPolicy(max_wait=0.05)
"""Waits for tests whose server is temporarily unavailable or at its limit."""

Sending = list[Future[StoreResult]]


def scu_of(
    server: Server,
    associations: int = 4,
    *,
    retry_time: float = NEVER,
    timeouts: Timeouts = LONG_TIMEOUTS,
    policy: RetryPolicy = SHORT_WAITS,
) -> StorageSCU:
    """Return an SCU that opens this many associations with a server and converts nothing."""
    return StorageSCU(
        peer_of(server),
        unconverted,
        associations=associations,
        retry_time=retry_time,
        transport=Transport(timeouts=timeouts),
        policy=policy,
    )


def pool_of(server: Server, associations: int) -> AssociationPool:
    """Return a pool of this many associations with a server."""
    budget = RetryBudget(NEVER)
    transport = Transport(timeouts=LONG_TIMEOUTS)
    return AssociationPool(peer_of(server), associations, budget, transport)


def are_waiting(lender: StorageSCU | AssociationPool, threads: int) -> Callable[[], bool]:
    """Return a condition: this many threads wait for an association or for a place."""
    return lambda: f" {threads} waiting" in repr(lender)


def is_down(scu: StorageSCU) -> bool:
    """Return whether no association is open and the last request for one failed."""
    return ", no association" in repr(scu)


def ct(*numbers: int) -> list[SOPInstance]:
    """Return CT images with these numbers."""
    return [relabelled(n, sop_class=CT, transfer_syntax=EXPLICIT) for n in numbers]


def mr(*numbers: int) -> list[SOPInstance]:
    """Return MR images with these numbers."""
    return [relabelled(n, sop_class=MR, transfer_syntax=EXPLICIT) for n in numbers]


def start(scu: StorageSCU, images: Iterable[SOPInstance], threads: int = 4) -> Sending:
    """Send images over several threads; each takes the next image, and resends failures last."""
    sending: list[tuple[Future[StoreResult], SOPInstance]] = [(Future(), one) for one in images]
    left = deque(sending)

    def send(future: Future[StoreResult], image: SOPInstance, earlier: Suspect | None) -> None:
        try:
            result = scu.send(image, earlier)
        except Exception as exc:
            future.set_exception(exc)
            return
        if isinstance(result, Suspect) and not earlier:
            suspects.append((future, image, result))
        else:
            future.set_result(final(result))

    suspects: list[tuple[Future[StoreResult], SOPInstance, Suspect]] = []

    def run() -> None:
        while left:
            try:
                future, image = left.popleft()
            except IndexError:
                break
            send(future, image, None)
        while suspects:
            try:
                send(*suspects.pop())
            except IndexError:
                break

    for _ in range(threads):
        threading.Thread(target=run, daemon=True).start()
    return [future for future, _ in sending]


def results_of(sending: Sending) -> list[Outcome]:
    """Wait until all images are sent; return their results in order."""
    assert not wait(sending, NEVER / 2).not_done
    return outcomes(future.result() for future in sending)


def send_in_threads(
    scu: StorageSCU, images: Iterable[SOPInstance], threads: int = 4
) -> list[Outcome]:
    """Send images over several threads; return their results in order."""
    return results_of(start(scu, images, threads))


def threads_ended(before: set[threading.Thread]) -> Callable[[], bool]:
    """Return a condition: all threads started since `before`, except the server's, have ended."""
    return lambda: all(one.name == "FaultSCP" for one in set(threading.enumerate()) - before)


class Together:
    """Script that answers images in groups, once a group is complete."""

    def __init__(self, images: int = 4) -> None:
        self._barrier = threading.Barrier(images, timeout=PATIENCE)

    def __call__(self, peer: Peer) -> None:
        """Accept the association and answer its images."""
        peer.accept()
        while True:
            image = peer.read_image()
            self._barrier.wait()
            peer.answer(image)


def limit_warning(caplog: pytest.LogCaptureFixture) -> str:
    """Return the only warning in the log."""
    assert wait_for(lambda: bool(caplog.records))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    return record.getMessage()
