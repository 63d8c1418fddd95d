"""Record of the images on the server, shared between the two processes."""

from dataclasses import dataclass, field
from multiprocessing.sharedctypes import RawArray
from multiprocessing.synchronize import Lock
from typing import Any, Self

FIRST_LARGE, LARGE_EVERY = 250, 500
SMALL_SIZE, LARGE_SIZE = 2048, 1 << 20
FAULTS = {
    "closed during an image": 0.001,
    "reset during an image": 0.001,
    "aborted during an image": 0.001,
    "closed before the response": 0.001,
    "reset before the response": 0.001,
    "aborted before the response": 0.001,
    "closed between images": 0.001,
    "aborted between images": 0.001,
    "out of resources, 0xA700": 0.001,
    "resource limitation, 0x0213": 0.0005,
    "late response": 0.005,
}
"""Faults of images with their probabilities."""
OPENING_FAULTS = {"rejected temporarily": 0.15, "closed instead of accepted": 0.01}
"""Faults of association requests with their probabilities."""
RESTART, DUPLICATE = "unavailable for a second", "duplicate, 0x0111"
KINDS = (*FAULTS, *OPENING_FAULTS, RESTART, DUPLICATE)


def content_of(number: int) -> bytes:
    """Return the dataset of an image, which is unique."""
    size = LARGE_SIZE if number % LARGE_EVERY == FIRST_LARGE else SMALL_SIZE
    return number.to_bytes(4, "big") * (size // 4)


@dataclass(frozen=True)
class Ledger:
    """Counts for each image: attempts, acknowledgements, and connections lost afterwards.

    `faults` has a count for each of `KINDS`. `spoiled` counts images that changed on the way.
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
        """Return an empty ledger."""
        tries, kept, acknowledged, losses = (RawArray("B", images) for _ in range(4))
        faults, spoiled = RawArray("L", len(KINDS)), RawArray("L", 1)
        return cls(tries, kept, acknowledged, losses, faults, spoiled, lock)

    def note(self, kind: str) -> None:
        """Count a fault."""
        with self.lock:
            self.faults[KINDS.index(kind)] += 1

    def counts(self) -> dict[str, int]:
        """Return the number of each fault."""
        return dict(zip(KINDS, self.faults, strict=True))
