"""A server may report a storage commitment on another association if the gear listens for it."""

from collections.abc import Callable, Iterator
from threading import Thread
from time import sleep
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.pdu import P_DATA_TF

from fw_gear_dicom_send.delivery.results import Verification
from fw_gear_dicom_send.network.commitment import CommitmentSCU
from fw_gear_dicom_send.network.commitment_listener import CommitmentListener
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.pacs import free_port
from tests.support.querying import query_pool
from tests.support.reporting import PACS, answer, connected, report
from tests.support.series import image, reference, store, uids
from tests.support.waiting import LONG_TIMEOUTS, without_timeout

AFTER_A_LOOK = 1.0
"""Interval in seconds at which the association of the request is polled."""
TIMEOUTS = replace(LONG_TIMEOUTS, late_commitment=LONG_TIMEOUTS.commitment)


class LateSCP(ArchiveSCP):
    """SCP that reports on a new association, and may first end the one of the request."""

    def __init__(self, port: int, *, ends: bool = False) -> None:
        super().__init__(reports=False)
        self._report_port = port
        self._ends = ends
        self._reported = 0

    def _own_handlers(self) -> list[tuple[evt.EventType, Callable[[evt.Event], Any]]]:
        return [*super()._own_handlers(), (evt.EVT_PDU_SENT, self._on_sent)]

    def _on_sent(self, event: evt.Event) -> None:
        """Report after the response to a request, which is the first message after it."""
        if isinstance(event.pdu, P_DATA_TF) and len(self.commitments) > self._reported:
            self._reported += 1
            asked = self.commitments[-1]
            Thread(target=self._report_late, args=(event.assoc, asked)).start()

    def _report_late(self, requested: Any, asked: Dataset) -> None:
        if self._ends:
            requested.abort()
            sleep(AFTER_A_LOOK)
        assoc = connected(self._report_port, self.ae_title)
        named = [item.ReferencedSOPInstanceUID for item in asked.ReferencedSOPSequence]
        answer(assoc, report(asked.TransactionUID, named))
        assoc.release()


@pytest.fixture
def listener() -> Iterator[CommitmentListener]:
    """Listener for the reports of a server."""
    peer = replace(PACS, called_ae="PYTHONSCP")
    with CommitmentListener(free_port(), peer, timeouts=TIMEOUTS) as listening:
        yield listening


def scu(server: ArchiveSCP, listener: CommitmentListener, **timeouts: float) -> CommitmentSCU:
    """Return a commitment SCU with a listener."""
    chosen = replace(TIMEOUTS, **timeouts)
    return CommitmentSCU(query_pool(server, chosen), timeouts=chosen, listener=listener)


@pytest.mark.slow
@pytest.mark.parametrize("ends", [False, True])
def test_a_report_on_another_association_counts(listener: CommitmentListener, ends: bool) -> None:
    """The gear waits even if the association of the request is lost; so does the next request."""
    with LateSCP(listener.port, ends=ends) as server:
        store(server, image(1), image(2))
        asking = scu(server, listener)
        for number in (1, 2):
            with without_timeout():
                assert asking.verify([reference(number)]) == Verification(uids(number))


def test_a_report_on_the_same_association_counts_as_well(listener: CommitmentListener) -> None:
    """The server chooses the association."""
    with ArchiveSCP() as server, without_timeout():
        store(server, image(1))
        assert scu(server, listener).verify([reference(1)]) == Verification(uids(1))


def test_a_report_long_after_the_response_counts(listener: CommitmentListener) -> None:
    """The gear reads the association of the request until the report arrives."""

    class SlowSCP(ArchiveSCP):
        def _report(self, assoc: Any, asked: Dataset) -> None:
            sleep(AFTER_A_LOOK)
            super()._report(assoc, asked)

    with SlowSCP() as server, without_timeout():
        store(server, image(1))
        assert scu(server, listener).verify([reference(1)]) == Verification(uids(1))


def test_a_missing_report_is_explained(listener: CommitmentListener) -> None:
    """The reason has the duration of the wait and the associations."""
    with ArchiveSCP(reports=False) as server, without_timeout():
        (reason,) = scu(server, listener, late_commitment=1).verify([reference(1)]).unknown.values()
    where = f"in 1 s, neither on the same association nor on port {listener.port}"
    assert reason.text == f"{wording.NOT_REPORTED} {where}"
