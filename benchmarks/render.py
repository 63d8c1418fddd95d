"""Makes docs/benchmarks.md and docs/benchmarks.svg of the results.

python -m benchmarks.render docs/benchmarks.json
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

from benchmarks.bars import bars
from benchmarks.claims.outcome import Outcome
from benchmarks.results import REPLAY, Machine, Results, load
from benchmarks.tables import number, outcomes_table, summary_of, table, tables

WIDTH = 100
GIBIBYTE = 1 << 30
PICTURE = "benchmarks.svg"
PROFILE = "profile.md"
CLAIMS = "benchmarks-claims.json"
PEER = "peer"

INTRO = """\
# Benchmarks

How fast this gear and its command `dicom-send` are, beside other programs that send.
Each sender is run as a whole process, start-up included.
"""

HOW = """\
## Measure it yourself

    make bench

makes the virtual environment, installs the rivals, runs all of it in about an hour, prints the
tables and whether the bars hold, and writes this page, `benchmarks.json` and `benchmarks.svg`.
It needs what `make test` needs, and two idle cores. `make bench-peer` measures the published gear
as well, and `make bench-claims` the single claims. `make bench BENCH="--scale 0.1"` is a trial,
which writes nothing. `.venv/bin/python -m benchmarks --help` lists what can be selected, such as
`--targets orthanc --sets ct`. `.venv/bin/python -m benchmarks.render docs/benchmarks.json` makes
the page and the picture again.
"""

COLUMNS = """\
`s` is the median of the seconds of the runs, `range` goes from the fastest to the slowest, and
`TLS s` is the median to the same server with TLS 1.3. `connected s` is the time with at least one
connection to the server; images/s and MB/s (1,000,000 bytes) count in that time, and `% of replay`
is that rate beside a replay's with as many associations. `CPU ms/image` is for each image after the
first, start-up aside. `speed / dcmsend` is how many times as fast as `dcmsend` with its defaults
the sender is from start to end, and `time / raw copy` how many times as long as a raw copy of the
same bytes it takes.
"""

METHOD = """\
## How the numbers are made, and what they do not say

The images are made, always the same ones, in Explicit VR Little Endian, with headers of some 80
elements and pixels that deflate to half. The session holds single-frame images as one zip, deflated
at level 1, and the multi-frame image as it is. The gear runs as Flywheel's engine does it, in a new
folder each time, compiled before as in its image. The other senders have the plain files, and
neither download nor unpack; of a tgz, `dicom-send` reads the tgz itself. They run with their
default options. `dcmsend` and `storescu` are those of DCMTK, without and with `TCP_NODELAY=1` in
their environment; `scripts/rivals.sh` has the versions of the others. Over TLS the gear shows a
certificate, and checks the server's; `dcmsend` has no TLS.

A replay is the server's own limit: all PDUs are made before the clock starts, and then each
association has a plain socket, which sends an image and waits for the answer.

The senders run in turn, round by round; what is quoted are medians, and `benchmarks.json` has every
single run. Rivals with many images, the published gear, and all that send to the
server 50 ms away, run less often. Each run is to a fresh server. It counts only if the sender ended
with 0 and told that it sent every image, if the gear's report says `Complete`, and if Orthanc, as
the server, holds as many images. `storescu` and dcmjs-dimse report by their exit code alone.

CPU seconds and peak memory are those of the sender and all processes that it started: the user and
system time of all of them, and the largest sum of the peaks of those that ran at the same time,
looked at 20 times a second. Each sender runs with the first image alone as well: what that costs
is its start-up. The kernel is asked every 5 ms whether there is a connection to the server.

A raw copy sends the bytes of the DICOM files one after the other through a TCP socket on the
loopback interface, to a process that throws them away: no sender can be faster. It does not go
through the proxy where the server is 50 ms away.

