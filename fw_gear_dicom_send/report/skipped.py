"""Counter of skipped files, which contain no image, by kind."""

from collections import Counter

from ..models import FileReport
from ..reasons import Skipped
from ..text import quantity
from .events import Observer


class SkippedFiles(Observer):
    """Counter of skipped files. The mutable state is the counts."""

    def __init__(self) -> None:
        """Start with no file."""
        self._counts: Counter[Skipped] = Counter()

    def file(self, report: FileReport) -> None:
        """Count the skipped files in an archive or a folder."""
        self._counts.update(dict(report.skipped))

    @property
    def counts(self) -> dict[Skipped, int]:
        """Counts that are not zero, in the order of the kinds."""
        return {kind: self._counts[kind] for kind in Skipped if self._counts[kind]}

    def by_name(self) -> dict[str, int]:
        """Return the counts for the summary."""
        return {kind.name.lower(): number for kind, number in self.counts.items()}

    @property
    def text(self) -> str:
        """Counts as text, empty if no file was skipped."""
        counts = self.counts
        if not counts:
            return ""
        number = sum(counts.values())
        kinds = ", ".join(f"{kind.value} ({count:,})" for kind, count in counts.items())
        return f"Skipped {quantity(number, 'file')}: {kinds}"
