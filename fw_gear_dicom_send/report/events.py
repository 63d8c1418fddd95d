"""What a run tells as it goes."""

from collections.abc import Iterable, Sequence

from ..models import FileEntry, FileReport, ImageRecord


class Observer:
    """Is told of a run, by its main thread; does nothing unless a method is overridden."""

    def reading(self, entry: FileEntry, position: int) -> None:
        """So many bytes of a file have been read."""

    def image(self, record: ImageRecord) -> None:
        """An image is sent, or is not."""

    def file(self, report: FileReport) -> None:
        """All images of a file are told."""

    def done(self, rows: Sequence[FileReport]) -> None:
        """The run has ended, well or not, and these are the rows of its report."""


class Observers(Observer):
    """Passes on what it is told."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        """Pass on to each of them, in their order."""
        self._observers = tuple(observers)

    def reading(self, entry: FileEntry, position: int) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.reading(entry, position)

    def image(self, record: ImageRecord) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.image(record)

    def file(self, report: FileReport) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.file(report)

    def done(self, rows: Sequence[FileReport]) -> None:
        """Pass it on."""
        for observer in self._observers:
            observer.done(rows)
