"""Rounds: the senders alternate, each with a fresh server, and each run is verified."""

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
"""Maximum number of characters from the output of a failed sender."""


@dataclass(frozen=True)
class Block:
    """Comparison: the senders of a data set to a target."""

    target: Target
    data: DataSet
    senders: tuple[Sender, ...]


@dataclass(frozen=True)
class Rounds:
    """Number of runs of each sender; `slow` applies to senders that take minutes."""

    usual: int
    slow: int

    def of(self, sender: Sender, block: Block) -> int:
        """Return the number of runs of a sender in the block."""
        is_slow = block.target.round_trip or block.data.images >= sender.slow_from
        return self.slow if is_slow else self.usual


def run_block(block: Block, rounds: Rounds) -> Iterator[Run]:
    """Run the senders alternately, so that other load on the machine affects all equally."""
    for number in range(1, rounds.usual + 1):
        for sender in block.senders:
            if number > rounds.of(sender, block):
                continue
            run = run_with_start_up(block.target, block.data, sender)
            print_progress(
                f"{block.target.title}, {block.data.title}, round {number}: {sender.title} "
                f"{run.seconds:.2f} s{f'  FAILED: {run.failure}' if run.failure else ''}"
            )
            yield run


def run_with_start_up(target: Target, data: DataSet, sender: Sender) -> Run:
    """Run a sender, first with one image only to measure its start-up."""
    if not (data.first and sender.has_start_up):
        return run_once(target, data, sender)
    first = run_once(target, data.first, sender)
    run = run_once(target, data, sender)
    return replace(
        run,
        first_image_seconds=first.seconds,
        first_image_cpu_seconds=first.cpu_seconds,
        first_image_sending_seconds=first.sending_seconds,
        failure=run.failure or first.failure,
    )


def run_once(target: Target, data: DataSet, sender: Sender) -> Run:
    """Run a sender with a fresh server, and check that all images have arrived."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        with target.open(uses_tls=sender.uses_tls) as destination:
            sending = sender.send(data, destination, Path(folder))
            stored = destination.stored()
        failure = failure_of(sending, stored, data)
        if failure:
            print_progress(sending.process.output[-END_OF_OUTPUT:])
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
    """Return the failure of a run, or an empty text."""
    if sending.process.exit_code != 0:
        return f"exit code {sending.process.exit_code}"
    if sending.sent != data.images:
        return f"reported {sending.sent} of {data.images} images as sent"
    if stored not in (None, data.images):
        return f"the server has {stored} of {data.images} images"
    return ""


def print_progress(line: str) -> None:
    """Print a progress line."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
