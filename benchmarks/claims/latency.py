"""Check that nothing stalls an image: Nagle's algorithm, a delayed acknowledgement, a lock."""

import itertools
import multiprocessing
import queue
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Self

import trustme

from benchmarks.claims.outcome import MeasurementError, Outcome
from benchmarks.claims.sender import stamped, storage_scu
from benchmarks.datasets import make_mr
from fw_gear_dicom_send.delivery.results import NotSent
from fw_gear_dicom_send.network.tls import TLSContext
from tests.support.pacs import HOST, StoreSCP

IMAGES = 10_000
DIFFERENT_IMAGES = 500
MAX_SECONDS = 0.035
"""In seconds; a delayed acknowledgement takes at least 40 ms."""
MAX_CONTROL_SECONDS = 0.005


class Ping:
    """Thread and process that pass a byte to and fro, as a send does with its image.

    Its delays are caused by the machine.
    """

    def __enter__(self) -> Self:
        """Start both."""
        self._sent: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._returned: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=echo, args=(there,), daemon=True)
        self._process.start()
        there.close()
        threading.Thread(target=self._pass_on, daemon=True).start()
        self.round_trip()
        return self

    def __exit__(self, *exception: object) -> None:
        """End both."""
        self._sent.put(b"")
        self._process.join()

    def round_trip(self) -> None:
        """Send a byte, and wait until it returns."""
        self._sent.put(b".")
        self._returned.get()

    def _pass_on(self) -> None:
        with self._here:
            while data := self._sent.get():
                self._here.send_bytes(data)
                self._returned.put(self._here.recv_bytes())


def echo(connection: Connection) -> None:
    """Send back all received data until the connection ends."""
    with connection:
        while True:
            try:
                connection.send_bytes(connection.recv_bytes())
            except EOFError:
                return


@dataclass(frozen=True)
class Timings:
    """Seconds for each image, and for the same number of controls."""

    images: tuple[float, ...]
    controls: tuple[float, ...]


def measure(scale: float, work: Path) -> Iterator[Outcome]:
    """Measure each C-STORE over plain TCP."""
    with StoreSCP("--ignore") as server:
        yield _outcome("", _timings(server, None, scale, work))


def measure_tls(scale: float, work: Path) -> Iterator[Outcome]:
    """Measure each C-STORE over TLS."""
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    key, chain = work / "key.pem", work / "chain.pem"
    certificate.private_key_pem.write_to_path(str(key))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(chain), append=True)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with StoreSCP("--ignore", "+tls", str(key), str(chain), "--ignore-peer-cert") as server:
        trust = TLSContext(context, shows_certificate=False)
        yield _outcome(" over TLS", _timings(server, trust, scale, work))


def _timings(server: StoreSCP, tls_context: TLSContext | None, scale: float, work: Path) -> Timings:
    """Send each image over one association, with a control after each."""
    images, controls = [], []
    files = _files(work)
    with (
        Ping() as ping,
        storage_scu(
            server.port, server.ae_title, work, associations=1, tls_context=tls_context
        ) as scu,
    ):
        # The first image opens the association.
        for number, file in enumerate(
            itertools.islice(itertools.cycle(files), int(IMAGES * scale) + 1)
        ):
            instance = stamped(file, work)
            begin = perf_counter()
            result = scu.send(instance)
            seconds = perf_counter() - begin
            if isinstance(result, NotSent):
                raise MeasurementError(f"an image was not sent: {result.reason.text}")
            if number:
                images.append(seconds)
                controls.append(_control(ping, min(seconds, MAX_CONTROL_SECONDS)))
    return Timings(tuple(images), tuple(controls))


def _files(work: Path) -> list[bytes]:
    folder = make_mr(work, DIFFERENT_IMAGES).folder
    return [path.read_bytes() for path in sorted(folder.rglob("*.dcm"))]


def _control(ping: Ping, seconds: float) -> float:
    """Pass a byte to and fro for as long as an image takes; return the duration."""
    begin = perf_counter()
    while (taken := perf_counter() - begin) < seconds:
        ping.round_trip()
    return taken


def _outcome(how: str, timings: Timings) -> Outcome:
    count = len(timings.images)
    return Outcome(
        claim=f"No C-STORE of {count} images of 33 KB on one association{how} is stalled",
        bound=f"none over {MAX_SECONDS * 1000:.0f} ms",
        measured=_summary(timings.images),
        holds=max(timings.images) <= MAX_SECONDS,
        details=(f"the machine alone, a byte handed round: {_summary(timings.controls)}",),
    )


def _summary(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    late = sum(value > MAX_SECONDS for value in ordered)
    highest = ordered[int(len(ordered) * 0.999)]
    return (
        f"median {median(ordered) * 1000:.2f} ms, 99.9th percentile {highest * 1000:.1f} ms, "
        f"maximum {ordered[-1] * 1000:.1f} ms, {late} over {MAX_SECONDS * 1000:.0f} ms"
    )
