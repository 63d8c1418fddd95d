"""How much a batch would send: files, images and bytes, as far as the site knows them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..flywheel.site import left_out_for
from ..models import GearConfig

_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


@dataclass(frozen=True)
class Contents:
    """What is to be sent; the images of archives that are `uncounted` are not known."""

    files: int = 0
    images: int = 0
    size: int = 0
    uncounted: int = 0

    def __str__(self) -> str:
        """Tell it to people."""
        files = f"{self.files:,} file{'' if self.files == 1 else 's'}"
        images = f"{self.images:,} image{'' if self.images == 1 else 's'}"
        if self.uncounted:
            images = f"at least {images}"
        return f"{files}, {images}, {_in_words(self.size)}"


def count(records: Iterable[Mapping[str, Any]], config: GearConfig) -> Contents:
    """Count the files that the gear would select, by their records on the site.

    The site counts the members of a zip, which are its images in most cases.
    """
    files = images = size = uncounted = 0
    for record in records:
        if record.get("deleted") or left_out_for(record, config) is not None:
            continue
        files += 1
        size += record.get("size") or 0
        members = record.get("zip_member_count")
        if members is None and str(record.get("name")).lower().endswith(_ARCHIVES):
            uncounted += 1
        else:
            images += 1 if members is None else members
    return Contents(files, images, size, uncounted)


def _in_words(size: int) -> str:
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"
