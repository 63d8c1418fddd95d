"""Which files a run leaves out: counted by cause, and some of them named."""

from collections import Counter
from itertools import islice

from .models import Cause, LeftOut
from .text import printable

MAX_EXAMPLES = 10
MAX_LENGTH = 80
"""How many are named for one cause, and with how many characters each."""


class LeftOutFiles:
    """Counts them. The mutable state is the counts and the names, which are bounded."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts: Counter[Cause] = Counter()
        self._names: dict[Cause, list[str]] = {}
        self._types: Counter[str] = Counter()

    def add(self, cause: Cause, name: str = "") -> None:
        """Count a file; it is named where a name is given."""
        self._counts[cause] += 1
        names = self._names.setdefault(cause, [])
        if name and len(names) < MAX_EXAMPLES:
            names.append(_short(name))

    def add_type(self, file_type: object) -> None:
        """Count a file of another type, which is what the site has for it."""
        self._counts[Cause.OTHER_TYPE] += 1
        self._types[_short(file_type) if isinstance(file_type, str) else "without type"] += 1

    def counted(self) -> tuple[LeftOut, ...]:
        """Return what was left out, in the order of the causes."""
        return tuple(self._of(cause) for cause in Cause if self._counts[cause])

    def _of(self, cause: Cause) -> LeftOut:
        number = self._counts[cause]
        if cause is Cause.OTHER_TYPE:
            common = self._types.most_common(MAX_EXAMPLES)
            examples = tuple(f"{count} {name}" for name, count in common)
            return LeftOut(cause, number, examples, number - sum(count for _, count in common))
        names = tuple(self._names[cause])
        return LeftOut(cause, number, names, number - len(names))


def _short(name: str) -> str:
    """Return a name that is printable, and cut where it is long."""
    shown = printable("".join(islice(name, MAX_LENGTH + 1)))
    return shown if len(shown) <= MAX_LENGTH else f"{shown[: MAX_LENGTH - 1]}…"
