"""An image on its way through the steps of a run."""

from dataclasses import dataclass

from ..dicom.types import MemberNumber, SOPInstance, Unreadable
from ..models import FileEntry, ImageRecord
from ..network.types import StoreResult

Key = tuple[FileEntry, MemberNumber]
"""What finds an image again: its file, and its number in it."""


@dataclass(frozen=True)
class Image:
    """An image of a file, and what it is called: the member of an archive by number or name.

    `position` is how many bytes of the file were read with it, `number` that of the member.
    """

    entry: FileEntry
    number: MemberNumber
    name: str
    position: int
    content: SOPInstance | Unreadable

    @property
    def key(self) -> Key:
        """What finds it again."""
        return self.entry, self.number

    def close(self) -> None:
        """Close the dataset, if it was read."""
        if isinstance(self.content, SOPInstance):
            self.content.dataset.close()

    def record(self, result: StoreResult, crc32: int | None = None) -> ImageRecord:
        """Return what is reported of it; `crc32` is that of its dataset, where it is known."""
        content = self.content
        if isinstance(content, Unreadable):
            return ImageRecord(self.entry, self.name, result)
        return ImageRecord(
            self.entry,
            self.name,
            result,
            content.sop_class_uid,
            content.sop_instance_uid,
            content.study_instance_uid,
            content.series_instance_uid,
            content.transfer_syntax_uid,
            content.dataset.size,
            crc32,
        )
