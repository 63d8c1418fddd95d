"""Observers can neither end a run nor disturb other observers."""

from signal import Signals

import pytest

from fw_gear_dicom_send.errors import CancelledError
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, ImageRecord
from fw_gear_dicom_send.report.events import Observer, ObserverGroup
from tests.support import wording
from tests.support.results import sent

RECORD = ImageRecord(FileEntry(Container("session", "s"), "a", "g/a"), "", sent())


class ImageCounter(Observer):
    """Observer that counts images, and optionally raises an error for each."""

    def __init__(self, error: Exception | None = None) -> None:
        self.images = 0
        self._error = error

    def image(self, record: ImageRecord) -> None:  # noqa: ARG002
        self.images += 1
        if self._error:
            raise self._error


def test_a_failed_observer_receives_nothing_more(caplog: pytest.LogCaptureFixture) -> None:
    """The failure is logged once without its message, and the other observers continue."""
    failing, first, last = ImageCounter(ValueError("Doe^Jane")), ImageCounter(), ImageCounter()
    observers = ObserverGroup([first, failing, last])
    for _ in range(3):
        observers.image(RECORD)
    assert (first.images, failing.images, last.images) == (3, 1, 3)
    (message,) = caplog.messages
    assert message.startswith(f"ImageCounter {wording.CONTINUES_WITHOUT} (ValueError in image")
    assert "Doe" not in message


def test_a_required_observer_may_end_the_run() -> None:
    """It does more than observe: its failure is raised after the others were notified."""
    other = ImageCounter()
    observers = ObserverGroup([other], [ImageCounter(ValueError())])
    with pytest.raises(ValueError, match=r"^$"):
        observers.image(RECORD)
    assert other.images == 1


def test_a_signal_in_an_observer_ends_the_run() -> None:
    """It is raised at any point in the main thread."""
    observers = ObserverGroup([ImageCounter(CancelledError(Signals.SIGTERM))])
    with pytest.raises(CancelledError):
        observers.image(RECORD)


EVENTS = {
    "image": (RECORD,),
    "file": (FileReport(RECORD.entry, 1, 1),),
}


@pytest.mark.parametrize("event", EVENTS)
def test_each_observer_receives_each_event(event: str) -> None:
    """They are notified in order, and an observer may ignore some events."""
    received: list[tuple[int, object]] = []

    class Listener(Observer):
        def __init__(self, number: int) -> None:
            setattr(self, event, lambda *what: received.append((number, what)))

    observers = ObserverGroup([Listener(1), Observer(), Listener(2)])
    for name, what in EVENTS.items():
        getattr(observers, name)(*what)
    assert received == [(1, EVENTS[event]), (2, EVENTS[event])]
