"""What the server knows of each image, shared between the two processes."""

from dataclasses import dataclass, field
from multiprocessing.sharedctypes import RawArray
from multiprocessing.synchronize import Lock
from typing import Any, Self

FIRST_LARGE, LARGE_EVERY = 250, 500
SMALL_SIZE, LARGE_SIZE = 2048, 1 << 20
FAULTS = {
    "closed in mid image": 0.001,
    "reset in mid image": 0.001,
    "aborted in mid image": 0.001,
    "closed before the answer": 0.001,
    "reset before the answer": 0.001,
    "aborted before the answer": 0.001,
    "closed between images": 0.001,
    "aborted between images": 0.001,
    "out of resources, 0xA700": 0.001,
    "resource limitation, 0x0213": 0.0005,
    "answered late": 0.005,
}
"""What befalls images, and how many of them."""
OPENING_FAULTS = {"rejected for now": 0.15, "closed instead of accepted": 0.01}
"""What befalls association requests, and how many of them."""
RESTART, DUPLICATE = "gone for a second", "duplicate, 0x0111"
KINDS = (*FAULTS, *OPENING_FAULTS, RESTART, DUPLICATE)


def content_of(number: int) -> bytes:
    """Return the dataset of an image, which no other has."""
    size = LARGE_SIZE if number % LARGE_EVERY == FIRST_LARGE else SMALL_SIZE
    return number.to_bytes(4, "big") * (size // 4)


@dataclass(frozen=True)
class Ledger:
    """For each image: how often it came, was acknowledged, and lost its connection after that.

    `faults` are counted in the order of `KINDS`, `spoiled` are the images that came
    otherwise than they were sent.
    """

    tries: Any
    kept: Any
    acknowledged: Any
    losses: Any
    faults: Any
    spoiled: Any
    lock: Lock = field(repr=False)

    @classmethod
    def of(cls, images: int, lock: Lock) -> Self:
        """Return an empty one."""
        tries, kept, acknowledged, losses = (RawArray("B", images) for _ in range(4))
        faults, spoiled = RawArray("L", len(KINDS)), RawArray("L", 1)
        return cls(tries, kept, acknowledged, losses, faults, spoiled, lock)

    def note(self, kind: str) -> None:
        """Count a fault."""
        with self.lock:
            self.faults[KINDS.index(kind)] += 1

    def counts(self) -> dict[str, int]:
        """Return how often each fault befell."""
        return dict(zip(KINDS, self.faults, strict=True))
