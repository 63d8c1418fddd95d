"""Cost of the private element; check that stamping does not read pixel data."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import BinaryIO

from benchmarks.claims.outcome import MeasurementError, Outcome
from benchmarks.claims.sender import TAG
from benchmarks.datasets import make_mr, make_multiframe
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.temporary_files import write_temporary_file
from fw_gear_dicom_send.dicom.types import SOPInstance

IMAGES = 2000
LARGE_FRAMES = 600
ROUNDS = 200
MAX_SECONDS = 0.3e-3
MAX_SECONDS_FOR_LARGE = 1e-3


def measure(scale: float, work: Path) -> Iterator[Outcome]:
    """Stamp many small images and a large one."""
    images = make_mr(work, int(IMAGES * scale))
    files = images.folder.rglob("*.dcm")
    seconds = [_seconds(write_temporary_file([file.read_bytes()], work), work) for file in files]
    yield Outcome(
        claim="Stamping an image of 33 KB",
        bound=f"under {MAX_SECONDS * 1000:.1f} ms",
        measured=f"median {median(seconds) * 1000:.3f} ms of {len(seconds)} images",
        holds=median(seconds) < MAX_SECONDS,
    )
    yield _large(scale, work)


def _large(scale: float, work: Path) -> Outcome:
    """Stamp a large and a small multi-frame image alternately."""
    for name in ("large", "small"):
        (work / name).mkdir()
    large = make_multiframe(work / "large", int(LARGE_FRAMES * scale)).flywheel_file
    small = make_multiframe(work / "small", 1).flywheel_file
    of_large, of_small = [], []
    for _ in range(ROUNDS):
        of_large.append(_seconds(large.open("rb"), work))
        of_small.append(_seconds(small.open("rb"), work))
    more = median(of_large) - median(of_small)
    return Outcome(
        claim=f"Stamping an image of {large.stat().st_size / 1e6:.0f} MB, beyond a small one",
        bound=f"under {MAX_SECONDS_FOR_LARGE * 1000:.0f} ms",
        measured=f"{median(of_large) * 1000:.3f} ms, the small one "
        f"{median(of_small) * 1000:.3f} ms",
        holds=more < MAX_SECONDS_FOR_LARGE,
    )


def _seconds(content: BinaryIO, work: Path) -> float:
    begin = perf_counter()
    instance = stamp(content, TAG, work)
    seconds = perf_counter() - begin
    if not isinstance(instance, SOPInstance):
        raise MeasurementError(instance.reason.text)
    instance.close()
    return seconds
