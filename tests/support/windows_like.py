"""Python without the features that Windows lacks; as a program, it runs `dicom-send`.

python -m tests.support.windows_like OPTIONS...
"""

import errno
import os
import select
import signal
import socket
import sys
from importlib.abc import MetaPathFinder
from typing import Any

MODULES = ("fcntl", "grp", "posix_spawn", "pty", "pwd", "resource", "syslog", "termios", "tty")
NAMES = {
    os: (
        "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_TMPFILE chown chroot fchmod fchown "
        "fdatasync fork forkpty fstatvfs getgid getloadavg geteuid getpgid getpriority getuid "
        "killpg mkfifo mknod nice openpty pipe2 posix_fadvise posix_fallocate pread preadv "
        "pwrite pwritev register_at_fork sched_getaffinity sendfile setsid statvfs "
        "wait4"
    ),
    select: "epoll poll",
    signal: (
        "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 SIG_BLOCK alarm "
        "pause pthread_kill pthread_sigmask setitimer sigwait siginterrupt"
    ),
    socket: (
        "MSG_DONTWAIT MSG_NOSIGNAL SO_REUSEPORT TCP_CORK TCP_INFO TCP_KEEPCNT "
        "TCP_KEEPIDLE TCP_KEEPINTVL TCP_QUICKACK TCP_USER_TIMEOUT"
    ),
}
"""Names that modules have here but not on Windows; numpy needs `uname` and `sysconf`."""
METHODS = ("recvmsg", "recvmsg_into", "sendmsg", "sendmsg_afalg")
FORBIDDEN = set('<>:"/\\|?*') | set(map(chr, range(32)))
RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{n}{i}" for n in ("COM", "LPT") for i in range(1, 10))}


class _NoModule(MetaPathFinder):
    """Import finder that hides the modules that Windows lacks."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Raise ModuleNotFoundError for a hidden module."""
        if fullname in MODULES:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def is_name_for_windows(name: str) -> bool:
    """Return whether Windows accepts a file name."""
    stem = name.split(".", maxsplit=1)[0].rstrip().upper()
    return not set(name) & FORBIDDEN and not name.endswith((" ", ".")) and stem not in RESERVED


def remove_features() -> None:
    """Remove everything that Windows lacks, and prevent files with names that it rejects."""
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, _NoModule())
    for module, names in NAMES.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    for name in METHODS:
        # They belong to a base class that cannot be changed.
        setattr(socket.socket, name, property(_lacks))
    sys.addaudithook(_refuse_names)


def _lacks(_: object) -> Any:
    raise AttributeError("Windows has no such method")


def _refuse_names(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("open", "os.mkdir", "os.rename"):
        return
    flags = arguments[2] if event == "open" else os.O_CREAT
    path = arguments[1 if event == "os.rename" else 0]
    is_made = isinstance(path, str) and flags & os.O_CREAT and not path.startswith("/dev/")
    if is_made and not is_name_for_windows(os.path.basename(path)):
        raise OSError(errno.EINVAL, "Windows refuses the name", path)


if __name__ == "__main__":
    remove_features()
    from fw_gear_dicom_send.cli.main import main

    raise SystemExit(main(sys.argv[1:]))
