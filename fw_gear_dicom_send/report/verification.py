"""Verdicts on the images of a run: verified, absent or unknown."""

from collections import Counter
from enum import Enum

from ..account import VerificationSummary
from ..models import FileEntry
from ..reasons import Kind, Reason

_MAX_CODES = 256


class Verdict(Enum):
    """Verdict on an image; the value is the cell in the per-image report."""

    NOT_SENT = ""
    VERIFIED = "yes"
    ABSENT = "no"


class Verifications:
    """Verdicts on all images, by their number in the order of counting.

    The mutable state is one byte per image, the verdicts and reasons that these bytes stand for,
    and the numbers of verified and absent images of each file.
    """

    def __init__(self, method: str) -> None:
        """Start with no image; `method` is the service that verifies."""
        self.method = method
        self.verified: Counter[FileEntry] = Counter()
        self.absent: Counter[FileEntry] = Counter()
        self._codes = bytearray()
        self._meanings: list[Verdict | Reason] = [*Verdict, Reason(Kind.NOT_VERIFIED)]

    def add(self, *, is_sent: bool) -> int:
        """Add an image and return its number; a sent image is not verified yet."""
        meaning = Reason(Kind.NOT_VERIFIED) if is_sent else Verdict.NOT_SENT
        self._codes.append(self._meanings.index(meaning))
        return len(self._codes) - 1

    def note(self, entry: FileEntry, number: int, verdict: Verdict | Reason) -> bool:
        """Set the verdict on an image of a file; return whether the reason is new."""
        is_new = verdict not in self._meanings
        if is_new and len(self._meanings) < _MAX_CODES - 1:
            self._meanings.append(verdict)
        elif is_new:
            verdict = Reason(Kind.OTHER)
            is_new = verdict not in self._meanings
            self._meanings += [verdict] * is_new
        before = self._meanings[self._codes[number]]
        for counter, known in ((self.verified, Verdict.VERIFIED), (self.absent, Verdict.ABSENT)):
            counter[entry] += (verdict is known) - (before is known)
        self._codes[number] = self._meanings.index(verdict)
        return is_new

    def cell(self, number: int) -> str:
        """Return the cell of an image in the per-image report."""
        meaning = self._meanings[self._codes[number]]
        return meaning.text if isinstance(meaning, Reason) else meaning.value

    def summary(self) -> VerificationSummary:
        """Return the current numbers."""
        counts = {self._meanings[code]: number for code, number in Counter(self._codes).items()}
        not_sent = counts.get(Verdict.NOT_SENT, 0)
        causes = [(key, number) for key, number in counts.items() if isinstance(key, Reason)]
        return VerificationSummary(
            self.method,
            len(self._codes) - not_sent,
            counts.get(Verdict.VERIFIED, 0),
            counts.get(Verdict.ABSENT, 0),
            tuple(sorted(causes, key=lambda cause: -cause[1])),
        )