Orthanc runs without plugins and stores what it gets. `storescp` runs with `--ignore`, so that it
stores nothing, and with `--fork`, since it takes one association at a time otherwise. "50 ms away"
is `storescp` behind a proxy that passes each direction on 25 ms late, starts each connection 50 ms
late, and acknowledges what it gets at once, so that it neither limits the bandwidth nor adds a
stall of its own. A real line loses packets and has a slow start, and an acknowledgement that a
server delays, for which `dcmsend` waits elsewhere, is never late here. There `connected s` is the
time from when the sender opens its first connection to when it closes its last one, as the proxy
sees it.

Site, server and sender share one machine, so that they compete for its cores: a server elsewhere
leaves more of them to the sender, and a network adds its own time. The site stands in for
Flywheel and delivers as fast as it is asked.
"""

PEER_NOTE = """\
The published gear runs in a virtual environment of its own, from the call that sends a session to
the report that it attaches. Two things are done in its favour: one function of its library
`fw-file`, `DICOM.update_orig_attrs`, is replaced by one that does nothing, since it fails without a
connection to the web; and its process is ended once the report is attached, since in some runs a
thread of pynetdicom keeps it for 30 or 60 seconds more.
"""


def write_docs(results: Results, folder: Path) -> None:
    """Write benchmarks.md and, which needs matplotlib, benchmarks.svg into the folder."""
    from benchmarks.picture import draw  # noqa: PLC0415 - so that the page alone can be made

    folder.mkdir(parents=True, exist_ok=True)
    draw(results, folder / PICTURE)
    (folder / "benchmarks.md").write_text(page(results, folder))


def page(results: Results, folder: Path) -> str:
    """Return benchmarks.md; `folder` is where it and what it may quote are."""
    return "\n".join(_sections(results, folder))


def _sections(results: Results, folder: Path) -> Iterator[str]:
    yield INTRO
    yield from _summary(results)
    if (folder / PICTURE).exists():
        yield f"![Seconds of each sender, for each data set]({PICTURE})\n"
    yield fill(f"Measured on {results.date} with {describe(results.machine)}.", WIDTH) + "\n"
    if found := list(bars(results)):
        yield f"## Bars\n\n{outcomes_table(found)}"
    yield HOW
    yield "## All numbers\n"
    yield COLUMNS
    yield tables(results)
    if failed := [run for run in results.runs if run.failure]:
        yield "Runs that failed, and are not used:\n"
        yield "".join(f"- {r.sender}, {r.data}, {r.target}: {r.failure}\n" for r in failed)
    if (folder / CLAIMS).exists():
        yield f"## Claims\n\n{outcomes_table(_claims(folder / CLAIMS))}"
    yield METHOD
    if any(sender.name == PEER for sender in results.senders):
        yield PEER_NOTE
    if (folder / PROFILE).exists():
        yield f"[{PROFILE}]({PROFILE}) shows where the time goes.\n"


def _summary(results: Results) -> Iterator[str]:
    """Yield the table that says it all: the seconds of each sender, for each data set."""
    target, data, senders = summary_of(results)
    if not data:
        return
    seconds = {(row.data, row.sender): row.seconds for row in results.rows if row.target == target}
    title = next(item.title for item in results.targets if item.name == target)
    rows = [
        [sender.title, *(number(seconds.get((item.name, sender.name))) for item in data)]
        for sender in senders
    ]
    yield f"Seconds from start to end, to {title}:\n"
    yield table(("sender", *(item.title for item in data)), rows)
    if any(sender.name.startswith(REPLAY) for sender in senders):
        yield "A replay sends ready-made messages, and does no other work: the server's limit.\n"


def describe(machine: Machine) -> str:
    """Return a machine in words."""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"{machine.cores} cores of {machine.cpu}, {machine.memory_bytes / GIBIBYTE:.1f} GiB of "
        f"memory, {machine.system}, Linux {machine.kernel}; {versions}"
    )


def _claims(path: Path) -> list[Outcome]:
    """Return what was claimed and what was measured."""
    return [Outcome(**claim) for claim in json.loads(path.read_text())]


def main(argv: Sequence[str]) -> int:
    """Make the page and the picture of a file of results, beside it."""
    path = Path(argv[0])
    write_docs(load(path), path.parent)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
