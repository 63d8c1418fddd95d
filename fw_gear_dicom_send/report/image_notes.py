"""Counts of images that archives may refuse, or may keep with other content."""

from collections import Counter
from collections.abc import Mapping

from ..delivery.results import AlreadyStored
from ..models import ImageRecord
from ..reasons import Kind
from ..text import quantity
from .events import Observer

_IDENTIFIERS = {
    "patient_id": "Patient ID",
    "study_instance_uid": "Study Instance UID",
    "series_instance_uid": "Series Instance UID",
}
"""Identifiers that Azure and dcm4chee need, by their names in the summary."""
_OTHER_CONTENT = (0x0111, 0xB007)
"""Statuses for an object with the same UID, and for a dataset that does not match (PS3.4 B.2.3)."""


class ImageNotes(Observer):
    """Counter of such images. The mutable state is the counts."""

    def __init__(self) -> None:
        """Start with no image."""
        self._is_resending = False
        self.content: Counter[str] = Counter()
        """Number of images that may have other content on the server, by cause."""
        self.missing = dict.fromkeys(_IDENTIFIERS, 0)
        """Number of images without each identifier."""

    def start_resending(self) -> None:
        """Stop counting: all further images are resent and already counted."""
        self._is_resending = True

    def image(self, record: ImageRecord) -> None:
        """Count an image."""
        if self._is_resending:
            return
        result, answer = record.result, record.result.transfer.answer
        if answer and answer.code in _OTHER_CONTENT:
            self.content[f"status {answer.text}"] += 1
        for remark in result.remarks:
            if remark.kind is Kind.ANSWER_LOST:
                self.content[remark.text] += 1
        if isinstance(result, AlreadyStored):
            self.content[result.reason.text] += not result.is_equal
        elif record.sop_instance_uid:  # readable
            self.missing["patient_id"] += not record.has_patient_id
            self.missing["study_instance_uid"] += not record.study_instance_uid
            self.missing["series_instance_uid"] += not record.series_instance_uid


def missing_text(missing: Mapping[str, int]) -> str:
    """Return the images without an identifier, without the last full stop; empty if none."""
    counts = [
        f"without {name}: {missing[key]:,}"
        for key, name in _IDENTIFIERS.items()
        if missing.get(key)
    ]
    return f"Images {', '.join(counts)}. Some archives refuse such images" if counts else ""


def content_text(content: Mapping[str, int]) -> str:
    """Return the images that may have other content on the server, in the same way."""
    counts = [f"{cause} ({number:,})" for cause, number in content.items() if number]
    if not counts:
        return ""
    return (
        f"The content on the server may differ for {quantity(sum(content.values()), 'image')}: "
        f"{', '.join(counts)}. To replace it, delete these images there, then send them again"
    )
