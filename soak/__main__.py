"""Send many images to a server that fails in many ways.

python -m soak [--images 50000] [--seed 1]

Final checks: every image was acknowledged, and repeated only after a loss. Memory did not grow.
No thread and no open file is left.
"""

import argparse
import faulthandler
import io
import multiprocessing
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from fw_gear_dicom_send.delivery.results import NotSent, Planned, Sent, Suspect
from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span, Unreadable
from fw_gear_dicom_send.network.statuses import describe
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.run.background import Background

from . import server
from .ledger import Ledger, content_of

ASSOCIATIONS = 4
AHEAD = 8
ROUNDS = 2
OUT_OF_RESOURCES = 0xA700
RETRY_TIME = 30.0
REPORT_SECONDS = 10.0
MAX_STANDSTILL = 180.0
SECONDS_TO_SETTLE = 5.0
MAX_GROWTH = 15_000_000
UID_ROOT = "1.2.3.4"


@dataclass(frozen=True)
class Settled:
    """Number of an image, and its result."""

    number: int
    result: Sent | Planned | NotSent


@dataclass(frozen=True)
class Footprint:
    """Resources of this process: resident bytes, threads and open files."""

    resident: int
    threads: int
    files: int

    def __str__(self) -> str:
        """Return the text for a line."""
        return f"{self.resident / 1e6:.1f} MB, threads: {self.threads}, open files: {self.files}"


def main(argv: Sequence[str]) -> int:
    """Send the images; return 0 if all checks succeed."""
    parser = argparse.ArgumentParser(prog="python -m soak")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    context = multiprocessing.get_context("spawn")
    ledger = Ledger.of(options.images, context.Lock())
    line, far_end = context.Pipe()
    process = context.Process(target=server.run, args=(ledger, options.seed, far_end), daemon=True)
    process.start()
    far_end.close()
    try:
        return judge(soak(line.recv(), ledger), ledger)
    finally:
        line.close()
        process.join()


@dataclass(frozen=True)
class Run:
    """Results of the sender; `sent` is the number of times that each image counted as sent."""

    sent: bytes
    reasons: Counter[str]
    before: Footprint
    warm: Footprint
    after: Footprint
    seconds: float


def soak(port: int, ledger: Ledger) -> Run:
    """Send all images to the server, and print the progress every ten seconds."""
    images = len(ledger.kept)
    describe(OUT_OF_RESOURCES)  # Imports for the first rejection do not count as growth.
    before = warm = footprint()
    started = printed = time.monotonic()
    sent, reasons = bytearray(images), Counter[str]()
    peer = PeerAE("127.0.0.1", port, "CALLED", "CALLING")
    for settled, one in enumerate(send(peer, images), 1):
        faulthandler.dump_traceback_later(MAX_STANDSTILL, exit=True)
        if isinstance(one.result, Sent):
            sent[one.number] += 1
        elif isinstance(one.result, NotSent):
            reasons[one.result.reason.text] += 1
        if settled == images // 10:
            warm = footprint()
        if time.monotonic() - printed >= REPORT_SECONDS:
            printed = time.monotonic()
            faults = sum(ledger.faults)
            say(f"{printed - started:4.0f} s  images: {settled}, faults: {faults}, {footprint()}")
    faulthandler.cancel_dump_traceback_later()
    seconds = time.monotonic() - started
    return Run(bytes(sent), reasons, before, warm, settle(before), seconds)


def send(peer: PeerAE, images: int) -> Iterator[Settled]:
    """Send images like a run of the gear, and yield their results."""
    scu = StorageSCU(
        peer,
        lambda *_: Unreadable(Reason(Kind.NOT_CONVERTIBLE, "anything")),
        associations=ASSOCIATIONS,
        retry_time=RETRY_TIME,
    )

    numbers, lock = iter(range(images)), Lock()
    suspects: list[tuple[int, Suspect]] = []

    def sent() -> Iterator[Settled]:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            result = scu.send(image(number))
            if isinstance(result, Suspect):
                suspects.append((number, result))
            else:
                yield Settled(number, result)

    def resent() -> Iterator[Settled]:
        for number, suspect in suspects:
            result: Sent | Planned | NotSent | Suspect = suspect
            for _ in range(ROUNDS):
                if isinstance(result, Suspect):
                    result = scu.send(image(number), result)
            yield Settled(number, result.failure if isinstance(result, Suspect) else result)

    outcomes = Background(*(sent() for _ in range(ASSOCIATIONS)), ahead=AHEAD)
    try:
        yield from outcomes.start()
        yield from resent()
        scu.close()
    finally:
        scu.abort()
        outcomes.close()


def image(number: int) -> SOPInstance:
    """Return an image, whose UID ends with its number."""
    content = content_of(number)
    return SOPInstance(
        "1.2.840.10008.5.1.4.1.1.2",
        f"{UID_ROOT}.{number}",
        "1.2.840.10008.1.2.1",
        EncodedDataset(io.BytesIO(content), (Span(0, len(content)),)),
    )


def settle(before: Footprint) -> Footprint:
    """Return the footprint after all threads have had time to end."""
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while (now := footprint()).threads > before.threads and time.monotonic() < deadline:
        time.sleep(0.05)
    return now


def footprint() -> Footprint:
    """Return the current footprint."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(os.listdir("/proc/self/fd"))
    return Footprint(pages * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), files)


def judge(run: Run, ledger: Ledger) -> int:
    """Print the summary and the failed checks; return the exit code."""
    images = len(run.sent)
    repeated = sum(count > 1 for count in ledger.acknowledged)
    say(f"\nimages: {images} in {run.seconds:.0f} s, {images / run.seconds:.0f} per second")
    for kind, count in ledger.counts().items():
        say(f"{count:7} {kind}")
    say(f"{sum(ledger.tries):7} C-STORE requests")
    say(f"{repeated:7} images acknowledged again after a loss")
    say(f"before: {run.before}\nafter a tenth: {run.warm}\nat the end: {run.after}")
    problems = list(problems_of(run, ledger))
    for problem in problems or ["all checks succeeded"]:
        say(problem)
    return 1 if problems else 0


def problems_of(run: Run, ledger: Ledger) -> Iterator[str]:
    """Yield the failed checks."""
    rows = list(zip(run.sent, ledger.kept, ledger.acknowledged, ledger.losses, strict=True))
    unsettled = len(rows) - sum(run.sent) - run.reasons.total()
    growth = run.after.resident - run.warm.resident
    counts = {
        "images not sent": run.reasons.total(),
        "images without a single outcome": abs(unsettled),
        "images counted as sent repeatedly": sum(sent > 1 for sent, *_ in rows),
        "images counted as sent without an acknowledgement": sum(
            sent and not (kept and acknowledged) for sent, kept, acknowledged, _ in rows
        ),
        "acknowledged images not counted as sent": sum(
            acknowledged > losses and not sent for sent, _, acknowledged, losses in rows
        ),
        "images acknowledged twice without a loss": sum(
            acknowledged > 1 + losses for *_, acknowledged, losses in rows
        ),
        "images changed on the way": ledger.spoiled[0],
        "growth of memory after a tenth, in bytes": growth if growth > MAX_GROWTH else 0,
        "remaining threads": run.after.threads - run.before.threads,
        "remaining open files": run.after.files - run.before.files,
        "kinds of faults that never occurred": list(ledger.faults).count(0)
        if len(rows) > 10_000
        else 0,
    }
    yield from (f"{what}: {count}" for what, count in counts.items() if count > 0)
    yield from (f"  {reason}: {count}" for reason, count in run.reasons.most_common(5))


def say(line: str) -> None:
    """Print a line immediately."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
