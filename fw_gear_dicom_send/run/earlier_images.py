"""Images that earlier runs sent to the server, read from the reports of these runs."""

import logging
from collections.abc import Iterable
from pathlib import Path

from ..dicom.types import SOPInstance
from ..network.types import PeerAE
from ..report.earlier_reports import EarlierImage, images_on
from ..text import quantity
from .sent_images import digest, digest_of
from .uid_table import UIDTable

log = logging.getLogger(__name__)

MAX_IMAGES = 1 << 20
"""Maximum number of images in memory, which take 32 MiB."""
_UNCERTAIN = 0
"""Value of a UID for which the reports disagree."""


class EarlierImages:
    """Set of images, compared by SOP Instance UID and by size and CRC-32 of the dataset.

    All images are added before the first lookup, so lookups are thread-safe.
    """

    def __init__(self, max_images: int = MAX_IMAGES) -> None:
        """Store at most `max_images`; further images are sent again."""
        self._max_images = max_images
        self._images = UIDTable()
        self._stored = 0
        self._is_full = False

    def __len__(self) -> int:
        """Return the number of images on the server."""
        return self._stored

    def add(self, image: EarlierImage) -> None:
        """Add an image; one that contradicts an earlier report is sent again."""
        uid = image.sop_instance_uid
        value = digest(image.size, image.crc32) if image.is_stored else _UNCERTAIN
        known = self._images.get(uid)
        if known is None and len(self._images) >= self._max_images:
            if not self._is_full:
                log.warning(
                    "The earlier reports contain too many images: only the first %s are skipped",
                    f"{self._max_images:,}",
                )
            self._is_full = True
        elif known is None:
            self._stored += value != _UNCERTAIN
            self._images.put(uid, value)
        elif known not in (value, _UNCERTAIN):
            self._stored -= 1
            self._images.put(uid, _UNCERTAIN)

    def contains(self, instance: SOPInstance) -> bool:
        """Return whether an earlier run sent exactly this dataset; thread-safe."""
        known = self._images.get(instance.sop_instance_uid)
        if not known:
            return False
        try:
            return known == digest_of(instance)
        except OSError:  # sending reports the same error
            return False


def earlier_images(reports: Iterable[Path], peer: PeerAE) -> EarlierImages:
    """Return the images that were sent to a server according to the reports."""
    images, number = EarlierImages(), 0
    for number, path in enumerate(reports, 1):  # noqa: B007
        for image in images_on(peer, path):
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
