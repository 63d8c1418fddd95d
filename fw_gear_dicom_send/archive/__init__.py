"""A zip, a tar, a folder or a single file, read to the DICOM files in it."""

from .folder import is_archive_name, is_special
from .limits import Limits
from .reader import DEFAULT_LIMITS, read
from .types import BrokenArchive, Member

__all__ = [
    "DEFAULT_LIMITS",
    "BrokenArchive",
    "Limits",
    "Member",
    "is_archive_name",
    "is_special",
    "read",
]
