"""Encoding of the first image, so that the first association has its presentation contexts."""

import os
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

from ..archive import Archive, Limits, Member, is_archive_name
from ..dicom.part10 import skips
from ..dicom.stamp import stamp
from ..dicom.types import SOPInstance
from ..models import NameChoice

_MAX_ARCHIVE = 1 << 28
"""Maximum size of an archive, in bytes, whose list and first image are read twice."""
_MAX_MEMBERS = 3
_LIMITS = Limits(member=1 << 25, archive=1 << 25, ratio=0)
"""Limits on the data that is unpacked twice."""


def first_encoding(path: Path | None, names: NameChoice, work: Path) -> tuple[str, str] | None:
    """Return the SOP class and transfer syntax of an image that is likely to be the first one.

    `path` is a file, an archive or a folder. `names` selects the files of a folder. Members are
    unpacked in `work`. Returns None if no image is found at once. Sending reports the reason.
    """
    with suppress(OSError):
        file = _any_file(path, names) if path and path.is_dir() else path
        if not file or (is_archive_name(file.name) and file.stat().st_size > _MAX_ARCHIVE):
            return None
        with closing(Archive(file, work, skips, _LIMITS)) as archive:
            for task in islice(archive.tasks(), _MAX_MEMBERS):
                item = task() if callable(task) else task
                instance = stamp(item.content, None, work) if isinstance(item, Member) else None
                if isinstance(instance, SOPInstance):
                    with closing(instance):
                        return instance.sop_class_uid, instance.transfer_syntax_uid
    return None


def _any_file(folder: Path, names: NameChoice) -> Path | None:
    """Return a selected file of a folder, which may have too many files to sort them twice."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file() and names.selects(entry.name) and not is_archive_name(entry.name):
                return Path(entry.path)
    return None
