"""Nameless files that hold what is on its way: in memory while small, else on disk."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

_MAX_IN_MEMORY = 1 << 20


def new_spool(work: Path) -> BinaryIO:
    """Return an empty nameless file, which goes to `work` once it is over 1 MiB.

    It belongs to the caller and is deleted when closed.
    """
    return cast(BinaryIO, SpooledTemporaryFile(max_size=_MAX_IN_MEMORY, dir=str(work)))


def spool(chunks: Iterable[bytes], work: Path) -> BinaryIO:
    """Write `chunks` to a new spool and rewind it.

    Raises OSError where the disk does not take it; nothing is left then.
    """
    file = new_spool(work)
    try:
        for chunk in chunks:
            file.write(chunk)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
