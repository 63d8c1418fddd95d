"""Images on the server: sent by this run or by earlier runs, or found by queries."""

import logging
from array import array
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from threading import Condition, Lock

from ..delivery.results import AlreadyStored, NotSent
from ..delivery.sender import Finder, QueryError, ServerKey
from ..dicom.types import SOPInstance, WatchedDataset
from ..reasons import Kind, Reason
from ..report.earlier_reports import EarlierImage, images_on
from ..text import quantity
from ..values import replace

log = logging.getLogger(__name__)

MAX_IMAGES = 1 << 20
"""Maximum number of images in memory of this run, and of earlier runs. They take 32 MiB each."""
MAX_PLACES = 10_000
"""Maximum number of sent images whose file and member are known. They take about 2 MiB."""
_LARGE = 8 << 20
"""Minimum size, in bytes, of datasets whose CRC-32 is computed while they are sent."""
_MAX_SERIES = 64
"""Number of series whose query results are cached."""
_MIN_SLOTS = 1 << 10
_MAX_SIZE = _MAX_CRC = (1 << 32) - 1
_WORD = (1 << 64) - 1
_DUPLICATE = AlreadyStored(Reason(Kind.DUPLICATE), is_equal=True)
_SENT_EARLIER = AlreadyStored(Reason(Kind.SENT_EARLIER), is_equal=True)


class KnownImages:
    """Images on the server, so that no image is sent twice or replaces another one.

    Sent images are compared by SOP Instance UID and by size and CRC-32 of the dataset. If several
    images of earlier runs have the same UID, the server has the one that was added last. All of
    them are added before the first claim.

    The mutable state is the tables and the images in flight, which change under the lock of the
    condition, and the cached query results, which have a lock of their own.
    """

    def __init__(self, find: Finder | None = None, max_images: int = MAX_IMAGES) -> None:
        """Query the server with `find`, if any.

        Of this run and of earlier runs, compare at most `max_images` images each. If there are
        more, a warning is logged.
        """
        self._find = find
        self._max_images = max_images
        self._sent = _UIDTable()
        self._earlier = _UIDTable()
        self._lost = _UIDTable()
        self._in_flight: dict[str, int | None] = {}
        self._places: dict[str, str] = {}
        self._warnings: set[str] = set()
        self._changed = Condition()
        self._series: OrderedDict[tuple[str, str], Future[frozenset[str]]] = OrderedDict()
        self._query_lock = Lock()

    def add_reports(self, reports: Iterable[Path], server: ServerKey) -> None:
        """Add the images that were sent to a server according to per-image reports.

        The oldest report comes first.
        """
        number = 0
        for number, path in enumerate(reports, 1):  # noqa: B007
            for image in images_on(server, path):
                self.add(image)
        if number == 0:
            log.info("Found no per-image report of an earlier run")
            return
        log.info(
            "Earlier runs sent %s to this server, according to %s",
            quantity(len(self._earlier), "image"),
            quantity(number, "per-image report"),
        )

    def add(self, image: EarlierImage) -> None:
        """Add an image that an earlier run sent, or one that the server lost."""
        uid = image.sop_instance_uid
        table = self._earlier if image.is_stored else self._lost
        if table.get(uid) is None and len(self._earlier) + len(self._lost) >= self._max_images:
            self._warn(
                "The earlier reports contain too many images: only the first %s are compared, "
                "the others are sent again"
            )
        else:
            table.put(uid, _digest(image.size, image.crc32))

    def claim(self, instance: SOPInstance) -> SOPInstance | AlreadyStored | NotSent:
        """Return the image to send, or its result if an image with its UID was sent before.

        Call `settle` for a returned image. It may be changed to compute its CRC-32 while it is
        sent. Wait while another image with its UID is being sent. An image that the server lost,
        according to any report, is sent again. Raise OSError if the dataset cannot be read.
        """
        uid = instance.sop_instance_uid
        earlier = self._earlier.get(uid)
        is_large = instance.dataset.size >= _LARGE
        own = None if is_large and earlier is None else _digest_of(instance)
        if earlier is not None and earlier != own:
            return _other_image(" by an earlier run")
        if earlier is not None and self._lost.get(uid) is None:
            return _SENT_EARLIER
        with self._changed:
            self._changed.wait_for(lambda: uid not in self._in_flight)
            known = self._sent.get(uid)
            if known is None:
                self._in_flight[uid] = own
        if known is not None:
            if known == (own or _digest_of(instance)):
                return _DUPLICATE
            first = self._places.get(uid)
            return _other_image(f": {first}" if first else "")
        if own is not None:
            return instance
        dataset = instance.dataset
        return replace(instance, dataset=WatchedDataset(dataset.source, dataset.pieces))

    def settle(self, instance: SOPInstance, place: str = "", *, is_sent: bool) -> None:
        """Store a claimed image and its place if it was sent; otherwise release its UID."""
        uid = instance.sop_instance_uid
        own = self._in_flight[uid]
        if is_sent and own is None:  # may read a large image, for which no other image waits
            own = _watched_digest(instance)
        with self._changed:
            del self._in_flight[uid]
            if is_sent and len(self._sent) < self._max_images:
                self._sent.put(uid, own or 0)
                if len(self._places) < MAX_PLACES:
                    self._places[uid] = place
            elif is_sent:
                self._warn(
                    "Duplicate UIDs are no longer detected after %s images. If two later images "
                    "have the same UID, the second replaces the first"
                )
            self._changed.notify_all()

    def crc32(self, sop_instance_uid: str) -> int | None:
        """Return the CRC-32 of the dataset that was sent with a UID, None if unknown."""
        with self._changed:
            known = self._sent.get(sop_instance_uid)
        if known is None:
            known = self._earlier.get(sop_instance_uid)
        return known & _MAX_CRC if known else None

    def is_on_server(self, instance: SOPInstance) -> bool:
        """Return whether a query finds an image; thread-safe.

        The first image of a series triggers one query for the whole series. Other images of the
        series wait for it, and have the same result if it fails. Raises QueryError.
        """
        if not self._find:
            return False
        series = (instance.study_instance_uid, instance.series_instance_uid)
        with self._query_lock:
            is_first = series not in self._series
            found = self._series.setdefault(series, Future())
            self._series.move_to_end(series)
            if len(self._series) > _MAX_SERIES:
                self._series.popitem(last=False)
        if is_first:
            try:
                found.set_result(self._find.present(*series))
            except Exception as exc:
                if isinstance(exc, QueryError):
                    self._warn("Cannot check for existing images of a series: %s", str(exc))
                found.set_exception(exc)
        return instance.sop_instance_uid in found.result()

    def _warn(self, message: str, detail: str = "") -> None:
        """Log a warning with a detail, or the maximum number of images, once."""
        if message not in self._warnings:
            self._warnings.add(message)
            log.warning(message, detail or f"{self._max_images:,}")


