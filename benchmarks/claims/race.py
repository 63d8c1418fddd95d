"""Check that no image is lost or sent twice when several threads send."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter

from benchmarks.claims.outcome import Outcome
from benchmarks.claims.sender import stamped, storage_scu
from benchmarks.claims.small_images import small_image
from fw_gear_dicom_send.delivery.results import NotSent, Sent
from tests.support.fault_scp import FaultSCP, serve

IMAGES = 20_000
ASSOCIATIONS = 4


@dataclass(frozen=True)
class Received:
    """SOP Instance UID of each received image, and the number of connections."""

    uids: tuple[str, ...]
    connections: int


class CountingSCP:
    """Server process, seen from outside."""

    def __init__(self, connection: Connection) -> None:
        """Wait until it listens."""
        self._connection = connection
        self.port = int(connection.recv())

    def received(self) -> Received:
        """End it, and return what it received."""
        self._connection.send(None)
        received: Received = self._connection.recv()
        return received


def measure(scale: float, work: Path) -> Iterator[Outcome]:
    """Send images from as many threads as associations are allowed."""
    images = int(IMAGES * scale)
    with counting_scp() as server:
        begin = perf_counter()
        with (
            storage_scu(server.port, "COUNT", work, associations=ASSOCIATIONS) as scu,
            ThreadPoolExecutor(ASSOCIATIONS) as senders,
        ):
            results = list(
                senders.map(
                    lambda number: scu.send(stamped(small_image(number), work)), range(images)
                )
            )
        seconds = perf_counter() - begin
        received = server.received()
    sent = sum(isinstance(result, Sent) for result in results)
    different = len(set(received.uids))
    twice = len(received.uids) - different
    yield Outcome(
        claim=f"Of {images} images from {ASSOCIATIONS} threads none is lost, none is sent twice",
        bound=f"{images} sent, each received once, over {ASSOCIATIONS} connections",
        measured=f"{sent} sent, {different} received, {twice} of them more than once, "
        f"over {received.connections} connections",
        holds=sent == different == images and twice == 0 and received.connections == ASSOCIATIONS,
        details=(
            f"{images / seconds:.0f} images/s",
            *{r.reason.text for r in results if isinstance(r, NotSent)},
        ),
    )


@contextmanager
def counting_scp() -> Iterator[CountingSCP]:
    """Start a server in a separate process, so that it does not slow the sender."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=count, args=(there,), daemon=True)
    process.start()
    there.close()
    with here:
        yield CountingSCP(here)
    process.join()


def count(connection: Connection) -> None:
    """Serve until told to stop, then return the received images."""
    with FaultSCP(serve) as server:
        connection.send(server.port)
        connection.recv()
        uids = tuple(image.sop_instance_uid for image in server.images)
        connection.send(Received(uids, server.connections))
