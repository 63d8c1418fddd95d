"""Attacks from within the programs that read hostile bytes; these programs import this module."""

import ctypes
import mmap
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping

Attack = Callable[[str], object]
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _EFAULT = 22, 2, 14
_X32 = 0x40000000


def _checked(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def _call_by_32_bits(_: str) -> None:
    code = bytes.fromhex("53 b8 14 00 00 00 cd 80 5b c3")  # getpid by int 0x80
    memory = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if (result := ctypes.CFUNCTYPE(ctypes.c_int)(address)()) < 0:
        raise OSError(-result, "")


OPENING: Mapping[str, Attack] = {
    "a socket": lambda _: socket.socket(),
    "a pair of sockets": lambda _: socket.socketpair(),
    "another file": lambda secret: os.open(secret, os.O_RDONLY),
    "a new file": lambda secret: os.open(f"{secret}.new", os.O_CREAT | os.O_WRONLY),
    "a file in memory": lambda _: os.memfd_create("x"),
}
"""Attacks that open a file or socket; their argument is the path of a file."""
OTHERS: Mapping[str, Attack] = {
    "deleting a file": os.unlink,
    "another program": lambda _: os.execv(sys.executable, [sys.executable, "-c", ""]),
    "another process": lambda _: os.fork() or os._exit(0),
    "a signal": lambda _: os.kill(os.getppid(), signal.SIGCONT),
    "limits of the gear": lambda _: resource.prlimit(os.getppid(), resource.RLIMIT_CPU),
    "limits of files": lambda _: resource.getrlimit(resource.RLIMIT_FSIZE),
    "memory of the gear": lambda _: _checked(
        _LIBC.process_vm_readv(os.getppid(), None, 0, None, 0, 0)
    ),
    "tracing": lambda _: _checked(_LIBC.ptrace(0, 0, 0, 0)),
    "a call of x32": lambda _: _checked(_LIBC.syscall(_X32 + 39)),
}
"""Attacks by other system calls, which only a filter prevents."""
COMPATIBLE: Mapping[str, Attack] = {"a call by 32 bits": _call_by_32_bits}
"""Attacks by the calls of 32-bit programs, which not all systems have."""


def result_of(attack: bytes) -> int:
    """Return the error number of an attack, or 0 if it succeeds."""
    name, secret = attack.decode().split("\n")
    try:
        {**OPENING, **OTHERS, **COMPATIBLE}[name](secret)
    except OSError as error:
        return error.errno or -1
    return 0


def can_filter_calls() -> bool:
    """Return whether this system has seccomp filters, on a machine that the gear knows."""
    if sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"):
        return False
    _LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, None, 0, 0)
    return ctypes.get_errno() == _EFAULT
