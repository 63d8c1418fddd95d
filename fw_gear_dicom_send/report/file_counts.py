"""Counts what becomes of a Flywheel file's images."""

from collections import Counter
from dataclasses import dataclass, field

from ..models import FileEntry, FileReport, Remark
from ..network.types import StoreResult

NOT_REACHED = "the run ended before it"
INTERRUPTED = "the run ended in the middle of it"
NO_IMAGE = "it holds no DICOM image"
OTHER_REASONS = "for other reasons"

_MOST_REMARKS = 50


@dataclass
class Tally:
    """What is known so far of one file; equal results are kept once, with their number."""

    entry: FileEntry
    images: int = 0
    sent: int = 0
    _remarks: Counter[StoreResult] = field(default_factory=Counter)
    _trouble: str = NOT_REACHED
    _expected: int | None = None

    def begin(self) -> None:
        """Note that the run has come to the file."""
        if self._trouble == NOT_REACHED:
            self._trouble = INTERRUPTED

    def add(self, result: StoreResult) -> None:
        """Count an image."""
        self.images += 1
        self.sent += result.sent
        if result.remark:
            is_one_too_many = result not in self._remarks and len(self._remarks) >= _MOST_REMARKS
            self._remarks[
                StoreResult(result.sent, OTHER_REASONS) if is_one_too_many else result
            ] += 1

    def end(self, images: int, trouble: str = "") -> None:
        """Note that the file was read, and gave so many `images`; some may not be counted yet.

        `trouble` is why the file, or the rest of it, could not be had.
        """
        self._expected = images
        self._trouble = trouble or ("" if images else NO_IMAGE)

    @property
    def is_done(self) -> bool:
        """Whether the file was read, and all its images are counted."""
        return self.images == self._expected

    def report(self) -> FileReport:
        """Return the row of the report.

        A file that was not read to its end counts one image more than were seen, so
        that it never passes for complete.
        """
        remarks = [
            Remark(result.remark, count, failure=not result.sent)
            for result, count in self._remarks.items()
        ]
        images = max(self.images, self._expected or 0)
        trouble = self._trouble or (INTERRUPTED if self.images < images else "")
        if trouble:
            remarks.append(Remark(trouble, 0, failure=True))
        unseen = bool(self._trouble and images)
        return FileReport(self.entry, images + unseen, self.sent, tuple(remarks))
