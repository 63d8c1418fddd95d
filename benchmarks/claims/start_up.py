"""Time until the first image is sent, and cost of imports."""

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
from tests.support.command import arguments_of
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.preloaded import REPOSITORY

RUNS = 5
IMAGES = 3
MAX_SECONDS = 2.0
MAX_HELP_TIMES, MAX_IMPORT_SECONDS = 7.5, 0.15
HEAVIEST = 10
MANY_RUNS = 11
CODES = ("import flywheel_gear_toolkit", "import flywheel_gear_toolkit, run")


def measure(_: float, work: Path) -> Iterator[Outcome]:
    """Start the gear several times, each time in a new folder, compiled as in its image."""
    files = [work / f"{number}.dcm" for number in range(IMAGES)]
    for number, file in enumerate(files):
        file.write_bytes(small_image(number))
    seconds = [_to_first_image(files, work / f"v{run}") for run in range(RUNS)]
    yield Outcome(
        claim="From the start of the gear's process to the first C-STORE request",
        bound=f"at most {MAX_SECONDS:.0f} s",
        measured=f"median {median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f} s",
        holds=median(seconds) <= MAX_SECONDS,
        details=("heaviest imports, own time of all modules of a package:", *_imports(work / "v0")),
    )


def measure_imports(_: float, __: Path) -> Iterator[Outcome]:
    """Run the command's help, and import the gear's modules, several times."""
    commands = ([sys.executable, "-c", "pass"], arguments_of("dicom-send", "--help"))
    python, helps = zip(
        *([_seconds(one) for one in commands] for _ in range(MANY_RUNS)), strict=True
    )
    times = median(helps) / median(python)
    yield Outcome(
        claim="From the start of `dicom-send --help` to its end, beside `python -c pass`",
        bound=f"at most {MAX_HELP_TIMES} times as long",
        measured=f"{times:.1f} times ({median(helps):.3f} s, Python {median(python):.3f} s)",
        holds=times <= MAX_HELP_TIMES,
    )
    both = [[_seconds([sys.executable, "-c", code]) for code in CODES] for _ in range(MANY_RUNS)]
    beyond = [gear - toolkit for toolkit, gear in both]
    yield Outcome(
        claim="All imports of the gear, beyond that of flywheel_gear_toolkit",
        bound=f"at most {MAX_IMPORT_SECONDS} s",
        measured=f"median {median(beyond):.2f} s, {min(beyond):.2f} to {max(beyond):.2f} s",
        holds=median(beyond) <= MAX_IMPORT_SECONDS,
    )


def _seconds(command: Sequence[str]) -> float:
    begin = monotonic()
    subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    return monotonic() - begin


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
    """Behave correctly, and record when the first byte of the first image arrives."""
    peer.accept()
    peer.socket.recv(1, socket.MSG_PEEK)
    arrivals.put(monotonic())
    while True:
        peer.answer(peer.read_image())


def _imports(folder: Path) -> Iterator[str]:
    """Yield a line for each of the packages with the longest import time."""
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
