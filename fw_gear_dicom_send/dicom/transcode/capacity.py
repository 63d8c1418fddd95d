"""Cores and memory that this process may use, which a container limits."""

import os
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path

CONTROLS = Path("sys/fs/cgroup")
KIBIBYTE = 1 << 10
MEMORY_OF_PROCESS = 1 << 28
"""Bytes of memory for each process, which takes half of them for a frame of 2 MiB."""


def max_processes(cores: int, system: Path) -> int:
    """Return how many processes may work at a time: one for each core, if memory suffices.

    `cores` is their number by CPU affinity. `system` is the folder with `proc` and `sys`. A limit
    that cannot be read is ignored.
    """
    folders = list(_groups(system))
    limits = [float(cores), *_quotas(folders)]
    memory = [*_memory_limits(folders), *_available_memory(system)]
    if memory:
        limits.append(min(memory) // MEMORY_OF_PROCESS)
    return max(1, ceil(min(limits)))


def usable_cores() -> int:
    """Return the number of cores that this process may run on, by its CPU affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(system: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups, and of those that contain them.

    In a container, the root of a hierarchy is often the group of the container itself.
    """
    for line in _text(system / "proc/self/cgroup").splitlines():
        _, _, controllers_and_group = line.partition(":")
        controllers, _, group = controllers_and_group.partition(":")
        # Some systems mount "cpuacct,cpu" as "cpu,cpuacct", with a link for each controller.
        for name in {controllers, *controllers.split(",")}:
            root = system / CONTROLS / name
            for folder in (root / group.strip("/"), *(root / group.strip("/")).parents):
                if folder.is_relative_to(root):
                    yield folder


def _quotas(folders: list[Path]) -> Iterator[float]:
    """Yield the limits of CPU time, in cores (Linux: cgroup-v2.rst, sched-bwc.rst)."""
    for folder in folders:
        second = _text(folder / "cpu.max").split()
        first = [_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        for numbers in (second, first):
            if len(numbers) == 2 and all(map(str.isdecimal, numbers)) and int(numbers[1]):
                yield int(numbers[0]) / int(numbers[1])


def _memory_limits(folders: list[Path]) -> Iterator[int]:
    """Yield the limits of memory, in bytes (Linux: cgroup-v2.rst, cgroup-v1/memory.rst)."""
    for folder in folders:
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (value := _text(folder / name).strip()).isdecimal():
                yield int(value)


def _available_memory(system: Path) -> Iterator[int]:
    """Yield the memory of the machine that is available, in bytes."""
    for line in _text(system / "proc/meminfo").splitlines():
        name, *value = line.split()[:2] or [""]
        if name == "MemAvailable:" and value and value[0].isdecimal():
            yield int(value[0]) * KIBIBYTE


def _text(path: Path) -> str:
    """Return a file of the system, empty if it is missing or unreadable."""
    with suppress(OSError, ValueError):
        return path.read_text("utf-8")
    return ""
