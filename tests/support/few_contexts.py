"""Servers that take few presentation contexts in one association."""

from collections.abc import Callable
from functools import partial

from tests.support.fault_scp import FaultSCP, Peer

Refusal = Callable[[Peer], None]


class FewContexts(FaultSCP):
    """Server that takes up to `number` contexts; `refuse` answers requests with more.

    `requests` lists how many each request has. C-ECHO and images are served.
    """

    def __init__(self, number: int, refuse: Refusal, refused_class: str = "") -> None:
        super().__init__(self._serve)
        self.requests: list[int] = []
        self._number = number
        self._refuse = refuse
        self._refused_class = refused_class

    def _serve(self, peer: Peer) -> None:
        self.requests.append(peer.read_request())
        if self.requests[-1] > self._number:
            self._refuse(peer)
        else:
            peer.accept(refused=[self._refused_class])
        while True:
            peer.answer(peer.read_image())


def rejection(result: int, source: int, reason: int) -> Refusal:
    """Return a refusal by an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
    return lambda peer: peer.reject(result, source, reason)


def only_first(number: int) -> Refusal:
    """Return a refusal that accepts the first contexts, and rejects the others."""
    return partial(Peer.accept, first=number)
