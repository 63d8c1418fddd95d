"""Duration of a session of single images on a distant site."""

from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from benchmarks.claims.gear_runs import check, gear_for
from benchmarks.claims.outcome import Outcome
from benchmarks.claims.small_images import small_image
from tests.support.pacs import StoreSCP

FILES = 2000
LATENCY = 0.1
MIN_GAIN = 2.0
MAX_RUN_SECONDS = 3600.0


def measure(scale: float, work: Path) -> Iterator[Outcome]:
    """Send a session of single-image files from a site that is slow to respond."""
    count = int(FILES * scale)
    files = [work / f"{number:06}.dcm" for number in range(count)]
    for number, file in enumerate(files):
        file.write_bytes(small_image(number))
    (four, four_cpu), (automatic, cpu) = (_seconds(files, work, number) for number in (4, 0))
    yield Outcome(
        claim=f"The whole gear, from a session of {count} files of one image each, on a site that "
        f"takes {LATENCY * 1000:.0f} ms for each answer: automatic number of downloads, beside 4",
        bound=f"at least {MIN_GAIN:g} times as fast",
        measured=f"{four / automatic:.1f} times ({automatic:.1f} s, with 4 {four:.1f} s)",
        holds=four / automatic >= MIN_GAIN,
        details=(f"CPU {cpu:.1f} s, with 4 downloads {four_cpu:.1f} s",),
    )


def _seconds(files: list[Path], work: Path, downloads: int) -> tuple[float, float]:
    """Return the seconds of a run and its CPU seconds."""
    folder = work / f"v0-{downloads}"
    with (
        StoreSCP("--ignore", "--fork") as server,
        gear_for(
            files,
            server.port,
            server.ae_title,
            folder,
            latency=LATENCY,
            downloads=downloads,
        ) as gear,
    ):
        before = getrusage(RUSAGE_CHILDREN)
        result = gear.run(MAX_RUN_SECONDS)
        after = getrusage(RUSAGE_CHILDREN)
        check(result)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return result.seconds, cpu
