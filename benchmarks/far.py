"""Path to a distant server: every packet between two network namespaces arrives late.

python -m benchmarks.far SECONDS DESCRIPTOR DESCRIPTOR

TCP runs from end to end, so Nagle's algorithm, delayed acknowledgements and slow start behave as on
a line. This needs Linux, root, /dev/net/tun and iproute2. The kernel removes the namespaces with
their last process and descriptor.
"""

import ctypes
import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import ServerError, path_of

REPOSITORY = Path(__file__).resolve().parents[1]
NEAR_HOST, FAR_HOST = "10.78.0.1", "10.78.0.2"
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN_NO_PI = 0x400454CA, 0x1001
MAX_PACKET = 1 << 16
PACKETS_AT_ONCE = 64
SET_UP = """\
link set lo up
address add {}/24 dev tun0
link set tun0 mtu 1500 txqueuelen 5000 up
"""
"""Commands of ip(8). The queue of the device is longer than usual, so that no packet is lost."""
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class FarPath:
    """Two namespaces, as descriptors; a server in `far` has the address FAR_HOST in `near`."""

    near: int
    far: int


@contextmanager
def far_path(round_trip: float) -> Iterator[FarPath]:
    """Join two new namespaces, `round_trip` seconds from each other.

    Raises:
        OSError: There are no namespaces or tun devices, or not for this user.
        ServerError: iproute2 is not installed.
    """
    with ExitStack() as stack:
        (near, one), (far, other) = (
            _namespace(address, stack) for address in (NEAR_HOST, FAR_HOST)
        )
        command = [sys.executable, "-m", "benchmarks.far", str(round_trip / 2)]
        process = subprocess.Popen(  # noqa: S603 - it is this file
            [*command, str(one), str(other)], cwd=REPOSITORY, pass_fds=(one, other)
        )
        stack.enter_context(process)
        stack.callback(process.kill)
        yield FarPath(near, far)


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Move this thread, its new threads, processes and sockets into a namespace."""
    home = _own_namespace()
    _enter(namespace)
    try:
        yield
    finally:
        _enter(home)
        os.close(home)


def why_unavailable() -> str:
    """Return why this machine has no distant servers, or an empty text."""
    try:
        with far_path(0):
            return ""
    except (OSError, ServerError, subprocess.CalledProcessError) as error:
        return f"{error} (needs root, /dev/net/tun and iproute2)"


def _namespace(address: str, stack: ExitStack) -> tuple[int, int]:
    """Create a namespace with a tun device; return descriptors of both."""
    home = _own_namespace()
    stack.callback(os.close, home)
    _checked(_libc.unshare(CLONE_NEWNET))
    try:
        namespace = _own_namespace()
        stack.callback(os.close, namespace)
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        stack.callback(os.close, device)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN_NO_PI))
        commands = SET_UP.format(address)
        ip = [path_of("ip"), "-batch", "-"]
        subprocess.run(ip, input=commands, text=True, check=True)  # noqa: S603 - iproute2
    finally:
        _enter(home)
    return namespace, device


def _own_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def _enter(namespace: int) -> None:
    _checked(_libc.setns(namespace, CLONE_NEWNET))


def _checked(result: int) -> None:
    if result:
        raise OSError(number := ctypes.get_errno(), os.strerror(number))


def main(argv: Sequence[str]) -> int:
    """Forward packets between two tun devices, each some seconds late, until killed."""
    with suppress(PermissionError):  # Otherwise, packets are later still on a busy machine.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    seconds, one, other = float(argv[0]), int(argv[1]), int(argv[2])
    queues: dict[int, deque[tuple[float, bytes]]] = {one: deque(), other: deque()}
    opposite = {one: other, other: one}
    while True:
        due = min((queue[0][0] for queue in queues.values() if queue), default=None)
        wait = None if due is None else max(0.0, due - time.monotonic())
        for device in select.select(queues, (), (), wait)[0]:
            with suppress(BlockingIOError):
                for _ in range(PACKETS_AT_ONCE):
                    packet = os.read(device, MAX_PACKET)
                    queues[device].append((time.monotonic() + seconds, packet))
        now = time.monotonic()
        for device, queue in queues.items():
            while queue and queue[0][0] <= now:
                with suppress(OSError):  # A full device loses the packet, like a line.
                    os.write(opposite[device], queue.popleft()[1])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
