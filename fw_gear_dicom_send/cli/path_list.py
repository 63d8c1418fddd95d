"""A list of paths, in a file or on standard input."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError

STANDARD_INPUT = "-"


def read_paths(source: str, *, ends_with_nul: bool = False) -> Sequence[Path]:
    """Return the paths in the file `source`, or on standard input if that is `-`.

    There is one a line, or each ends with a NUL. Empty lines, and the carriage returns of lines
    that end as on Windows, are no part of any. Raises UsageError.
    """
    data = _read(source)
    if ends_with_nul:
        names = data.split(b"\0")
    elif b"\0" in data:
        raise UsageError("--files-from: there is a NUL in the list; --from0 reads such a list")
    else:
        names = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [Path(os.fsdecode(name)) for name in names if name]


def _read(source: str) -> bytes:
    if source == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as exc:
        raise UsageError(f"--files-from: {source}: {exc.strerror}") from exc
