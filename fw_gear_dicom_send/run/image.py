"""Images between the steps of a run."""

from ..delivery.results import StoreResult
from ..dicom.types import MemberNumber, SOPInstance, Unreadable
from ..models import FileEntry, ImageRecord
from ..values import frozen

Key = tuple[FileEntry, MemberNumber]
"""Position of an image: its file and its number in the file."""


@frozen
class Image:
    """An image of a file.

    `number` and `name` identify the member of the archive. `file` is the path of a file in a folder
    of the user. `position` is the number of bytes of
    the file that were read up to the end of the image.
    """

    entry: FileEntry
    number: MemberNumber
    name: str
    position: int
    content: SOPInstance | Unreadable
    file: str = ""

    @property
    def key(self) -> Key:
        """Position of the image."""
        return self.entry, self.number

    @property
    def place(self) -> str:
        """The file and the member, for people."""
        return f"{self.entry.path}, {self.name}" if self.name else self.entry.path

    def close(self) -> None:
        """Close the dataset if it is readable."""
        if isinstance(self.content, SOPInstance):
            self.content.close()

    def record(self, result: StoreResult, crc32: int | None = None) -> ImageRecord:
        """Return the record for the reports; `crc32` is the checksum of the dataset, if known."""
        content = self.content
        if isinstance(content, Unreadable):
            return ImageRecord(
                self.entry, self.name, result, position=self.position, file=self.file
            )
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
            self.position,
            content.patient != 0,
            self.file,
        )
