"""All claims by name, each measured in a separate process."""

import multiprocessing
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.claims import (
    disk,
    far_site,
    growth,
    latency,
    memory,
    race,
    slow_link,
    stamping,
    start_up,
    unpacking,
)
from benchmarks.claims.outcome import MeasurementError, Outcome
from tests.support.pacs import ServerError

CLAIMS: Mapping[str, Callable[[float, Path], Iterator[Outcome]]] = {
    "latency": latency.measure,
    "latency-tls": latency.measure_tls,
    "race": race.measure,
    "start-up": start_up.measure,
    "imports": start_up.measure_imports,
    "stamping": stamping.measure,
    "unpacking": unpacking.measure,
    "memory": memory.measure,
    "growth": growth.measure,
    "disk": disk.measure,
    "far-site": far_site.measure,
    "slow-link": slow_link.measure,
}


def measure(name: str, scale: float) -> list[Outcome]:
    """Measure in a new process with fresh memory."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as process:
        return process.submit(_measure, name, scale).result()


def _measure(name: str, scale: float) -> list[Outcome]:
    """Measure in a folder that is deleted at the end."""
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="claims-") as folder:
        try:
            outcomes.extend(CLAIMS[name](scale, Path(folder)))
        except (MeasurementError, ServerError, subprocess.SubprocessError) as error:
            failure = f"it could not be: {error}"
            outcomes.append(Outcome(name, "to be measured", failure, holds=False))
    return outcomes
