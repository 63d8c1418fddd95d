"""What holds for every test of the network."""

from collections.abc import Iterator

import pytest

from fw_gear_dicom_send import retry
from fw_gear_dicom_send.network import association, store
from fw_gear_dicom_send.network.pool import AssociationPool
from tests.support.associations import upper_layers
from tests.support.clock import Clock
from tests.support.fuzzing import fuzz
from tests.support.waiting import wait_for

__all__ = ["fuzz"]


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    """Whatever happens to associations, no thread of theirs outlives them."""
    yield
    assert wait_for(lambda: not upper_layers())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of retries and of associations, on which waits between tries alone take time."""
    made = Clock()

    def wait(_: AssociationPool, seconds: float) -> None:
        made.sleep(seconds)

    monkeypatch.setattr(retry, "time", made)
    for module in (association, store):
        monkeypatch.setattr(module, "monotonic", made.monotonic)
    monkeypatch.setattr(AssociationPool, "wait", wait)
    return made
