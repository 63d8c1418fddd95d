"""Measure the gear beside other senders, and print the results.

python -m benchmarks [--rounds N] [--sets mr,ct,multiframe,tgz] [--targets orthanc,storescp]
python -m benchmarks --sets far --targets far
"""

import argparse
import datetime
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import datasets
from benchmarks.datasets import ENCODERS, DataSet
from benchmarks.far import why_unavailable
from benchmarks.machine import this_machine
from benchmarks.rawcopy import raw_copy_seconds
from benchmarks.render import DICOMWEB, FAR, RESULTS, goals_section, write_docs
from benchmarks.results import Data, Named, Results, rows_of, save
from benchmarks.rivals import Dcmsend, Peer, Storescu, installed, installed_for_web
from benchmarks.rounds import Block, Rounds, print_progress, run_block
from benchmarks.senders import Command, Gear, Replay, Sender
from benchmarks.tables import near_and_far, tables
from benchmarks.targets import (
    BESIDE_SINK,
    NEAR_AND_FAR,
    ORTHANC,
    STORESCP,
    WEB_DISTANCE,
    WEB_ORTHANC,
    WEB_SINK,
    Target,
)
from tests.support.pacs import ServerError

SETS = ("mr", "ct", "multiframe", "tgz", "one", "compressed", "far")
GROUPS = {
    RESULTS: (ORTHANC, STORESCP),
    FAR: NEAR_AND_FAR,
    DICOMWEB: (WEB_ORTHANC, WEB_SINK, BESIDE_SINK, WEB_DISTANCE),
}
"""Targets that are measured together, by the file for their results."""
TARGETS_BY_NAME = {
    "far": NEAR_AND_FAR,
    **{target.name: (target,) for group in GROUPS.values() for target in group},
}
MIN_IMAGES = 8
FEW = 16
"""Images for a sender with one association to a distant server."""
DCMSENDS = (Dcmsend(has_nodelay=False), Dcmsend(has_nodelay=True))
STORESCUS = (Storescu(has_nodelay=False), Storescu(has_nodelay=True))
WEB_SETS = ("mr", "ct", "multiframe")
SEVERAL: tuple[Sender, ...] = (Command(), Command(4), Command(16), Replay(16))
ONE: tuple[Sender, ...] = (Command(1), DCMSENDS[0], STORESCUS[0])
FAR_SENDERS = {"mr-far": SEVERAL, "ct-far": SEVERAL, "mr-few": ONE, "ct-few": ONE}
"""Senders to near and far servers, by data set."""
NEAR_SENDERS: dict[str, tuple[Sender, ...]] = {
    "one": (Command(), Gear(4), DCMSENDS[0], STORESCUS[0]),
    "tgz": (Gear(4), Command(), Command(4), DCMSENDS[0], Replay(4)),
    **dict.fromkeys(ENCODERS, (Command(), DCMSENDS[0])),
}
"""Senders of a data set that not all programs send."""


@dataclass(frozen=True)
class Options:
    """Selection of measurements; `scale` is the size of the data sets."""

    sets: tuple[str, ...]
    targets: tuple[Target, ...]
    scale: float
    senders: tuple[str, ...]
    peer: Path | None
    rivals: Path | None

    def count(self, usual: int) -> int:
        """Return the scaled number of images."""
        return max(MIN_IMAGES, round(usual * self.scale))


def main(argv: Sequence[str]) -> int:
    """Measure, print and write the results; return 0 if no run failed."""
    parser = argument_parser()
    arguments = parser.parse_args(argv)
    for given, known in ((arguments.sets, SETS), (arguments.targets, TARGETS_BY_NAME)):
        if unknown := sorted(set(given) - set(known)):
            parser.error(f"{', '.join(unknown)}: is not one of {', '.join(known)}")
    options = Options(
        sets=arguments.sets,
        targets=possible([one for name in arguments.targets for one in TARGETS_BY_NAME[name]]),
        scale=arguments.scale,
        senders=arguments.senders,
        peer=arguments.peer.absolute() if arguments.peer else None,
        rivals=arguments.rivals,
    )
    rounds = Rounds(arguments.rounds, min(arguments.rounds, arguments.slow_rounds))
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-data-") as folder:
            made = list(data_sets(options, Path(folder)))
            measured = {
                name: measure(list(blocks(options, chosen, made)), rounds)
                for name, group in GROUPS.items()
                if (chosen := [target for target in group if target in options.targets])
            }
    except ServerError as error:
        print_progress(str(error))
        return 1
    for name, results in measured.items():
        if arguments.docs:
            arguments.docs.mkdir(parents=True, exist_ok=True)
            save(results, arguments.docs / name)
        sys.stdout.write(near_and_far(results) if name == FAR else tables(results))
        sys.stdout.write("".join(f"\n{block}" for block in goals_section([results])))
    if arguments.docs:
        write_docs(arguments.docs)
    return 1 if any(run.failure for results in measured.values() for run in results.runs) else 0


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    add = parser.add_argument
    targets = tuple(TARGETS_BY_NAME)
    add("--rounds", type=int, default=3, help="runs of each sender")
    add(
        "--slow-rounds",
        type=int,
        default=1,
        help="runs of slow senders: the peer, dcmsend with many images, all distant targets",
    )
    add("--sets", type=names_in, default=SETS, help=f"data sets: {','.join(SETS)}")
    add("--targets", type=names_in, default=targets, help=f"targets: {','.join(targets)}")
    add(
        "--senders",
        type=names_in,
        default=(),
        help="only these senders, e.g. command-4,replay-4,dcmsend",
    )
    add("--scale", type=float, default=1.0, help="size of the data sets, e.g. 0.1 for a trial")
    add("--rivals", type=Path, help="folder with the senders installed by scripts/rivals.sh")
    add("--peer", type=Path, help="Python with fw-gear-dicom-send 4.2.0 installed")
    add("--docs", type=Path, help="output folder for the results, benchmarks.md and .svg")
    return parser


