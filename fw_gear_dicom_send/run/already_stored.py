"""Knows which images the server has already."""

import logging
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from ..dicom.types import SOPInstance
from ..network.errors import QueryError

if TYPE_CHECKING:  # queries take long to import, and few runs ask
    from ..network.query import FindSCU

log = logging.getLogger(__name__)

_MAX_SERIES = 64


class StoredImages:
    """Asks for a whole series at its first image, and remembers the answer for a while."""

    def __init__(self, find: "FindSCU") -> None:
        """Ask by `find`."""
        self._find = find
        self._series: OrderedDict[tuple[str, str], frozenset[str]] = OrderedDict()
        self._lock = Lock()
        self._is_off = False

    def has(self, instance: SOPInstance) -> bool:
        """Tell whether the server has an image; by several threads at once.

        Where the server does not tell, which is logged once, it has none.
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
                    log.warning("All images are sent, whether they are there or not: %s", exc)
                    self._is_off = True
                    return False
            self._series.move_to_end(series)
            if len(self._series) > _MAX_SERIES:
                self._series.popitem(last=False)
            return instance.sop_instance_uid in self._series[series]
