"""What a process needs: the most memory and disk space, watched while it runs."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

BLOCK = 512


class Peak:
    """Looks at a number again and again, on a thread of its own, and keeps the highest."""

    def __init__(self, look: Callable[[], int], pause: float) -> None:
        """Call `look` every `pause` seconds; what is gone, or ending, counts as nothing."""
        self.value = 0
        self.looks = 0
        self._look = look
        self._pause = pause
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(self._pause):
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                self.value = max(self.value, self._look())
                self.looks += 1


def peak_resident(pid: int) -> int:
    """Return the most memory that a process has had, in bytes.

    Not by `wait4`, whose number counts this process too, from before the program was started.
    """
    _, _, rest = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")
    return int(rest.split()[0]) * 1024 if rest else 0


def peak_resident_of_all(pid: int) -> int:
    """Return the most memory that a process and those that it started have had, together."""
    total = peak_resident(pid)
    for child in children(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            total += peak_resident_of_all(child)
    return total


def children(pid: int) -> frozenset[int]:
    """Return the processes that a process has started."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return frozenset(int(child) for numbers in lists for child in numbers.read_text().split())


def bytes_on_disk(folder: Path, pid: int) -> int:
    """Return what the files in a folder take up, those without a name but open too."""
    found = {}
    for path in (*_named(folder), *_open(folder, pid)):
        with suppress(FileNotFoundError):
            status = os.stat(path)
            found[status.st_ino] = status.st_blocks * BLOCK
    return sum(found.values())


def _named(folder: Path) -> Iterator[str]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _named(Path(entry.path))
            else:
                yield entry.path


def _open(folder: Path, pid: int) -> Iterator[str]:
    descriptors = f"/proc/{pid}/fd"
    for number in os.listdir(descriptors):
        path = f"{descriptors}/{number}"
        with suppress(FileNotFoundError):
            if os.readlink(path).startswith(str(folder)):
                yield path
