"""Knows which images a run has sent, so that none replaces another of the same UID."""

import logging
from array import array
from dataclasses import replace
from enum import Enum
from threading import Condition

from ..dicom.types import SOPInstance, WatchedDataset

log = logging.getLogger(__name__)

MAX_IMAGES = 1 << 20
"""UIDs that are remembered, in 32 MiB."""
_LARGE = 8 << 20
"""Bytes of a dataset, from which on its CRC-32 is taken while it is sent."""
_UNREADABLE = 0
_MIN_SLOTS = 1 << 10
_WORD = (1 << 64) - 1


class Claim(Enum):
    """How an image relates to those that were sent before."""

    FIRST = "no image with its UID was sent"
    EQUAL = "the same image was sent"
    DIFFERENT = "another image with its UID was sent"


class SentImages:
    """Compares images by their SOP Instance UID, and by size and CRC-32 of their datasets.

    The mutable state is the table of the images that were sent, and the images in flight; both
    are changed with the lock of the condition.
    """

    def __init__(self, max_images: int = MAX_IMAGES) -> None:
        """Remember no more than `max_images`; later ones are not compared, which is logged."""
        self._max_images = max_images
        self._sent = _Table()
        self._in_flight: dict[int, int | None] = {}
        self._changed = Condition()
        self._is_told = False

    def claim(self, instance: SOPInstance) -> Claim:
        """Return whether an image is the first of its UID, which has to be settled then.

        Waits for an image of this UID that is being sent. Raises OSError if the dataset cannot
        be read.
        """
        uid = _key(instance)
        is_large = instance.dataset.size >= _LARGE
        digest = None if is_large else _digest(instance)
        with self._changed:
            self._changed.wait_for(lambda: uid not in self._in_flight)
            known = self._sent.get(uid)
            if known is None:
                self._in_flight[uid] = digest
                return Claim.FIRST
        return Claim.EQUAL if known == (digest or _digest(instance)) else Claim.DIFFERENT

    def watched(self, instance: SOPInstance) -> SOPInstance:
        """Return a claimed image as it is to be sent, and settled then."""
        if self._in_flight[_key(instance)] is not None:
            return instance
        dataset = WatchedDataset(instance.dataset.source, instance.dataset.pieces)
        return replace(instance, dataset=dataset)

    def settle(self, instance: SOPInstance, *, is_sent: bool) -> None:
        """Remember a claimed image if it was sent; else the next one of its UID is the first."""
        uid = _key(instance)
        with self._changed:
            digest = self._in_flight.pop(uid)
            if is_sent and len(self._sent) < self._max_images:
                self._sent.add(uid, _watched_digest(instance) if digest is None else digest)
            elif is_sent and not self._is_told:
                self._is_told = True
                log.warning(
                    "After %d images no more UIDs are remembered: of two later images with the "
                    "same UID, the second replaces the first",
                    self._max_images,
                )
            self._changed.notify_all()


def _key(instance: SOPInstance) -> int:
    """Return a number for a UID, never 0; Python's hash has 64 bits and a key of its own."""
    return hash(instance.sop_instance_uid) & _WORD or 1


def _digest(instance: SOPInstance) -> int:
    """Return what equal datasets have in common, a number of 64 bits; raises OSError."""
    return _joined(instance.dataset.size, instance.dataset.crc32())


def _watched_digest(instance: SOPInstance) -> int:
    """Return the digest of an image that was sent and is closed."""
    dataset = instance.dataset
    if isinstance(dataset, WatchedDataset) and dataset.crcs:
        return _joined(dataset.size, dataset.crcs[-1])
    return _UNREADABLE


def _joined(size: int, crc: int) -> int:
    return size << 32 & _WORD | crc


class _Table:
    """A hash table of 64-bit numbers, 16 bytes for each slot, of which half are in use at most."""

    def __init__(self) -> None:
        self._keys = array("Q", bytes(8 * _MIN_SLOTS))
        self._values = array("Q", bytes(8 * _MIN_SLOTS))
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def get(self, key: int) -> int | None:
        """Return the value of a key, None where there is none."""
        slot = self._slot(key)
        return self._values[slot] if self._keys[slot] else None

    def add(self, key: int, value: int) -> None:
        """Add a key that is not in the table; 0 is none."""
        if 2 * self._used >= len(self._keys):
            self._grow()
        slot = self._slot(key)
        self._keys[slot], self._values[slot] = key, value
        self._used += 1

    def _slot(self, key: int) -> int:
        """Return where a key is, or would be."""
        mask = len(self._keys) - 1
        slot = key & mask
        while self._keys[slot] not in (0, key):
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._keys = array("Q", bytes(16 * len(keys)))
        self._values = array("Q", bytes(16 * len(values)))
        for key, value in zip(keys, values, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot], self._values[slot] = key, value