class _UIDTable:
    """Hash table from UIDs to 64-bit numbers, with 16 bytes per slot, at most half full.

    A UID is identified by its 64-bit hash, which has a different key in each process.
    """

    def __init__(self) -> None:
        self._keys = self._values = array("Q")
        self._used = 0
        self._resize(_MIN_SLOTS)

    def __len__(self) -> int:
        return self._used

    def get(self, uid: str) -> int | None:
        """Return the value of a UID, None if it is not in the table."""
        slot = self._slot(_key(uid))
        return self._values[slot] if self._keys[slot] else None

    def put(self, uid: str, value: int) -> None:
        """Set the value of a UID."""
        if 2 * self._used >= len(self._keys):
            self._resize(2 * len(self._keys))
        key = _key(uid)
        slot = self._slot(key)
        self._used += not self._keys[slot]
        self._keys[slot], self._values[slot] = key, value

    def _slot(self, key: int) -> int:
        """Return the slot of a key, or the free slot for it."""
        mask = len(self._keys) - 1
        slot = key & mask
        while self._keys[slot] not in (0, key):
            slot = (slot + 1) & mask
        return slot

    def _resize(self, slots: int) -> None:
        keys, values = self._keys, self._values
        self._keys, self._values = array("Q", bytes(8 * slots)), array("Q", bytes(8 * slots))
        for key, value in zip(keys, values, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot], self._values[slot] = key, value


def _other_image(first: str) -> NotSent:
    """Return the result of an image with the UID of an earlier one, which is at `first`."""
    return NotSent(Reason(Kind.DUPLICATE_UID, first))


def _key(uid: str) -> int:
    """Return the hash of a UID, never 0."""
    return hash(uid) & _WORD or 1


def _digest_of(instance: SOPInstance) -> int:
    """Return the 64-bit digest of a dataset; raise OSError if it cannot be read."""
    return _digest(instance.dataset.size, instance.dataset.crc32())


def _watched_digest(instance: SOPInstance) -> int:
    """Return the digest of an image that was sent, 0 if it is unreadable: it equals no other."""
    try:
        return _digest_of(instance)
    except OSError:
        return 0


def _digest(size: int, crc: int) -> int:
    """Return size and CRC-32 of a dataset as one number."""
    return (size & _MAX_SIZE) << 32 | crc
