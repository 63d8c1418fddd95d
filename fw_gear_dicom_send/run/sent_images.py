"""Images that this run has sent, so that no image replaces another one with the same UID."""

import logging
from dataclasses import replace
from enum import Enum
from threading import Condition

from ..dicom.types import SOPInstance, WatchedDataset
from .uid_table import UIDTable

log = logging.getLogger(__name__)

MAX_IMAGES = 1 << 20
"""Maximum number of UIDs in memory, which take 32 MiB."""
_LARGE = 8 << 20
"""Minimum size, in bytes, of datasets whose CRC-32 is computed while they are sent."""
_UNREADABLE = 0
_MAX_SIZE = _MAX_CRC = (1 << 32) - 1


class Claim(Enum):
    """Relation of an image to the images that were sent before."""

    FIRST = "no image with its UID was sent"
    EQUAL = "the same image was sent"
    DIFFERENT = "another image with its UID was sent"


class SentImages:
    """Set of sent images, compared by SOP Instance UID and by size and CRC-32 of the dataset.

    The mutable state is the table of sent images and the images in flight. Both change under the
    lock of the condition.
    """

    def __init__(self, max_images: int = MAX_IMAGES) -> None:
        """Store at most `max_images`; further images are not compared, and a warning is logged."""
        self._max_images = max_images
        self._sent = UIDTable()
        self._in_flight: dict[str, int | None] = {}
        self._changed = Condition()
        self._is_told = False

    def claim(self, instance: SOPInstance) -> Claim:
        """Return whether an image is the first with its UID; call `settle` for it then.

        Wait while another image with this UID is being sent. Raise OSError if the dataset cannot
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
        """Return a claimed image that computes its CRC-32 while it is sent, if necessary."""
        if self._in_flight[instance.sop_instance_uid] is not None:
            return instance
        dataset = WatchedDataset(instance.dataset.source, instance.dataset.pieces)
        return replace(instance, dataset=dataset)

    def settle(self, instance: SOPInstance, *, is_sent: bool) -> None:
        """Store a claimed image if it was sent; otherwise release its UID."""
        uid = instance.sop_instance_uid
        with self._changed:
            known = self._in_flight.pop(uid)
            if is_sent and len(self._sent) < self._max_images:
                self._sent.put(uid, _watched_digest(instance) if known is None else known)
            elif is_sent and not self._is_told:
                self._is_told = True
                log.warning(
                    "Duplicate UIDs are no longer detected after %s images. If two later images "
                    "have the same UID, the second replaces the first",
                    f"{self._max_images:,}",
                )
            self._changed.notify_all()

    def crc32(self, sop_instance_uid: str) -> int | None:
        """Return the CRC-32 of the dataset that was sent with a UID, None if unknown."""
        with self._changed:
            return crc32_of(self._sent.get(sop_instance_uid))


def digest_of(instance: SOPInstance) -> int:
    """Return the 64-bit digest of a dataset; raise OSError if it cannot be read."""
    return digest(instance.dataset.size, instance.dataset.crc32())


def _watched_digest(instance: SOPInstance) -> int:
    """Return the digest of an image that is sent; an unreadable image equals no other."""
    try:
        return digest_of(instance)
    except OSError:
        return _UNREADABLE


def digest(size: int, crc: int) -> int:
    """Return size and CRC-32 of a dataset as one 64-bit number."""
    return (size & _MAX_SIZE) << 32 | crc


def crc32_of(known: int | None) -> int | None:
    """Return the CRC-32 in a digest, None if there is no digest or the dataset was unreadable."""
    return known & _MAX_CRC if known else None
