"""The data sets that are sent: made images, the same in each run."""

import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from benchmarks.headers import ct_header, enhanced_ct_header, mr_header

IMAGES_IN_SERIES = 200
SEED = 20250102
ZIP_LEVEL = 1
SIX_BITS = bytes(value & 0x3F for value in range(256))


@dataclass(frozen=True)
class DataSet:
    """Images on disk: `bytes` is the size of all DICOM files, `folder` is where they are.

    `flywheel_file` is what the session holds: a zip of the files, or the only file itself.
    """

    name: str
    title: str
    images: int
    bytes: int
    folder: Path
    flywheel_file: Path


def make_mr(folder: Path, images: int = 2000) -> DataSet:
    """Make single-frame MR images of 128 x 128 pixels, some 35 KB each, and a zip of them."""
    return _make_zipped(folder, "mr", images, pixels=128)


def make_ct(folder: Path, images: int = 400) -> DataSet:
    """Make single-frame CT images of 512 x 512 pixels, some 527 KB each, and a zip of them."""
    return _make_zipped(folder, "ct", images, pixels=512)


def make_multiframe(folder: Path, frames: int = 600) -> DataSet:
    """Make one Enhanced CT image of `frames` frames of 512 x 512 pixels (525 KB each)."""
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
    )


def _make_zipped(folder: Path, name: str, images: int, *, pixels: int) -> DataSet:
    files = folder / name
    header = mr_header if name == "mr" else ct_header
    archive_path = folder / f"{name}.zip"
    files.mkdir(parents=True)
    size = 0
    with zipfile.ZipFile(archive_path, "x") as archive:
        for index in range(images):
            series, number = index // IMAGES_IN_SERIES + 1, index % IMAGES_IN_SERIES + 1
            path = files / f"series{series:02}" / f"{number:04}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_image(path, header(series, number), 1, pixels=pixels, seed=SEED + index)
            size += path.stat().st_size
            archive.writestr(
                zipfile.ZipInfo(str(path.relative_to(files))),
                path.read_bytes(),
                zipfile.ZIP_DEFLATED,
                ZIP_LEVEL,
            )
    return DataSet(
        name=name,
        title=f"{images} {name.upper()} images, {pixels} x {pixels}",
        images=images,
        bytes=size,
        folder=files,
        flywheel_file=archive_path,
    )


def _write_image(path: Path, header: Dataset, frames: int, *, pixels: int, seed: int) -> None:
    """Write the header, and then the pixels, of which one frame is in memory at a time."""
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
    """Yield frames of 12 bits: a ramp with noise on it, which together deflate to half."""
    ramp = b"".join(bytes([row * 16 // pixels]) * pixels for row in range(pixels))
    for _ in range(frames):
        frame = bytearray(2 * pixels * pixels)
        frame[0::2] = noise.randbytes(pixels * pixels).translate(SIX_BITS)
        frame[1::2] = ramp
        yield frame
