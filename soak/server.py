"""Failing server in its own process, so that its resources do not count as the sender's."""

import contextlib
import random
import socket
import time
from multiprocessing.connection import Connection

from tests.support.fault_scp import FaultSCP, Image, Peer, PeerLeftError

from .ledger import DUPLICATE, FAULTS, OPENING_FAULTS, RESTART, Ledger, content_of

RESTARTS = 8
SECONDS_AWAY = 1.0
MAX_DELAY = 0.1

_SUCCESS, _DUPLICATE = 0x0000, 0x0111
_REFUSALS = {"out of resources, 0xA700": 0xA700, "resource limitation, 0x0213": 0x0213}
_TRANSIENT, _PRESENTATION, _CONGESTED = 2, 3, 1
_ENDINGS = {"closed": Peer.close, "reset": Peer.reset, "aborted": Peer.abort}


class BreakingSCP(FaultSCP):
    """Server that fails at random, and is sometimes unavailable."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        """Record the images in `ledger`; `seed` determines the faults."""
        super().__init__(self._serve)
        self.ledger = ledger
        self._seed = seed
        self._restart_every = max(len(ledger.kept) // RESTARTS, 1)
        self._ended_up_to = 0

    def _serve(self, peer: Peer) -> None:
        chance = random.Random(f"{self._seed} opening {peer.number}")  # noqa: S311 - no secret
        match _choose(OPENING_FAULTS, chance):
            case "rejected temporarily" as fault:
                self.ledger.note(fault)
                peer.reject(_TRANSIENT, _PRESENTATION, _CONGESTED)
            case "closed instead of accepted" as fault:
                self.ledger.note(fault)
                peer.read_pdu()
            case _:
                peer.accept()
                self._serve_images(peer)

    def _serve_images(self, peer: Peer) -> None:
        answered = None
        try:
            while True:
                command = peer.read_command()
                answered = None
                number = int(command.sop_instance_uid.rpartition(".")[2])
                self._serve_image(peer, command, number)
                answered = number
        except (PeerLeftError, OSError):
            if answered is not None and peer.number <= self._ended_up_to:
                self.ledger.losses[answered] += 1
            raise

    def _serve_image(self, peer: Peer, command: Image, number: int) -> None:
        ledger = self.ledger
        attempt = ledger.tries[number]
        ledger.tries[number] += 1
        if attempt == 0 and number % self._restart_every == self._restart_every - 1:
            self._go_away()
        chance = random.Random(f"{self._seed} image {number} {attempt}")  # noqa: S311
        fault = _choose(FAULTS, chance)
        if fault:
            ledger.note(fault)
        how, _, when = fault.partition(" ")
        if when == "during an image":
            _end(peer, how)
        self._read(peer, command, number)
        if fault in _REFUSALS:
            peer.answer(command, _REFUSALS[fault])
            return
        if fault == "late response":
            time.sleep(chance.uniform(0, MAX_DELAY))
        is_duplicate = ledger.kept[number] and chance.random() < 0.5
        ledger.kept[number] = 1
        if when == "before the response":
            ledger.losses[number] += 1
            _end(peer, how)
        if is_duplicate:
            ledger.note(DUPLICATE)
        ledger.acknowledged[number] += 1
        try:
            peer.answer(command, _DUPLICATE if is_duplicate else _SUCCESS)
        except OSError:
            ledger.losses[number] += 1
            raise
        if when == "between images":
            _end(peer, how)

    def _read(self, peer: Peer, command: Image, number: int) -> None:
        """Read the dataset, and record whether it is correct."""
        if peer.read_image(command).dataset != content_of(number):
            self.ledger.spoiled[0] += 1
        self.images.clear()
        self.answers.clear()

    def _go_away(self) -> None:
        """Close all connections, and listen again later."""
        self.ledger.note(RESTART)
        self._ended_up_to = self.connections
        self.stop_listening()
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()
        self._start(self._come_back)
        raise PeerLeftError

    def _come_back(self) -> None:
        if not self.closing.wait(SECONDS_AWAY):
            self.listen()


def run(ledger: Ledger, seed: int, line: Connection) -> None:
    """Send the port over `line`, and serve until its other end is closed."""
    with BreakingSCP(ledger, seed) as server, contextlib.suppress(EOFError):
        line.send(server.port)
        line.recv()


def _choose(faults: dict[str, float], chance: random.Random) -> str:
    """Return one of the faults, or an empty string."""
    weights = [*faults.values(), 1 - sum(faults.values())]
    return chance.choices([*faults, ""], weights)[0]


def _end(peer: Peer, how: str) -> None:
    _ENDINGS[how](peer)
    raise PeerLeftError
