"""Sandbox of the programs that read hostile bytes, so that these cost only their own file.

These programs run by their path and import no module of the package. They run this file with
`runpy`. docs/configuration.md lists what is enforced on which system.
"""

import os
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

MAX_WRITTEN = 65536
"""Maximum size of a file that a program writes, in bytes."""
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, M_ARENA_MAX = 1, 38, -8
_MACHINES = {"x86_64": (0xC000003E, 0x40000003), "aarch64": (0xC00000B7, 0x40000028)}
"""The AUDIT_ARCH of each machine, and that of its 32-bit calls."""
_CALLS = {
    "read": (0, 63),
    "write": (1, 64),
    "futex": (202, 98),
    "lseek": (8, 62),
    "pread64": (17, 67),
    "ftruncate": (77, 46),
    "fstat": (5, 80),
    "close": (3, 57),
    "brk": (12, 214),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "clock_gettime": (228, 113),
    "getrandom": (318, 278),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
"""System calls that remain allowed, with their numbers on each machine."""
_PRLIMIT, _SECCOMP = (302, 261), (317, 277)
_RLIMIT_CPU, _RLIMIT_AS = 0, 9
_SET_MODE_FILTER, _SPEC_ALLOW, _EPERM = 1, 4, 1
# Instructions and offsets of classic BPF for seccomp (linux/filter.h, linux/seccomp.h).
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCHITECTURE, _PROCESS, _LIMIT = 0, 4, 16, 24
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000


def confine(
    parent: int,
    prepare: Callable[[], object],
    *,
    seconds: int | None = None,
    memory: int | None = None,
) -> None:
    """Bind this process to its parent, import its modules, then take all rights from it.

    `prepare` imports the modules and opens the files that the program needs. `seconds` limits CPU
    time, and `memory` the bytes of address space above its size after `prepare`. Nothing fails on
    a system that cannot enforce a part of this. Raises SystemExit if `parent`, the process id of
    the gear, has ended; the process ends with it.
    """
    try:
        import resource
    except ImportError:  # Windows
        prepare()
        return
    import ctypes

    def limit(kind: int, value: int) -> None:
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    libc = ctypes.CDLL(None)
    with suppress(AttributeError):
        # Each thread of a library would reserve 128 MB of address space.
        libc.mallopt(M_ARENA_MAX, 1)
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # The system ends this process before its parent if memory runs out.
        with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write("1000")
    if os.getppid() != parent:
        raise SystemExit("the gear has ended")
    if seconds:
        limit(resource.RLIMIT_CPU, seconds)
    prepare()
    if memory and sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as sizes:
            pages = int(sizes.read().split()[0])
        limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)
    limit(resource.RLIMIT_FSIZE, MAX_WRITTEN)
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE):
        limit(kind, 0)
    machine = os.uname().machine
    if sys.platform == "linux" and sys.maxsize > 1 << 32 and machine in _MACHINES:
        number = tuple(_MACHINES).index(machine)
        instructions = _filter(number, *_MACHINES[machine])
        buffer = ctypes.create_string_buffer(instructions)
        program = struct.pack("HP", len(instructions) // 8, ctypes.addressof(buffer))
        # Without this flag, kernels before 5.16 slow the process down.
        for flags in (_SPEC_ALLOW, 0):
            if libc.syscall(_SECCOMP[number], _SET_MODE_FILTER, flags, program) == 0:
                break


def _filter(number: int, architecture: int, compatible: int) -> bytes:
    """Return a seccomp filter that allows `_CALLS`, and to limit memory and time of this process.

    Other calls fail with EPERM. An emulator's calls have another architecture, and are allowed.
    """
    calls = [numbers[number] for numbers in _CALLS.values()]
    size = len(calls)
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_JUMP_IF_EQUAL, size + 7, size + 8, compatible),
        (_LOAD, 0, 0, _NUMBER),
        *((_JUMP_IF_EQUAL, size + 6 - i, 0, call) for i, call in enumerate(calls)),
        (_JUMP_IF_EQUAL, 0, 5, _PRLIMIT[number]),
        (_LOAD, 0, 0, _PROCESS),
        (_JUMP_IF_EQUAL, 0, 3, 0),
        (_LOAD, 0, 0, _LIMIT),
        (_JUMP_IF_EQUAL, 2, 0, _RLIMIT_AS),
        (_JUMP_IF_EQUAL, 1, 0, _RLIMIT_CPU),
        (_RETURN, 0, 0, _FAIL | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)
