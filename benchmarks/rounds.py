"""Rounds: each sender in turn, each run to a fresh server, and checked when it has ended."""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.datasets import DataSet
from benchmarks.results import Run
from benchmarks.senders import Sender, Sending
from benchmarks.targets import Target

END_OF_OUTPUT = 2000
"""Characters of what a sender that failed has printed."""


@dataclass(frozen=True)
class Block:
    """What is compared: the senders of a data set to a target."""

    target: Target
    data: DataSet
    senders: tuple[Sender, ...]


@dataclass(frozen=True)
class Rounds:
    """How often each sender runs; `slow` is for one that takes minutes."""

    usual: int
    slow: int

    def of(self, sender: Sender, block: Block) -> int:
        """Return how often a sender of the block runs."""
        is_slow = block.target.is_slow or block.data.images >= sender.slow_from
        return self.slow if is_slow else self.usual


def run_block(block: Block, rounds: Rounds) -> Iterator[Run]:
    """Run the senders in turn, so that what else the machine does falls on all of them."""
    for number in range(1, rounds.usual + 1):
        for sender in block.senders:
            if number > rounds.of(sender, block):
                continue
            run = run_with_start_up(block.target, block.data, sender)
            tell(
                f"{block.target.title}, {block.data.title}, round {number}: {sender.title} "
                f"{run.seconds:.2f} s{f'  FAILED: {run.failure}' if run.failure else ''}"
            )
            yield run


def run_with_start_up(target: Target, data: DataSet, sender: Sender) -> Run:
    """Run a sender, and before that with the first image alone, which costs its start-up."""
    if not (data.first and sender.has_start_up):
        return run_once(target, data, sender)
    first = run_once(target, data.first, sender)
    run = run_once(target, data, sender)
    return replace(
        run, first_image_cpu_seconds=first.cpu_seconds, failure=run.failure or first.failure
    )


def run_once(target: Target, data: DataSet, sender: Sender) -> Run:
    """Run a sender to a fresh server, and check that all images have arrived."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        start = target.open_tls if sender.uses_tls and target.open_tls else target.open
        with start() as destination:
            sending = sender.send(data, destination, Path(folder))
            stored = destination.stored()
        failure = failure_of(sending, stored, data)
        if failure:
            tell(sending.process.output[-END_OF_OUTPUT:])
        connected_seconds = sending.connected_seconds or destination.sending_seconds()
        return Run(
            target=target.name,
            data=data.name,
            sender=sender.name,
            seconds=sending.process.seconds,
            cpu_seconds=sending.process.cpu_seconds,
            peak_bytes=sending.process.peak_bytes,
            sending_seconds=connected_seconds,
            failure=failure,
        )


def failure_of(sending: Sending, stored: int | None, data: DataSet) -> str:
    """Say what went wrong in a run, or nothing."""
    if sending.process.exit_code != 0:
        return f"it ended with {sending.process.exit_code}"
    if sending.sent != data.images:
        return f"it says to have sent {sending.sent} of {data.images} images"
    if stored not in (None, data.images):
        return f"the server has {stored} of {data.images} images"
    return ""


def tell(line: str) -> None:
    """Print a line on what is being done."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
