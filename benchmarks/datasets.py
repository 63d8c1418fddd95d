"""Data sets to send: generated images, the same in each run."""

import gzip
import random
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from benchmarks.headers import ct_header, enhanced_ct_header, mr_header
from tests.support.programs import path_of

IMAGES_IN_SERIES = 200
SEED = 20250102
LEVEL = 1
ENCODERS = {
    "jpeg-lossless": ("JPEG Lossless", "dcmcjpeg"),
    "rle": ("RLE Lossless", "dcmcrle"),
    "jpeg-ls": ("JPEG-LS Lossless", "dcmcjpls"),
}
"""Transfer syntax and program of DCMTK for each compressed data set."""
SIX_BITS = bytes(value & 0x3F for value in range(256))


@dataclass(frozen=True)
class DataSet:
    """Images on disk: `bytes` is the total size of the DICOM files, `folder` their location.

    `flywheel_file` is the content of the session: an archive of the files, or the only file itself.
    `source` is the input of the command. `first` is a data set of the first image only, which
    measures the start-up, or None for a single image.
    """

    name: str
    title: str
    images: int
    bytes: int
    folder: Path
    flywheel_file: Path
    source: Path
    first: "DataSet | None" = None


def make_mr(folder: Path, images: int = 2000, name: str = "mr") -> DataSet:
    """Create single-frame MR images of 128 x 128 pixels, about 35 KB each, and a zip of them."""
    files = _make_files(folder / name, images, mr_header, pixels=128)
    title = f"{images} MR image{'s' * (images > 1)}, 128 x 128"
    return _archived(name, title, files, folder, zip_of, reads_archive=False)


def make_ct(folder: Path, images: int = 400, name: str = "ct") -> DataSet:
    """Create single-frame CT images of 512 x 512 pixels, about 527 KB each, and a zip of them."""
    files = _make_files(folder / name, images, ct_header, pixels=512)
    title = f"{images} CT images, 512 x 512"
    return _archived(name, title, files, folder, zip_of, reads_archive=False)


def make_compressed(folder: Path, images: int = 100) -> Iterator[DataSet]:
    """Compress CT images like those of `make_ct` with each of DCMTK's lossless encoders."""
    plain = folder / "plain"
    originals = _make_files(plain, images, ct_header, pixels=512)
    for name, (syntax, program) in ENCODERS.items():
        files = [folder / name / path.relative_to(plain) for path in originals]
        for original, file in zip(originals, files, strict=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([path_of(program), original, file], check=True)  # noqa: S603 - DCMTK
        title = f"{images} CT images in {syntax}, 512 x 512"
        yield _archived(name, title, files, folder, zip_of, reads_archive=False)


def make_ct_tgz(folder: Path, images: int = 1000) -> DataSet:
    """Create CT images like `make_ct`, and a tgz of them, which the command also reads."""
    files = _make_files(folder / "tgz", images, ct_header, pixels=512)
    title = f"{images} CT images in a tgz, 512 x 512"
    return _archived("tgz", title, files, folder, tgz_of, reads_archive=True)


def make_multiframe(folder: Path, frames: int = 600) -> DataSet:
    """Create one Enhanced CT image of `frames` frames of 512 x 512 pixels (525 KB each)."""
    files = folder / "multiframe"
    files.mkdir(parents=True)
    path = files / "multiframe.dcm"
    _write_image(path, enhanced_ct_header(frames), frames, pixels=512, seed=SEED)
    return DataSet(
        name="multiframe",
        title=f"one Enhanced CT image of {frames} frames, 512 x 512",
        images=1,
        bytes=path.stat().st_size,
        folder=files,
        flywheel_file=path,
        source=files,
    )


def zip_of(files: Sequence[Path], folder: Path, name: str) -> Path:
    """Create a deflated zip of files in `folder`, beside it; return its path."""
    path = folder.with_name(f"{name}.zip")
    with zipfile.ZipFile(path, "x") as archive:
        for file in files:
            member = zipfile.ZipInfo(str(file.relative_to(folder)))
            archive.writestr(member, file.read_bytes(), zipfile.ZIP_DEFLATED, LEVEL)
    return path


def tgz_of(files: Sequence[Path], folder: Path, name: str) -> Path:
    """Create a compressed tar of files in `folder`, beside it; return its path."""
    path = folder.with_name(f"{name}.tgz")
    with (
        path.open("xb") as target,
        gzip.GzipFile("", "wb", LEVEL, target, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for file in files:
            member = tarfile.TarInfo(str(file.relative_to(folder)))
            member.size = file.stat().st_size
            with file.open("rb") as content:
                archive.addfile(member, content)
    return path


def _archived(
    name: str,
    title: str,
    files: Sequence[Path],
    folder: Path,
    archive_of: Callable[[Sequence[Path], Path, str], Path],
    *,
    reads_archive: bool,
) -> DataSet:
    """Archive the files of a folder, and the first of them in a separate folder."""
    archive = archive_of(files, folder / name, name)
    first = None
    if len(files) > 1:
        alone = folder / f"{name}-first" / files[0].name
        alone.parent.mkdir()
        alone.write_bytes(files[0].read_bytes())
        first = _archived(
            alone.parent.name, "", [alone], folder, archive_of, reads_archive=reads_archive
        )
    return DataSet(
        name=name,
        title=title,
        images=len(files),
        bytes=sum(file.stat().st_size for file in files),
        folder=folder / name,
        flywheel_file=archive,
        source=archive if reads_archive else folder / name,
        first=first,
    )


def _make_files(
    folder: Path, images: int, header: Callable[[int, int], Dataset], *, pixels: int
) -> list[Path]:
    paths = []
    for index in range(images):
        series, number = index // IMAGES_IN_SERIES + 1, index % IMAGES_IN_SERIES + 1
        path = folder / f"series{series:02}" / f"{number:04}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_image(path, header(series, number), 1, pixels=pixels, seed=SEED + index)
        paths.append(path)
    return paths


def _write_image(path: Path, header: Dataset, frames: int, *, pixels: int, seed: int) -> None:
    """Write the header, and then the pixels, with one frame in memory at a time."""
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    with path.open("xb") as file:
        dcmwrite(file, header, write_like_original=False)
        _write_pixels(file, frames, pixels, random.Random(seed))  # noqa: S311 - no secret


def _write_pixels(file: BinaryIO, frames: int, pixels: int, noise: random.Random) -> None:
    file.write(pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, frames * pixels * pixels * 2))
    for frame in _frames(frames, pixels, noise):
        file.write(frame)


def _frames(frames: int, pixels: int, noise: random.Random) -> Iterator[bytearray]:
    """Yield frames of 12 bits: a noisy ramp that deflates to half its size."""
    ramp = b"".join(bytes([row * 16 // pixels]) * pixels for row in range(pixels))
    for _ in range(frames):
        frame = bytearray(2 * pixels * pixels)
        frame[0::2] = noise.randbytes(pixels * pixels).translate(SIX_BITS)
        frame[1::2] = ramp
        yield frame
