"""Peak memory and disk space of a process, measured while it runs."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

BLOCK = 512


class Peak:
    """Peak value of a number that a thread polls."""

    def __init__(self, look: Callable[[], int], pause: float) -> None:
        """Call `look` every `pause` seconds; a process that has ended counts as zero."""
        self.value = 0
        self.looks = 0
        self._look = look
        self._pause = pause
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        """Start polling."""
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop polling."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(self._pause):
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                self.value = max(self.value, self._look())
                self.looks += 1


def peak_resident(pid: int) -> int:
    """Return the peak memory of a process, in bytes.

    `wait4` is not used: its number includes this process before the program was started.
    """
    _, _, rest = Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")
    return int(rest.split()[0]) * 1024 if rest else 0


def peak_resident_of_all(pid: int) -> int:
    """Return the peak memory of a process and its descendants together."""
    total = peak_resident(pid)
    for child in children(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            total += peak_resident_of_all(child)
    return total


def children(pid: int) -> frozenset[int]:
    """Return the child processes of a process. A thread may end meanwhile."""
    found: set[int] = set()
    for numbers in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found.update(map(int, numbers.read_text().split()))
    return frozenset(found)


def is_bound_to_parent(pid: int) -> bool:
    """Return whether a decoder has taken its rights away, which it does after it is bound."""
    return "NoNewPrivs:\t1\n" in Path(f"/proc/{pid}/status").read_text()


def is_gone(pid: int) -> bool:
    """Return whether a process has ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def bytes_on_disk(folder: Path, pid: int) -> int:
    """Return the disk space of the files in a folder, including deleted files that are open."""
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
