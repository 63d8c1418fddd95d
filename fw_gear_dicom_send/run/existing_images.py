"""Check for existing images on the server (option `skip_existing`)."""

import logging
from collections import OrderedDict
from threading import Lock

from ..delivery.sender import Finder, QueryError
from ..dicom.types import SOPInstance

log = logging.getLogger(__name__)

_MAX_SERIES = 64
"""Series whose answers are cached."""


class ExistingImages:
    """Existing images on the server.

    The first image of a series triggers one query for the whole series. The answers about the
    most recent series are cached.
    """

    def __init__(self, find: Finder) -> None:
        """Query the server with `find`."""
        self._find = find
        self._series: OrderedDict[tuple[str, str], frozenset[str]] = OrderedDict()
        self._lock = Lock()
        self._is_off = False

    def contains(self, instance: SOPInstance) -> bool:
        """Return whether the server has an image; thread-safe.

        If a query fails, this is logged once, and every later answer is False.
        """
        series = (instance.study_instance_uid, instance.series_instance_uid)
        if not all(series):
            return False
        with self._lock:
            if self._is_off:
                return False
            if series not in self._series:
                try:
                    self._series[series] = self._find.present(*series)
                except QueryError as exc:
                    log.warning("Cannot check for existing images; sending all: %s", exc)
                    self._is_off = True
                    return False
            self._series.move_to_end(series)
            if len(self._series) > _MAX_SERIES:
                self._series.popitem(last=False)
            return instance.sop_instance_uid in self._series[series]
