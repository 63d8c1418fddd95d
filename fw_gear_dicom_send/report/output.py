"""Files in the output folder, which are there whole or not at all."""

from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file; raises OSError where it cannot be written whole, and leaves none then."""
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError:
        remove(path)
        raise


def remove(path: Path) -> None:
    """Delete a file that is not whole, if there is one."""
    with suppress(OSError):
        if path.is_file():
            path.unlink()
