"""Fixtures of the tests of the pool of associations."""

import pytest

from fw_gear_dicom_send.network import pool as association_pool
from fw_gear_dicom_send.network import store as storage_scu


@pytest.fixture
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let back-off go on as it does, in steps that a test can wait for."""
    monkeypatch.setattr(association_pool, "_LONGEST_WAIT", 0.05)
    monkeypatch.setattr(storage_scu, "_LONGEST_WAIT", 0.05)
