"""Fixture for tests that run a program in this process."""

import logging
import signal
from collections.abc import Iterator

import pytest

from fw_gear_dicom_send.exit_codes import SIGNALS


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Restore the handlers of signals and the log records after the test."""
    handlers, records = [signal.getsignal(one) for one in SIGNALS], logging.getLogRecordFactory()
    yield
    for number, handler in zip(SIGNALS, handlers, strict=True):
        signal.signal(number, handler)
    logging.setLogRecordFactory(records)
