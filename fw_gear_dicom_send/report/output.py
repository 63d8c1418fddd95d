"""Files in the output folder, which are complete or deleted."""

from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file; on failure delete it and raise OSError."""
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError:
        remove(path)
        raise


def remove(path: Path) -> None:
    """Delete an incomplete file if it exists."""
    with suppress(OSError):
        if path.is_file():
            path.unlink()
