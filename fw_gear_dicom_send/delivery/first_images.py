"""Sends the first image of each patient and study alone.

An archive creates patient and study with their first image. If that image arrives over several
connections at once, some archives refuse images or create a patient twice: dcm4chee-arc-light
(issues 31, 42, 3948 and 4990) and Microsoft's dicom-server (pull request 1491).
"""

from collections.abc import Callable
from threading import Condition

from ..dicom.types import SOPInstance
from .results import Planned, Sent, StoreResult, Suspect

Key = tuple[str, int]
Result = StoreResult | Suspect


class FirstImages:
    """Patients and studies that the server has, and those whose first image is being sent.

    A patient or study whose first image failed remains unknown, so that the next image is first.
    Patient and study are known by hashes, which differ in each process. The condition guards both
    sets.
    """

    def __init__(self, max_known: int = 100_000) -> None:
        """Start without a known patient or study. Before more than `max_known`, forget all."""
        self._max_known = max_known
        self._known: set[Key] = set()
        self._in_flight: set[Key] = set()
        self._changed = Condition()

    def in_turn(self, instance: SOPInstance, send: Callable[[], Result]) -> Result:
        """Call `send`, which sends an image, and return its result.

        Wait before it while the first image of the same patient or study is being sent.
        """
        keys = _keys(instance)
        if not self._unknown(keys):
            return send()
        with self._changed:
            self._changed.wait_for(lambda: self._in_flight.isdisjoint(self._unknown(keys)))
            own = self._unknown(keys)
            self._in_flight |= own
        result = None
        try:
            result = send()
        finally:
            with self._changed:
                self._in_flight -= own
                if isinstance(result, Sent | Planned):
                    if len(self._known) + len(own) > self._max_known:
                        self._known.clear()
                    self._known |= own
                self._changed.notify_all()
        return result

    def _unknown(self, keys: tuple[Key, ...]) -> set[Key]:
        return {key for key in keys if key not in self._known}


def _keys(instance: SOPInstance) -> tuple[Key, ...]:
    """Return the keys of an image that names a study. Without a Patient ID, it has no patient."""
    if not instance.study_instance_uid:
        return ()
    study = "study", hash(instance.study_instance_uid)
    return (("patient", instance.patient), study) if instance.patient else (study,)
