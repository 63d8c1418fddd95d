"""Duration of a session of single images on a distant site."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.claims.gear_runs import check, gear_for
from benchmarks.claims.outcome import Outcome
from benchmarks.datasets import make_mr
from tests.support.pacs import StoreSCP

FILES = 200
LATENCY = 0.1
MAX_SECONDS = 8.0


def measure(scale: float, work: Path) -> Iterator[Outcome]:
    """Send a session of single-image files from a site that is slow to respond."""
    count = int(FILES * scale)
    files = sorted(make_mr(work, count).folder.rglob("*.dcm"))
    names = [file.rename(work / f"{number:04}.dcm") for number, file in enumerate(files)]
    with (
        StoreSCP("--ignore", "--fork") as server,
        gear_for(names, server.port, server.ae_title, work / "v0", latency=LATENCY) as gear,
    ):
        result = gear.run()
        check(result)
    yield Outcome(
        claim=f"The whole gear, from a session of {count} files of one image each, on a site that "
        f"takes {LATENCY * 1000:.0f} ms for each answer",
        bound=f"at most {MAX_SECONDS:.0f} s",
        measured=f"{result.seconds:.1f} s",
        holds=result.seconds <= MAX_SECONDS,
    )
