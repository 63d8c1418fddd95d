"""Knows which images a run has sent, so that none replaces another of the same UID."""

import logging
from dataclasses import replace
from enum import Enum
from threading import Condition

from ..dicom.types import SOPInstance, WatchedDataset
from .uid_table import UIDTable

log = logging.getLogger(__name__)

MAX_IMAGES = 1 << 20
"""UIDs that are remembered, in 32 MiB."""
_LARGE = 8 << 20
"""Bytes of a dataset, from which on its CRC-32 is taken while it is sent."""
_UNREADABLE = 0
_MAX_SIZE = _MAX_CRC = (1 << 32) - 1


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
        self._sent = UIDTable()
        self._in_flight: dict[str, int | None] = {}
        self._changed = Condition()
        self._is_told = False

    def claim(self, instance: SOPInstance) -> Claim:
        """Return whether an image is the first of its UID, which has to be settled then.

        Waits for an image of this UID that is being sent. Raises OSError if the dataset cannot
        be read.
        """
        uid = instance.sop_instance_uid
        is_large = instance.dataset.size >= _LARGE
        known_digest = None if is_large else digest_of(instance)
        with self._changed:
            self._changed.wait_for(lambda: uid not in self._in_flight)
            known = self._sent.get(uid)
            if known is None:
                self._in_flight[uid] = known_digest
                return Claim.FIRST
        return Claim.EQUAL if known == (known_digest or digest_of(instance)) else Claim.DIFFERENT

    def watched(self, instance: SOPInstance) -> SOPInstance:
        """Return a claimed image as it is to be sent, and settled then."""
        if self._in_flight[instance.sop_instance_uid] is not None:
            return instance
        dataset = WatchedDataset(instance.dataset.source, instance.dataset.pieces)
        return replace(instance, dataset=dataset)

    def settle(self, instance: SOPInstance, *, is_sent: bool) -> None:
        """Remember a claimed image if it was sent; else the next one of its UID is the first."""
        uid = instance.sop_instance_uid
        with self._changed:
            known = self._in_flight.pop(uid)
            if is_sent and len(self._sent) < self._max_images:
                self._sent.put(uid, _watched_digest(instance) if known is None else known)
            elif is_sent and not self._is_told:
                self._is_told = True
                log.warning(
                    "After %d images no more UIDs are remembered: of two later images with the "
                    "same UID, the second replaces the first",
                    self._max_images,
                )
            self._changed.notify_all()

    def crc32(self, sop_instance_uid: str) -> int | None:
        """Return the CRC-32 of the dataset that was sent with a UID, None where it is not known."""
        with self._changed:
            known = self._sent.get(sop_instance_uid)
        return known & _MAX_CRC if known else None


def digest_of(instance: SOPInstance) -> int:
    """Return what equal datasets have in common, a number of 64 bits; raises OSError."""
    return digest(instance.dataset.size, instance.dataset.crc32())


def _watched_digest(instance: SOPInstance) -> int:
    """Return the digest of an image that was sent and is closed."""
    dataset = instance.dataset
    if isinstance(dataset, WatchedDataset) and dataset.crcs:
        return digest(dataset.size, dataset.crcs[-1])
    return _UNREADABLE


def digest(size: int, crc: int) -> int:
    """Return size and CRC-32 of a dataset as one number of 64 bits."""
    return (size & _MAX_SIZE) << 32 | crc
