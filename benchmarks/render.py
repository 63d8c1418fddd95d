"""Create docs/benchmarks.md and docs/benchmarks.svg from the results.

python -m benchmarks.render docs
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

from benchmarks.claims.outcome import Outcome
from benchmarks.goals import goals
from benchmarks.results import REPLAY, Machine, Results, load
from benchmarks.tables import near_and_far, number, outcomes_table, summary_of, table, tables

WIDTH = 100
GIBIBYTE = 1 << 30
RESULTS = "benchmarks.json"
DICOMWEB = "benchmarks-dicomweb.json"
FAR = "benchmarks-far.json"
PICTURE = "benchmarks.svg"
PROFILE = "profile.md"
CLAIMS = "benchmarks-claims.json"
PEER = "peer"

INTRO = """\
# Benchmarks

This page compares the speed and memory of the gear and the command `dicom-send` with other
programs that send DICOM. Each sender runs as a whole process, including its start.
The programs of other projects here send over one association. [comparison.md](comparison.md) has
programs with more, which were not measured.
"""

HOW = """\
## Measure it yourself

    make bench

This creates the virtual environment, installs the other senders and runs all measurements, in
about an hour. It prints the tables and the performance goals, and writes this page,
`benchmarks.json`, `benchmarks-far.json`, `benchmarks-dicomweb.json` and `benchmarks.svg`. It has
the same requirements as `make test`, and needs two idle cores. Distant servers also need root,
`/dev/net/tun` and iproute2, and are skipped without them.

- `make bench-far` measures near and far servers alone, in about ten minutes.
- `make bench-peer` also measures the published gear.
- `make bench-claims` measures single claims.
- `make bench BENCH="--scale 0.1"` is a trial, which writes no files.
- `make bench-dicomweb` measures DICOMweb alone, in about seven minutes.
- `.venv/bin/python -m benchmarks --help` lists options, such as `--targets orthanc --sets ct`.
- `.venv/bin/python -m benchmarks.render docs` writes the page and the picture again.
"""

COLUMNS = """\
- `s` is the median time of the runs in seconds. `range` is the fastest and the slowest run.
- `TLS s` is the median to the same server with TLS 1.3.
- `connected s` is the time with at least one connection to the server. `images/s` and `MB/s`
  (1,000,000 bytes) are rates in that time.
- `% of replay` compares this rate with a replay over as many associations.
- `CPU ms/image` is the CPU time for each image after the first, without the start.
- `speed / dcmsend` is the speed from start to end, as a multiple of `dcmsend` with its defaults.
- `time / raw copy` is the time as a multiple of a raw copy of the same bytes.
"""

FAR_INTRO = """\
## Near and far servers

Each packet to a distant server arrives half a round trip late. So TCP behaves as on a line:

- One association waits two round trips for an image, not one. These servers answer in two
  segments, and Nagle's algorithm keeps the second until the first is acknowledged.
- `dcmsend` and `storescu` write an image in two parts, and wait longer.
- More associations wait at the same time.

The senders with one association send fewer images, and all with the same start. The rate leaves
out the start and the first image, except for a replay, which has no start. `dicom-send` without a
number has its default of `associations`.
"""

WEB_INTRO = """\
## DICOMweb

These senders store by STOW-RS. An association is a connection here. `dicom-send` uses its default
of `images_per_request`, unless the row has a number.

- The replay sends ready-made requests, with one image each.
- `dicomweb-client` is its command. It has one connection, and sends all files in one request.
- Orthanc has its DICOMweb plugin.
- The sink is a server that stores nothing, and names each image as stored.
- `storescp by C-STORE` is the same command in the same run, as a measure for the sink.

The tool `stowrs` of dcm4che is not here, because PyPI, npm and Debian do not have it.
"""

METHOD = """\
## Method and limits

**Data.** The images are generated, and are the same in each run. They are in Explicit VR Little
Endian, with headers of about 80 elements. Their pixels deflate to half the size. In the session,
single-frame images are one zip, deflated at level 1. The multi-frame image is a plain file.

**Senders.** The gear runs like in Flywheel's engine, in a new folder each time, with compiled
modules as in its image. The other senders read plain files, and neither download nor unpack. From
a tgz, `dicom-send` reads the tgz itself. Their options are the defaults. `dcmsend` and
`storescu` are those of DCMTK, with and without `TCP_NODELAY=1` in their environment.
`scripts/rivals.sh` has the versions of the others. Over TLS, the gear presents a certificate and
checks the server's certificate. `dcmsend` does not support TLS.

**Replay.** A replay shows the limit of the server. All PDUs are created before the clock starts.
Each association is a plain socket, which sends an image and waits for the answer.

**Raw copy.** This sends the bytes of the DICOM files through one TCP socket on the loopback
interface, to a process that discards them. No sender can be faster.

**Runs.** The senders take turns, round by round. The tables have medians. `benchmarks.json` has
every single run. Some senders run less often: other programs with many images, the published
gear, and all senders to distant servers. Each run has a fresh server. A run counts only if:

- the sender exits with 0 and reports every image as sent;
- the gear's report says `Complete`;
- Orthanc, if it is the server, has as many images.

`storescu`, dcmjs-dimse and `dicomweb-client` report only by their exit code.

