"""Number of files, images and bytes that a batch would send, according to the site."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..archive import is_archive_name
from ..config import GearConfig
from ..flywheel.site import left_out_for
from ..text import quantity

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


@dataclass(frozen=True)
class Contents:
    """Contents of a batch. The images of `uncounted` archives are unknown."""

    files: int = 0
    images: int = 0
    size: int = 0
    uncounted: int = 0

    def __str__(self) -> str:
        """Return the contents for the question: 4 files, 3,002 images, 2.4 MB."""
        images = quantity(self.images, "image")
        if self.uncounted:
            images = f"at least {images}"
        return f"{quantity(self.files, 'file')}, {images}, {_in_words(self.size)}"


def count(records: Iterable[Mapping[str, Any]], config: GearConfig) -> Contents:
    """Count the files that the gear would select, from their records on the site.

    For zip files, the site has the number of members, which are usually images.
    """
    files = images = size = uncounted = 0
    for record in records:
        if record.get("deleted") or left_out_for(record, config) is not None:
            continue
        files += 1
        size += record.get("size") or 0
        members = record.get("zip_member_count")
        if members is None and is_archive_name(str(record.get("name"))):
            uncounted += 1
        else:
            images += 1 if members is None else members
    return Contents(files, images, size, uncounted)


def _in_words(size: int) -> str:
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return quantity(size, "byte")
