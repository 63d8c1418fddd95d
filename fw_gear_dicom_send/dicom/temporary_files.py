"""Nameless temporary files: in memory while small, otherwise on disk."""

import errno
from collections.abc import Iterable
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

MAX_IN_MEMORY = 1 << 20


def is_full(error: OSError) -> bool:
    """Return whether an error means a full disk, which may be temporary."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def new_temporary_file(work: Path) -> BinaryIO:
    """Return an empty nameless file, in `work` if it grows over 1 MiB.

    The caller must close it, which deletes it.
    """
    return cast(BinaryIO, SpooledTemporaryFile(max_size=MAX_IN_MEMORY, dir=str(work)))


def write_temporary_file(chunks: Iterable[bytes], work: Path) -> BinaryIO:
    """Write `chunks` to a new file and rewind it.

    Raises OSError, and leaves no file, if the disk rejects the data.
    """
    file = new_temporary_file(work)
    try:
        for chunk in chunks:
            file.write(chunk)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
