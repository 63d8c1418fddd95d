"""Scripts of server faults, one for each connection."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock, Timer

from tests.support.fault_scp import Peer

SHORT_PDU = 128
RETRY_SECONDS = 2


def after_pdus(number: int, end: Callable[[Peer], None], peer: Peer) -> None:
    """End the association after this number of PDUs of an image."""
    peer.accept(SHORT_PDU)
    for _ in range(number):
        peer.read_pdu_of_image()
    end(peer)


def never_respond(peer: Peer) -> None:
    """Receive an image and send no response."""
    peer.accept()
    peer.read_image()
    peer.stall()


def has_read_all(peer: Peer) -> bool:
    """Return whether the peer has read all data sent to it, by the kernel's socket table."""
    here, there = (
        f":{name[1]:04X}" for name in (peer.socket.getsockname(), peer.socket.getpeername())
    )
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        sent, unread = (int(size, 16) for size in queues.split(":"))
        if (local.endswith(here) and remote.endswith(there) and sent) or (
            local.endswith(there) and remote.endswith(here) and unread
        ):
            return False
    return True


class Restart:
    """Server that dies during its second image, and listens again after a delay or never."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._deaths = Lock()

    def __call__(self, peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image())
        peer.read_command()
        if self._deaths.acquire(blocking=False):
            peer.server.stop_listening()
            if self._seconds is not None:
                Timer(self._seconds, peer.server.listen).start()
        peer.reset()
