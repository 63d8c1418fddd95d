"""Reader of the DICOM files in a zip, a tar, a folder or a single file."""

from .formats import is_archive_name
from .limits import Limits
from .reader import DEFAULT_LIMITS, Archive
from .types import BrokenArchive, InnerItems, Item, Member, Task

__all__ = [
    "DEFAULT_LIMITS",
    "Archive",
    "BrokenArchive",
    "InnerItems",
    "Item",
    "Limits",
    "Member",
    "Task",
    "is_archive_name",
]
