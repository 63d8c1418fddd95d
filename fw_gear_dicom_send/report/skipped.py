"""How many files of a run hold no image to send, by their kind."""

from collections import Counter

from ..models import FileReport
from ..reasons import Skipped
from ..text import quantity
from .events import Observer


class SkippedFiles(Observer):
    """Counts them. The mutable state is the counts."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts: Counter[Skipped] = Counter()

    def file(self, report: FileReport) -> None:
        """Count those in a Flywheel file, or in a folder."""
        self._counts.update(dict(report.skipped))

    @property
    def counts(self) -> dict[Skipped, int]:
        """Those that there are, in the order of the kinds."""
        return {kind: self._counts[kind] for kind in Skipped if self._counts[kind]}

    def by_name(self) -> dict[str, int]:
        """Return the counts as programs get them."""
        return {kind.name.lower(): number for kind, number in self.counts.items()}

    @property
    def text(self) -> str:
        """The counts in words, empty where nothing was skipped."""
        counts = self.counts
        if not counts:
            return ""
        number = sum(counts.values())
        kinds = ", ".join(f"{count} {kind.value}" for kind, count in counts.items())
        return f"Skipped {quantity(number, 'file')}: {kinds}"
