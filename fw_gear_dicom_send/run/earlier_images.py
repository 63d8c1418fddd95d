"""Knows which images earlier runs have sent to the server, by the reports of these runs."""

import logging
from collections.abc import Iterable
from pathlib import Path

from ..dicom.types import SOPInstance
from ..network.types import PeerAE
from ..report.earlier_reports import EarlierImage, images_on
from .sent_images import digest, digest_of
from .uid_table import UIDTable

log = logging.getLogger(__name__)

MAX_IMAGES = 1 << 20
"""Images that are remembered, in 32 MiB."""
_UNCERTAIN = 0
"""The value of a UID of which reports tell differently."""


class EarlierImages:
    """Compares images by their SOP Instance UID, and by size and CRC-32 of their datasets.

    It is filled before it is asked, so that several threads may ask at once.
    """

    def __init__(self, max_images: int = MAX_IMAGES) -> None:
        """Remember no more than `max_images`; others are sent again."""
        self._max_images = max_images
        self._images = UIDTable()
        self._stored = 0
        self._is_full = False

    def __len__(self) -> int:
        """Return how many images are on the server."""
        return self._stored

    def add(self, image: EarlierImage) -> None:
        """Note an image; one that was told differently before has to be sent again."""
        uid = image.sop_instance_uid
        value = digest(image.size, image.crc32) if image.is_stored else _UNCERTAIN
        known = self._images.get(uid)
        if known is None and len(self._images) >= self._max_images:
            if not self._is_full:
                log.warning("Only %d images of earlier runs are remembered", self._max_images)
            self._is_full = True
        elif known is None:
            self._stored += value != _UNCERTAIN
            self._images.put(uid, value)
        elif known not in (value, _UNCERTAIN):
            self._stored -= 1
            self._images.put(uid, _UNCERTAIN)

    def has(self, instance: SOPInstance) -> bool:
        """Tell whether an earlier run has sent this very dataset; by several threads at once."""
        known = self._images.get(instance.sop_instance_uid)
        if not known:
            return False
        try:
            return known == digest_of(instance)
        except OSError:  # what sends it finds out as well
            return False


def earlier_images(reports: Iterable[Path], peer: PeerAE) -> EarlierImages:
    """Return the images that reports have as sent to a server."""
    found, number = EarlierImages(), 0
    for number, path in enumerate(reports, 1):  # noqa: B007
        for image in images_on(peer, path):
            found.add(image)
    log.info(
        "Earlier runs have sent %d images to this server, by their per-image reports: %d",
        len(found),
        number,
    )
    return found
