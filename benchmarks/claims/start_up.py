"""How long it is until the first image is on its way."""

import queue
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic

from benchmarks.claims.gear_runs import check, gear_for
from benchmarks.claims.outcome import Outcome
from benchmarks.claims.small_images import small_image
from tests.support.fault_scp import FaultSCP, Peer

RUNS = 5
IMAGES = 3
LONGEST = 2.0
HEAVIEST = 10


def measure(_: float, work: Path) -> Iterator[Outcome]:
    """Start the gear several times, each time in a folder that is new, as it is in a job."""
    files = [work / f"{number}.dcm" for number in range(IMAGES)]
    for number, file in enumerate(files):
        file.write_bytes(small_image(number))
    seconds = [_to_first_image(files, work / f"v{run}") for run in range(RUNS)]
    yield Outcome(
        claim="From the start of the gear's process to the first C-STORE request",
        bound=f"at most {LONGEST:.0f} s",
        measured=f"median {median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f} s",
        holds=median(seconds) <= LONGEST,
        details=("heaviest imports, own time of all modules of a package:", *_imports(work / "v0")),
    )


def _to_first_image(files: Sequence[Path], folder: Path) -> float:
    arrivals: queue.SimpleQueue[float] = queue.SimpleQueue()
    with (
        FaultSCP(partial(_note_arrival, arrivals)) as server,
        gear_for(files, server.port, "FIRST", folder) as gear,
    ):
        begin = monotonic()
        check(gear.run())
        return min(arrivals.get() for _ in range(server.connections)) - begin


def _note_arrival(arrivals: "queue.SimpleQueue[float]", peer: Peer) -> None:
    """Behave well, and tell when the first byte of the first image is there."""
    peer.accept()
    peer.socket.recv(1, socket.MSG_PEEK)
    arrivals.put(monotonic())
    while True:
        peer.answer(peer.read_image())


def _imports(folder: Path) -> Iterator[str]:
    """Yield a line for each of the packages that take the longest to import."""
    trace = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import run"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    microseconds: Counter[str] = Counter()
    for line in trace.splitlines()[1:]:
        own, _, module = line.removeprefix("import time:").split("|")
        microseconds[module.strip().partition(".")[0]] += int(own)
    for package, time in microseconds.most_common(HEAVIEST):
        yield f"{time / 1000:7.1f} ms  {package}"
    yield f"{microseconds.total() / 1000:7.1f} ms  all"