**CPU and memory.** CPU seconds and peak memory include the sender and all processes that it
starts. CPU seconds are user and system time. Peak memory is the largest sum of the peaks of
processes that run at the same time, sampled 20 times a second. Each sender also runs with the
first image alone, which measures its start. The kernel is queried every 5 ms for connections to
the server.

**Servers.** Orthanc runs without plugins, except for DICOMweb, and stores all images. `storescp`
runs with `--ignore`, so that it stores nothing, and with `--fork`, because it otherwise accepts one
association at a time.

**Distant servers.** Sender and server have a network namespace each, joined by two tun devices. A
process forwards each IP packet half a round trip late. The packets have 1,500 bytes at most, and
none is lost. Nagle's algorithm, delayed acknowledgements and slow start are those of the kernel.
The process takes CPU time for each packet, as a network card would not. So the rate of large images
to distant servers is a lower limit.

**One machine.** Site, server and sender share one machine and compete for its cores. A remote
server leaves more of them to the sender, and a network adds its own time. The site stands in for
Flywheel and delivers as fast as the sender downloads.
"""

PEER_NOTE = """\
**The published gear** runs in a separate virtual environment. Its time is from the call that
sends a session to the attached report. Two changes are made in its favour:

- `DICOM.update_orig_attrs` of its library `fw-file` does nothing, because it fails without a
  connection to the web.
- Its process is ended once the report is attached. In some runs a thread of pynetdicom keeps it
  alive for another 30 or 60 seconds.
"""


def write_docs(folder: Path) -> None:
    """Write benchmarks.md and benchmarks.svg beside the results, if those of C-STORE are there."""
    if not (folder / RESULTS).exists():
        return
    from benchmarks.picture import draw  # noqa: PLC0415 - the page alone needs no matplotlib

    results = load(folder / RESULTS)
    draw(results, folder / PICTURE)
    (folder / "benchmarks.md").write_text(page(results, folder))


def page(results: Results, folder: Path) -> str:
    """Return benchmarks.md; `folder` contains it and the files that it may quote."""
    return "\n".join(_sections(results, folder))


def _sections(results: Results, folder: Path) -> Iterator[str]:
    far, web = (
        load(folder / name) if (folder / name).exists() else None for name in (FAR, DICOMWEB)
    )
    yield INTRO
    yield from goals_section([found for found in (results, far, web) if found])
    yield from _summary(results)
    if (folder / PICTURE).exists():
        yield f"![Seconds of each sender, for each data set]({PICTURE})\n"
    yield _measured(results)
    if far:
        yield FAR_INTRO
        yield _measured(far)
        yield near_and_far(far)
        yield from _failed(far)
    yield HOW
    yield "## All numbers\n"
    yield COLUMNS
    yield from _numbers(results)
    if web:
        yield WEB_INTRO
        yield _measured(web)
        yield from _numbers(web)
    if (folder / CLAIMS).exists():
        yield f"## Claims\n\n{outcomes_table(_claims(folder / CLAIMS))}"
    yield METHOD
    if any(sender.name == PEER for sender in results.senders):
        yield PEER_NOTE
    if (folder / PROFILE).exists():
        yield f"[{PROFILE}]({PROFILE}) shows where the time goes.\n"


def goals_section(measured: Sequence[Results]) -> Iterator[str]:
    """Yield the goals of several results, with the missed ones first."""
    if found := sorted(
        (goal for results in measured for goal in goals(results)), key=lambda goal: goal.holds
    ):
        met = sum(goal.holds for goal in found)
        yield f"## Performance goals\n\n{met} of {len(found)} goals are met.\n"
        yield outcomes_table(found)


def _measured(results: Results) -> str:
    return fill(f"Measured on {results.date} with {describe(results.machine)}.", WIDTH) + "\n"


def _numbers(results: Results) -> Iterator[str]:
    """Yield all tables, and the failed runs."""
    yield tables(results)
    yield from _failed(results)


def _failed(results: Results) -> Iterator[str]:
    if failed := [run for run in results.runs if run.failure]:
        yield "These runs failed and do not count:\n"
        yield "".join(f"- {r.sender}, {r.data}, {r.target}: {r.failure}\n" for r in failed)


def _summary(results: Results) -> Iterator[str]:
    """Yield the summary table: the seconds of each sender for each data set."""
    target, data, senders = summary_of(results)
    if not data:
        return
    seconds = {(row.data, row.sender): row.seconds for row in results.rows if row.target == target}
    title = next(item.title for item in results.targets if item.name == target)
    rows = [
        [sender.title, *(number(seconds.get((item.name, sender.name))) for item in data)]
        for sender in senders
    ]
    yield f"Seconds from start to end, with {title} as the server:\n"
    yield table(("sender", *(item.title for item in data)), rows)
    if any(sender.name.startswith(REPLAY) for sender in senders):
        yield "A replay only sends ready-made messages. It shows the limit of the server.\n"


def describe(machine: Machine) -> str:
    """Return a description of a machine."""
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"{machine.cores} cores of {machine.cpu}, {machine.memory_bytes / GIBIBYTE:.1f} GiB of "
        f"memory, {machine.system}, Linux {machine.kernel}; {versions}"
    )


def _claims(path: Path) -> list[Outcome]:
    """Return the claims with their measured values."""
    return [Outcome(**claim) for claim in json.loads(path.read_text())]


def main(argv: Sequence[str]) -> int:
    """Create the page and the picture from a file of results, beside it."""
    write_docs(Path(argv[0]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
