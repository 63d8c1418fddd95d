"""What a run tells as it goes."""

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import DicomSendError
from ..models import FileEntry, FileReport, ImageRecord
from .verification import VerificationSummary

log = logging.getLogger(__name__)


class Observer:
    """Is told of a run, by its main thread; does nothing unless a method is overridden."""

    def reading(self, entry: FileEntry, position: int) -> None:
        """So many bytes of a file have been read."""

    def image(self, record: ImageRecord) -> None:
        """An image is sent, or is not."""

    def file(self, report: FileReport) -> None:
        """All images of a file are told."""

    def verified(self, summary: VerificationSummary) -> None:
        """The run has ended, well or not, and so many images were verified; asked for only."""

    def done(self, rows: Sequence[FileReport]) -> None:
        """The run has ended, well or not, and these are the rows of its report."""


class Observers(Observer):
    """Passes each event on; an observer that fails gets no more events.

    The mutable state is the list of the observers that have not failed.
    """

    def __init__(self, observers: Iterable[Observer], needed: Iterable[Observer] = ()) -> None:
        """Pass on to each of them, in their order; what one that is `needed` raises is raised."""
        self._observers = list(observers)
        self._needed = tuple(needed)

    def reading(self, entry: FileEntry, position: int) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.reading(entry, position))

    def image(self, record: ImageRecord) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.image(record))

    def file(self, report: FileReport) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.file(report))

    def verified(self, summary: VerificationSummary) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.verified(summary))

    def done(self, rows: Sequence[FileReport]) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.done(rows))

    def _tell(self, tell: Callable[[Observer], None]) -> None:
        for observer in tuple(self._observers):
            try:
                tell(observer)
            except DicomSendError:
                raise
            except Exception as exc:
                _log_failure(type(observer).__name__, exc)
                self._observers.remove(observer)
        for observer in self._needed:
            tell(observer)


@contextmanager
def surviving(what: str) -> Iterator[None]:
    """Run a block of something that only observes the run: log where it fails, and go on.

    The message of the error is left out, as it may quote a dataset.
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
        "%s failed, and the run goes on without it: %s in %s, line %s",
        what,
        type(error).__name__,
        place.name,
        place.lineno,
    )
