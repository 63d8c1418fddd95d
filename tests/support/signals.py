"""Signals for tests that run a program in this process."""

import logging
import signal
from collections.abc import Iterator
from threading import Thread

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


def signal_at_thread(monkeypatch: pytest.MonkeyPatch, number: int, sent: int) -> list[Thread]:
    """Send a signal just before the thread of a `number` starts; return the begun threads."""
    start, begun = Thread.start, list[Thread]()

    def signalled(thread: Thread) -> None:
        if len(begun) == number:
            signal.raise_signal(sent)
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(Thread, "start", signalled)
    return begun
