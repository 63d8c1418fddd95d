"""Images that earlier runs sent to the server, read from the reports of these runs."""

import logging
from collections.abc import Iterable
from pathlib import Path

from ..delivery.sender import ServerName
from ..dicom.types import SOPInstance
from ..report.earlier_reports import EarlierImage, images_on
from ..text import quantity
from .sent_images import Claim, crc32_of, digest, digest_of
from .uid_table import UIDTable

log = logging.getLogger(__name__)

MAX_IMAGES = 1 << 20
"""Maximum number of images in memory, which take 32 MiB."""


class EarlierImages:
    """Set of images, compared by SOP Instance UID and by size and CRC-32 of the dataset.

    If several images have the same UID, the server has the one that was added last. All images are
    added before the first lookup, so lookups are thread-safe.
    """

    def __init__(self, max_images: int = MAX_IMAGES) -> None:
        """Store at most `max_images`; further images are not compared, and a warning is logged."""
        self._max_images = max_images
        self._sent = UIDTable()
        self._lost = UIDTable()
        self._is_full = False

    def __len__(self) -> int:
        """Return the number of images that were sent."""
        return len(self._sent)

    def add(self, image: EarlierImage) -> None:
        """Add an image that was sent, or one that the server lost."""
        uid = image.sop_instance_uid
        table = self._sent if image.is_stored else self._lost
        is_new = table.get(uid) is None
        if is_new and len(self._sent) + len(self._lost) >= self._max_images:
            if not self._is_full:
                log.warning(
                    "The earlier reports contain too many images: only the first %s are compared, "
                    "the others are sent again",
                    f"{self._max_images:,}",
                )
            self._is_full = True
        else:
            table.put(uid, digest(image.size, image.crc32))

    def claim(self, instance: SOPInstance) -> Claim:
        """Return the relation of an image to the images that were sent; thread-safe.

        An image that the server lost, according to any report, is the first with its UID again.
        Another image with its UID is not. Raise OSError if the dataset cannot be read.
        """
        uid = instance.sop_instance_uid
        known = self._sent.get(uid)
        if known is None:
            return Claim.FIRST
        if known != digest_of(instance):
            return Claim.DIFFERENT
        return Claim.EQUAL if self._lost.get(uid) is None else Claim.FIRST

    def crc32(self, sop_instance_uid: str) -> int | None:
        """Return the CRC-32 of the dataset that was sent with a UID, None if unknown."""
        return crc32_of(self._sent.get(sop_instance_uid))


def earlier_images(reports: Iterable[Path], server: ServerName) -> EarlierImages:
    """Return the images that were sent to a server according to the reports, oldest first."""
    images, number = EarlierImages(), 0
    for number, path in enumerate(reports, 1):  # noqa: B007
        for image in images_on(server, path):
            images.add(image)
    if number == 0:
        log.info("Found no per-image report of an earlier run")
        return images
    log.info(
        "Earlier runs sent %s to this server, according to %s",
        quantity(len(images), "image"),
        quantity(number, "per-image report"),
    )
    return images
