"""Cost of unpacking an archive, compared with a copy of its file."""

import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.claims.outcome import MeasurementError, Outcome
from benchmarks.datasets import DataSet, make_ct
from fw_gear_dicom_send.archive import Archive, Member
from fw_gear_dicom_send.dicom.part10 import skips

IMAGES = 400
ROUNDS = 5
MAX_RATIO = 2.0
CHUNK_SIZE = 1 << 20


def measure(scale: float, work: Path) -> Iterator[Outcome]:
    """Unpack an uncompressed zip and an uncompressed tar."""
    images = make_ct(work, int(IMAGES * scale))
    yield _measure("stored zip", _stored_zip(images, work), images, work)
    yield _measure("plain tar", _plain_tar(images, work), images, work)


def _measure(kind: str, path: Path, images: DataSet, work: Path) -> Outcome:
    """Unpack and copy alternately."""
    unpacked, copied = [], []
    for _ in range(ROUNDS):
        unpacked.append(_unpack(path, images, work))
        copied.append(_copy(path, work / "copy"))
    ratio = median(unpacked) / median(copied)
    return Outcome(
        claim=f"Unpacking a {kind} of {images.images} CT images "
        f"({path.stat().st_size / 1e6:.0f} MB), beside a copy of its file",
        bound=f"at most {MAX_RATIO:.0f} times as long",
        measured=f"{ratio:.2f} times ({median(unpacked) * 1000:.0f} ms, "
        f"the copy {median(copied) * 1000:.0f} ms)",
        holds=ratio <= MAX_RATIO,
    )


def _unpack(path: Path, images: DataSet, work: Path) -> float:
    """Read each image completely; return the duration in seconds."""
    begin = perf_counter()
    size = 0
    with closing(Archive(path, work, skips)) as archive:
        for task in archive.tasks():
            item = task() if callable(task) else task
            if not isinstance(item, Member):
                raise MeasurementError("the archive was not unpacked completely")
            with item.content as content:
                while data := content.read(CHUNK_SIZE):
                    size += len(data)
    seconds = perf_counter() - begin
    if size != images.bytes:
        raise MeasurementError(f"{size} of {images.bytes} bytes were unpacked")
    return seconds


def _copy(path: Path, target: Path) -> float:
    """Copy a file to a new one; return the duration in seconds."""
    begin = perf_counter()
    with path.open("rb") as source, target.open("xb") as copy:
        shutil.copyfileobj(source, copy)
    seconds = perf_counter() - begin
    target.unlink()
    return seconds


def _stored_zip(images: DataSet, work: Path) -> Path:
    path = work / "stored.zip"
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as target:
        for file in sorted(images.folder.rglob("*.dcm")):
            target.write(file, file.relative_to(images.folder))
    return path


def _plain_tar(images: DataSet, work: Path) -> Path:
    path = work / "plain.tar"
    with tarfile.open(path, "x") as target:
        target.add(images.folder, "")
    return path
