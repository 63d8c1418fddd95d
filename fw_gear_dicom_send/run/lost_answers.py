"""Queries for images that reached the server completely, but whose answers were lost."""

from ..delivery.results import ImageReference, Sent, Suspect
from ..delivery.sender import Finder, Sender
from ..dicom.types import SOPInstance
from ..reasons import Kind, Reason

_REMARK = Reason(Kind.ANSWER_LOST)


class LostAnswers:
    """Finds images that the server stored, so that they are not sent twice.

    The mutable state is the finder, which is created for the first query.
    """

    def __init__(self, sender: Sender, timeout: float) -> None:
        """Query the server of `sender`; wait for an answer for `timeout` seconds at most."""
        self._sender = sender
        self._timeout = timeout
        self._finder: Finder | None = None

    def find(self, instance: SOPInstance, suspect: Suspect) -> Sent | None:
        """Return the result of an image if the server has it, None if not or if it is unknown."""
        if not suspect.may_be_stored:
            return None
        self._finder = self._finder or self._sender.finder(self._timeout)
        image = ImageReference(
            instance.sop_class_uid,
            instance.sop_instance_uid,
            instance.study_instance_uid,
            instance.series_instance_uid,
        )
        if instance.sop_instance_uid not in self._finder.verify([image]).verified:
            return None
        return Sent(suspect.failure.transfer, (_REMARK,))
