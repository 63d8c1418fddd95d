"""Events of a run, and their observers."""

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from ..errors import DicomSendError
from ..models import FileReport, ImageRecord

log = logging.getLogger(__name__)


class Observer:
    """Base class of observers; every method does nothing by default.

    The main thread of the run calls the methods.
    """

    def image(self, record: ImageRecord) -> None:
        """Handle the result of an image."""

    def file(self, report: FileReport) -> None:
        """Handle the result of a file, after the results of all its images."""


class ObserverGroup(Observer):
    """Group of observers; an observer that fails gets no further events.

    The mutable state is the list of observers that have not failed.
    """

    def __init__(self, observers: Iterable[Observer], needed: Iterable[Observer] = ()) -> None:
        """Notify all observers in order; an exception of a `needed` one is raised."""
        self._observers = list(observers)
        self._needed = tuple(needed)

    def image(self, record: ImageRecord) -> None:
        """Notify all observers."""
        self._notify(lambda observer: observer.image(record))

    def file(self, report: FileReport) -> None:
        """Notify all observers."""
        self._notify(lambda observer: observer.file(report))

    def _notify(self, notify: Callable[[Observer], None]) -> None:
        for observer in tuple(self._observers):
            try:
                notify(observer)
            except DicomSendError:
                raise
            except Exception as exc:
                _log_failure(type(observer).__name__, exc)
                self._observers.remove(observer)
        for observer in self._needed:
            notify(observer)


@contextmanager
def surviving(what: str) -> Iterator[None]:
    """Run a block that only observes the run; log its failure and continue.

    The log omits the message of the error, which may quote a dataset.
    """
    try:
        yield
    except DicomSendError:
        raise
    except Exception as exc:
        _log_failure(what, exc)


def _log_failure(what: str, error: Exception) -> None:
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "%s failed; the run continues without it (%s in %s, line %s)",
        what,
        type(error).__name__,
        place.name,
        place.lineno,
    )
