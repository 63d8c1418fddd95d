"""Send very many images through a server that breaks in every way that it can.

python -m soak [--images 50000] [--seed 1]

Checked at the end: every image was acknowledged, none twice but after a loss; memory did
not grow; no thread and no open file is left.
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

from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span, Unreadable
from fw_gear_dicom_send.network.statuses import describe
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import NotSent, PeerAE, Planned, Sent, Suspect
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
LONGEST_STANDSTILL = 180.0
SECONDS_TO_SETTLE = 5.0
MOST_GROWTH = 15_000_000
UID_ROOT = "1.2.3.4"


@dataclass(frozen=True)
class Settled:
    """An image's number, and what became of it."""

    number: int
    result: Sent | Planned | NotSent


@dataclass(frozen=True)
class Footprint:
    """What this process has: resident bytes, threads and open files."""

    resident: int
    threads: int
    files: int

    def __str__(self) -> str:
        """Return it as it is printed."""
        return f"{self.resident / 1e6:.1f} MB, {self.threads} threads, {self.files} open files"


def main(argv: Sequence[str]) -> int:
    """Send; return 0 if all holds that has to."""
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
    """What the sender knows at its end: for each image how often it counted as sent."""

    sent: bytes
    reasons: Counter[str]
    before: Footprint
    warm: Footprint
    after: Footprint
    seconds: float


def soak(port: int, ledger: Ledger) -> Run:
    """Send all images to the server, and say every ten seconds how far it is."""
    images = len(ledger.kept)
    describe(OUT_OF_RESOURCES)  # what is imported for the first refusal is no growth
    before = warm = footprint()
    begun = told = time.monotonic()
    sent, reasons = bytearray(images), Counter[str]()
    peer = PeerAE("127.0.0.1", port, "CALLED", "CALLING")
    for settled, one in enumerate(send(peer, images), 1):
        faulthandler.dump_traceback_later(LONGEST_STANDSTILL, exit=True)
        if isinstance(one.result, Sent):
            sent[one.number] += 1
        elif isinstance(one.result, NotSent):
            reasons[one.result.reason.text] += 1
        if settled == images // 10:
            warm = footprint()
        if time.monotonic() - told >= REPORT_SECONDS:
            told = time.monotonic()
            faults = sum(ledger.faults)
            say(f"{told - begun:4.0f} s  {settled} images, {faults} faults, {footprint()}")
    faulthandler.cancel_dump_traceback_later()
    seconds = time.monotonic() - begun
    return Run(bytes(sent), reasons, before, warm, settle(before), seconds)


def send(peer: PeerAE, images: int) -> Iterator[Settled]:
    """Send so many images as a run of the gear does, and yield what became of each."""
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

    def again() -> Iterator[Settled]:
        for number, suspect in suspects:
            result: Sent | Planned | NotSent | Suspect = suspect
            for _ in range(ROUNDS):
                if isinstance(result, Suspect):
                    result = scu.send(image(number), result)
            yield Settled(number, result.failure if isinstance(result, Suspect) else result)

    outcomes = Background(*(sent() for _ in range(ASSOCIATIONS)), ahead=AHEAD)
    try:
        yield from outcomes.start()
        yield from again()
        scu.close()
    finally:
        scu.abort()
        outcomes.close()


def image(number: int) -> SOPInstance:
    """Return an image; the server knows it by the end of its UID."""
    content = content_of(number)
    return SOPInstance(
        "1.2.840.10008.5.1.4.1.1.2",
        f"{UID_ROOT}.{number}",
        "1.2.840.10008.1.2.1",
        EncodedDataset(io.BytesIO(content), (Span(0, len(content)),)),
    )


def settle(before: Footprint) -> Footprint:
    """Return the footprint once threads have had the time to end."""
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while (now := footprint()).threads > before.threads and time.monotonic() < deadline:
        time.sleep(0.05)
    return now


def footprint() -> Footprint:
    """Return what this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(os.listdir("/proc/self/fd"))
    return Footprint(pages * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), files)


def judge(run: Run, ledger: Ledger) -> int:
    """Print the summary and what does not hold; return the exit code."""
    images = len(run.sent)
    again = sum(count > 1 for count in ledger.acknowledged)
    say(f"\n{images} images in {run.seconds:.0f} s, {images / run.seconds:.0f} a second")
    for kind, count in ledger.counts().items():
        say(f"{count:7} {kind}")
    say(f"{sum(ledger.tries):7} C-STORE requests, {again} images acknowledged again after a loss")
    say(f"before: {run.before}\nafter a tenth: {run.warm}\nat the end: {run.after}")
    problems = list(problems_of(run, ledger))
    for problem in problems or ["all images were acknowledged, and nothing is left over"]:
        say(problem)
    return 1 if problems else 0


def problems_of(run: Run, ledger: Ledger) -> Iterator[str]:
    """Yield what does not hold."""
    rows = list(zip(run.sent, ledger.kept, ledger.acknowledged, ledger.losses, strict=True))
    unsettled = len(rows) - sum(run.sent) - run.reasons.total()
    growth = run.after.resident - run.warm.resident
    counts = {
        "images were not sent": run.reasons.total(),
        "images have no outcome, or more than one": abs(unsettled),
        "images count as sent more than once": sum(sent > 1 for sent, *_ in rows),
        "images count as sent that the server never acknowledged": sum(
            sent and not (kept and acknowledged) for sent, kept, acknowledged, _ in rows
        ),
        "images were acknowledged, but do not count as sent": sum(
            acknowledged > losses and not sent for sent, _, acknowledged, losses in rows
        ),
        "images were acknowledged twice without a loss": sum(
            acknowledged > 1 + losses for *_, acknowledged, losses in rows
        ),
        "images came otherwise than they were sent": ledger.spoiled[0],
        "bytes of memory more than after a tenth": growth if growth > MOST_GROWTH else 0,
        "threads are left": run.after.threads - run.before.threads,
        "open files are left": run.after.files - run.before.files,
        "kinds of faults never befell": list(ledger.faults).count(0) if len(rows) > 10_000 else 0,
    }
    yield from (f"{count} {what}" for what, count in counts.items() if count > 0)
    yield from (f"  {count} because {reason}" for reason, count in run.reasons.most_common(5))


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
