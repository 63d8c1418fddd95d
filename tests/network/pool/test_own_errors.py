"""An internal error of the gear leaves no thread waiting."""

import errno
from concurrent.futures import wait

import pytest

from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.fault_scp import FaultSCP
from tests.support.instances import made_instance
from tests.support.pacs import PythonSCP
from tests.support.peers import peer_of
from tests.support.pool import CT, ct, scu_of, start
from tests.support.results import Outcome, outcomes
from tests.support.waiting import LONG_TIMEOUTS, PATIENCE


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_unexpected_error_reaches_waiting_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """An internal error while an association is opened leaves no thread waiting."""
    error = RuntimeError("boom")

    def fail(_: StorageAssociation) -> None:
        raise error

    monkeypatch.setattr(StorageAssociation, "open", fail)
    with FaultSCP() as server:
        sending = start(scu_of(server), ct(*range(8)))
        assert not wait(sending, PATIENCE).not_done
    assert [future.exception() for future in sending] == [error] * 8


def test_nothing_is_opened_after_an_unexpected_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An internal error ends the pool, and its threads send no more requests."""
    opened = []

    def fail(assoc: StorageAssociation) -> None:
        opened.append(assoc)
        raise RuntimeError

    monkeypatch.setattr(StorageAssociation, "open", fail)
    with FaultSCP() as server:
        sending = start(scu_of(server), ct(*range(8)), threads=1)
        assert not wait(sending, PATIENCE).not_done
    assert len(opened) == 1


def test_a_conversion_that_raises_fails_its_image_alone() -> None:
    """An image that cannot be converted for lack of disk space affects no other image."""

    def broken(*_: object) -> SOPInstance:
        raise OSError(errno.ENOSPC, "No space left on device")

    with PythonSCP({CT: ["1.2.840.10008.1.2"]}) as server:
        transport = Transport(timeouts=LONG_TIMEOUTS)
        scu = StorageSCU(peer_of(server), broken, associations=2, transport=transport)
        results = [scu.send(made_instance(n)) for n in range(3)]
        scu.close()
        assert len(server.associations) == 1
    message = f"{wording.NOT_CONVERTED}: No space left on device"
    assert outcomes(results) == [Outcome(False, Kind.NOT_CONVERTED, message)] * 3
