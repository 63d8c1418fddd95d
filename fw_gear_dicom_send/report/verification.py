"""Which images of a run were verified on the server."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from ..models import FileEntry
from ..reasons import Kind, Reason

METHODS = {"find": "C-FIND", "commit": "storage commitment"}
"""What the values of `verify` ask the server by."""
_MAX_CODES = 256


class Verdict(Enum):
    """What is known of an image; the value is what the per-image report says."""

    NOT_SENT = ""
    VERIFIED = "yes"
    ABSENT = "no"


@dataclass(frozen=True)
class VerificationSummary:
    """How many of the images that were sent, or already there, were verified, and why not all.

    `absent` are not on the server; `causes` has how many are unknown for each reason.
    """

    method: str
    images: int
    verified: int
    absent: int
    causes: tuple[tuple[Reason, int], ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all were."""
        return self.verified == self.images

    @property
    def text(self) -> str:
        """The numbers, in a line."""
        count = f"{self.verified} of {self.images}"
        if self.is_whole:
            return f"{count} verified by {self.method}"
        parts = [(reason.text, number) for reason, number in self.causes]
        if self.absent:
            parts.insert(0, ("not on the server", self.absent))
        if len(parts) == 1:
            return f"Verified: {count}, {parts[0][0]}"
        return f"Verified: {count}, " + "; ".join(f"{text} ({number})" for text, number in parts)


class Verifications:
    """What is known of each image, by its number in the order in which images are counted.

    The mutable state is a byte for each image, the verdicts and reasons that these bytes mean,
    and the numbers of verified and of absent images of each file.
    """

    def __init__(self, method: str) -> None:
        """Begin with no image; `method` is one of `METHODS`."""
        self.method = METHODS[method]
        self.verified: Counter[FileEntry] = Counter()
        self.absent: Counter[FileEntry] = Counter()
        self._codes = bytearray()
        self._meanings: list[Verdict | Reason] = [*Verdict, Reason(Kind.NOT_VERIFIED)]

    def add(self, *, is_sent: bool) -> int:
        """Count an image, which is not verified yet if it was sent; return its number."""
        meaning = Reason(Kind.NOT_VERIFIED) if is_sent else Verdict.NOT_SENT
        self._codes.append(self._meanings.index(meaning))
        return len(self._codes) - 1

    def note(self, entry: FileEntry, number: int, verdict: Verdict | Reason) -> bool:
        """Note what is known of an image of a file; tell whether the reason is a new one."""
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
        """Return what the per-image report says of an image."""
        meaning = self._meanings[self._codes[number]]
        return meaning.text if isinstance(meaning, Reason) else meaning.value

    def summary(self) -> VerificationSummary:
        """Return the numbers by now."""
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
