"""Lists of paths, from a file or standard input."""

import codecs
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError

STANDARD_INPUT = "-"


def read_paths(source: str, *, ends_with_nul: bool = False) -> Sequence[Path]:
    """Return the paths in the file `source`, or on standard input if that is `-`.

    Each line has one path, or each path ends with a NUL. Empty lines are ignored, and Windows
    line ends and a byte order mark are accepted. Raises UsageError.
    """
    data = _read(source).removeprefix(codecs.BOM_UTF8)
    if ends_with_nul:
        names = data.split(b"\0")
    elif b"\0" in data:
        raise UsageError("--files-from: the list contains a NUL; add --from0")
    else:
        names = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return [Path(os.fsdecode(name)) for name in names if name]


def _read(source: str) -> bytes:
    if source == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    try:
        return Path(source).read_bytes()
    except OSError as exc:
        raise UsageError(f"--files-from: cannot read {source}: {exc.strerror}") from exc
