"""Number of series and images of each modality in a run."""

from ..account import ModalityCount
from ..dicom.modalities import modality_of
from ..models import ImageRecord
from .events import Observer

MAX_SERIES = 50_000
"""Maximum number of series that are counted, in all modalities together."""
MAX_MODALITIES = 50
OTHER = "other"


class ModalityCounts(Observer):
    """Counter of images by modality. The mutable state is the counts and the hashes of series."""

    def __init__(self) -> None:
        """Start with no image."""
        self._images: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._series: dict[str, set[int]] = {}
        self._known_series = 0
        self._is_resending = False

    def start_resending(self) -> None:
        """Stop counting: all further images are resent and already counted."""
        self._is_resending = True

    def image(self, record: ImageRecord) -> None:
        """Count an image."""
        if self._is_resending:
            return
        modality = modality_of(record.sop_class_uid)
        if modality not in self._images and len(self._images) >= MAX_MODALITIES:
            modality = OTHER
        self._images[modality] = self._images.get(modality, 0) + 1
        self._bytes[modality] = self._bytes.get(modality, 0) + record.size
        series = self._series.setdefault(modality, set())
        uid = hash(record.series_instance_uid)
        if record.series_instance_uid and uid not in series and not self.is_cut:
            series.add(uid)
            self._known_series += 1

    @property
    def is_cut(self) -> bool:
        """Whether there may be more series than are counted."""
        return self._known_series >= MAX_SERIES

    def counts(self) -> tuple[ModalityCount, ...]:
        """Return the counts, the modality with the most images first."""
        counts = (
            ModalityCount(modality, len(self._series[modality]), images, self._bytes[modality])
            for modality, images in self._images.items()
        )
        return tuple(sorted(counts, key=lambda count: (-count.images, count.modality)))