def possible(targets: Sequence[Target]) -> tuple[Target, ...]:
    """Return the targets, without those of distances if this machine has no distant servers."""
    if any(target.round_trip for target in targets) and (reason := why_unavailable()):
        print_progress(f"Distant servers are not measured: {reason}")
        return tuple(one for one in targets if not one.round_trip and one not in NEAR_AND_FAR)
    return tuple(targets)


def names_in(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated list."""
    return tuple(text.split(","))


def blocks(options: Options, targets: Sequence[Target], made: Sequence[DataSet]) -> Iterator[Block]:
    """Yield the comparisons for each target and data set."""
    for target in targets:
        for data in made:
            senders = senders_of(options, target, data)
            if options.senders:
                senders = tuple(sender for sender in senders if sender.name in options.senders)
            if senders:
                yield Block(target, data, senders)


def senders_of(options: Options, target: Target, data: DataSet) -> tuple[Sender, ...]:
    """Return the senders of a data set to a target, without those that take too long."""
    if target in GROUPS[DICOMWEB]:
        return web_senders(options, target, data)
    is_far, is_converted = data.name in FAR_SENDERS, data.name in ENCODERS
    if is_far != (target in NEAR_AND_FAR) or (is_converted and target is not STORESCP):
        return ()
    if senders := (FAR_SENDERS | NEAR_SENDERS).get(data.name):
        return senders
    rivals = tuple(installed(options.rivals)) if options.rivals else ()
    peers: tuple[Sender, ...] = (Peer(options.peer),) if options.peer else ()
    own = (Gear(1), Gear(4), Gear(1, uses_tls=True), Gear(4, uses_tls=True))
    commands = (Command(), Command(1), Command(4), Replay(1), Replay(4))
    return (*own, *commands, *DCMSENDS, *STORESCUS, *rivals, *peers)


def web_senders(options: Options, target: Target, data: DataSet) -> tuple[Sender, ...]:
    """Return the senders of a data set to a DICOMweb server, or by C-STORE beside them."""
    rivals = tuple(installed_for_web(options.rivals)) if options.rivals else ()
    if data.name not in WEB_SETS or (target is WEB_DISTANCE and data.images == 1):
        return ()
    if target is BESIDE_SINK:
        return (Command(1), Command(4))
    if target is WEB_DISTANCE:
        return (Command(4), Command(8), Command(8, 1), Command(8, 20), *rivals)
    return (Command(1), Command(4), Replay(1), Replay(4), *rivals)


def data_sets(options: Options, folder: Path) -> Iterator[DataSet]:
    """Create the data sets."""
    if "mr" in options.sets:
        yield datasets.make_mr(folder, options.count(2000))
    if "ct" in options.sets:
        yield datasets.make_ct(folder, options.count(400))
    if "multiframe" in options.sets:
        yield datasets.make_multiframe(folder, options.count(600))
    if "tgz" in options.sets:
        yield datasets.make_ct_tgz(folder, options.count(1000))
    if "one" in options.sets:
        yield datasets.make_mr(folder, 1, "one")
    if "compressed" in options.sets:
        yield from datasets.make_compressed(folder, options.count(100))
    if "far" in options.sets:
        yield datasets.make_mr(folder, options.count(400), "mr-far")
        yield datasets.make_ct(folder, options.count(100), "ct-far")
        yield datasets.make_mr(folder, options.count(FEW), "mr-few")
        yield datasets.make_ct(folder, options.count(FEW), "ct-few")


def measure(to_compare: Sequence[Block], rounds: Rounds) -> Results:
    """Run every block, and the raw copies of their data."""
    sets = {block.data.name: block.data for block in to_compare}
    print_progress(f"{len(sets)} data sets are made")
    data = [
        Data(
            name=item.name,
            title=item.title,
            images=item.images,
            bytes=item.bytes,
            raw_seconds=[raw_copy_seconds(item) for _ in range(rounds.usual)],
        )
        for item in sets.values()
    ]
    runs = [run for block in to_compare for run in run_block(block, rounds)]
    senders = {sender.name: sender.title for block in to_compare for sender in block.senders}
    targets = {block.target.name: block.target.title for block in to_compare}
    return Results(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=this_machine(),
        targets=[Named(name, title) for name, title in targets.items()],
        data=data,
        senders=[Named(name, title) for name, title in senders.items()],
        rows=rows_of(runs, data),
        runs=runs,
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
