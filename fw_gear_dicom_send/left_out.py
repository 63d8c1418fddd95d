"""Counts of the files that a run leaves out, by cause, with example names."""

from collections import Counter
from itertools import islice

from .models import Exclusion, LeftOut
from .text import printable

MAX_EXAMPLES = 10
MAX_LENGTH = 80
"""Maximum number of names for one cause, and maximum characters of a name."""


class LeftOutFiles:
    """Counter of left-out files. The mutable state is the counts and names, which are bounded."""

    def __init__(self) -> None:
        """Start without files."""
        self._counts: Counter[Exclusion] = Counter()
        self._names: dict[Exclusion, list[str]] = {}
        self._types: Counter[str] = Counter()

    def add(self, cause: Exclusion, name: str = "") -> None:
        """Count a file, and keep its name if one is given."""
        self._counts[cause] += 1
        names = self._names.setdefault(cause, [])
        if name and len(names) < MAX_EXAMPLES:
            names.append(_short(name))

    def add_type(self, file_type: object) -> None:
        """Count a file of another type. `file_type` is the value from the site."""
        self._counts[Exclusion.OTHER_TYPE] += 1
        self._types[_short(file_type) if isinstance(file_type, str) else "without type"] += 1

    def counted(self) -> tuple[LeftOut, ...]:
        """Return the left-out files, in the order of the causes."""
        return tuple(self._of(cause) for cause in Exclusion if self._counts[cause])

    def _of(self, cause: Exclusion) -> LeftOut:
        number, names = self._counts[cause], self._names.get(cause, [])
        types = self._types.most_common(MAX_EXAMPLES) if cause is Exclusion.OTHER_TYPE else []
        examples = (*names, *(f"{count} {name}" for name, count in types))
        more = number - len(names) - sum(count for _, count in types)
        return LeftOut(cause, number, examples, more)


def _short(name: str) -> str:
    """Return a name in printable form, truncated if it is long."""
    shown = printable("".join(islice(name, MAX_LENGTH + 1)))
    return shown if len(shown) <= MAX_LENGTH else f"{shown[: MAX_LENGTH - 1]}…"
