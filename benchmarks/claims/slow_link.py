"""Speed-up of a slow link by compression of the images."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.claims.gear_runs import check, gear_for
from benchmarks.claims.outcome import Outcome
from benchmarks.datasets import DataSet, make_ct, make_mr
from tests.support.pacs import StoreSCP

CT_IMAGES, MR_IMAGES = 100, 1000
MB_PER_SECOND = 2.5
MIN_GAIN = 1.8


def measure(scale: float, work: Path) -> Iterator[Outcome]:
    """Send a session over 20 Mbit/s, unchanged and with lossless compression."""
    made = (make_ct(work, int(CT_IMAGES * scale)), make_mr(work, int(MR_IMAGES * scale)))
    for data in made:
        plain, compressed = (_seconds(data, work, mode) for mode in ("when needed", "lossless"))
        gain = plain / compressed
        yield Outcome(
            claim=f"{data.title}, over 20 Mbit/s with lossless compression, beside none",
            bound=f"at least {MIN_GAIN:g} times as fast",
            measured=f"{gain:.2f} times ({compressed:.1f} s, without {plain:.1f} s)",
            holds=gain >= MIN_GAIN,
        )


def _seconds(data: DataSet, work: Path, mode: str) -> float:
    folder = work / f"{data.name} {mode}"
    with (
        StoreSCP("--ignore", "--fork", "+xa") as server,
        gear_for(
            [data.flywheel_file],
            server.port,
            server.ae_title,
            folder,
            conversion=mode,
            bandwidth_limit=MB_PER_SECOND,
        ) as gear,
    ):
        result = gear.run()
    check(result)
    return result.seconds
