"""Fixtures of the tests of sending images."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.transcode import converter as transcoder
from fw_gear_dicom_send.network import association as upper_layer
from fw_gear_dicom_send.network import patience
from fw_gear_dicom_send.network import store as storage_scu
from fw_gear_dicom_send.network.store import StorageSCU
from tests.support.peers import Server, peer_of
from tests.support.sending import SCUFactory


@pytest.fixture
def scu(tmp_path: Path) -> Iterator[SCUFactory]:
    """Make an SCU for a server, which is closed at the end."""
    made: list[StorageSCU] = []

    def make(server: Server, retry_time: float = 300, **titles: str) -> StorageSCU:
        convert = partial(transcoder.convert, work=tmp_path)
        made.append(StorageSCU(peer_of(server, **titles), convert, retry_time=retry_time))
        return made[-1]

    yield make
    for one in made:
        one.abort()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest waits between tries of an image, in seconds, by which alone patience ends."""
    longest: list[float] = []
    begun = time.monotonic()

    def no_wait(seconds: float) -> float:
        longest.append(seconds)
        return 0

    for module in (storage_scu, patience):
        monkeypatch.setattr(module, "monotonic", lambda: begun + sum(longest))
    monkeypatch.setattr(storage_scu.backoff, "full_jitter", no_wait)
    monkeypatch.setattr(upper_layer, "monotonic", lambda: time.monotonic() + sum(longest))
    return longest
