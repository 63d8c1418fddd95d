"""Uncompressed images of many kinds, compressed by the gear and read by other decoders."""

import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import generate_pixel_data_frame
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fw_gear_dicom_send.dicom.transcode import FrameDecoders, FrameEncoders, compress, convert
from fw_gear_dicom_send.dicom.types import SOPInstance, Unreadable
from tests.support.instances import instance
from tests.support.sample_files import encoded, made

Array = np.ndarray[Any, Any]
JPEG_LS, JPEG_2000 = UID("1.2.840.10008.1.2.4.80"), UID("1.2.840.10008.1.2.4.90")
SYNTAXES = (JPEG_LS, JPEG_2000)


@dataclass(frozen=True)
class Shape:
    """Image layout; three samples are RGB, interleaved or `by_plane`."""

    rows: int = 17
    columns: int = 23
    frames: int = 1
    samples: int = 1
    allocated: int = 16
    stored: int = 12
    is_signed: bool = False
    by_plane: bool = False
    is_implicit: bool = False

    @property
    def lowest(self) -> int:
        """Minimum value of a sample."""
        return -(1 << self.stored - 1) if self.is_signed else 0

    def pixels(self, noise: int = 2, seed: int = 0) -> Array:
        """Return frames with a noisy gradient, and with both extreme values if they fit."""
        random = np.random.default_rng(seed)
        size = (self.frames, self.rows, self.columns, self.samples)
        ramp = np.arange(self.columns)[:, None] * 3 + np.arange(self.samples)
        values = (random.integers(0, noise + 1, size) + ramp) % (1 << self.stored)
        flat = values.reshape(-1)
        flat[: flat.size // 4] = 0
        flat[-flat.size // 8 :] = (1 << self.stored) - 1
        kind = f"<{'i' if self.is_signed else 'u'}{self.allocated // 8}"
        return (values + self.lowest).astype(kind)

    def dataset(self, pixels: Array, **elements: object) -> Dataset:
        """Return an image with these pixels."""
        if self.by_plane:
            pixels = pixels.transpose(0, 3, 1, 2)
        data = pixels.tobytes()
        dataset = made(1, Rows=self.rows, Columns=self.columns, SamplesPerPixel=self.samples)
        dataset.BitsAllocated = self.allocated
        dataset.BitsStored = self.stored
        dataset.HighBit = self.stored - 1
        dataset.PixelRepresentation = int(self.is_signed)
        if self.frames > 1:
            dataset.NumberOfFrames = self.frames
        if self.samples > 1:
            dataset.PhotometricInterpretation = "RGB"
            dataset.PlanarConfiguration = int(self.by_plane)
        dataset.PixelData = data + bytes(len(data) % 2)
        dataset["PixelData"].VR = "OW"
        if self.is_implicit:
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
            dataset.is_implicit_VR = True
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        return dataset


def compressed_by(
    encoders: FrameEncoders, dataset: Dataset, syntax: str, work: Path
) -> SOPInstance | Unreadable | None:
    """Compress an image."""
    return compress(instance(encoded(dataset)), syntax, encoders, work)


def read(image: SOPInstance) -> Dataset:
    """Return the dataset of an image in explicit VR, and close the image."""
    with closing(image):
        found = read_dataset(DicomBytesIO(b"".join(image.dataset.blocks(1000))), False, True)
    found.file_meta = pydicom.dataset.FileMetaDataset()
    found.file_meta.TransferSyntaxUID = image.transfer_syntax_uid  # type: ignore[assignment]
    return found


def native(image: SOPInstance, work: Path) -> bytes:
    """Return the pixels decoded by the gear."""
    with FrameDecoders(work) as decoders:
        back = convert(image, ExplicitVRLittleEndian, decoders, work)
    assert isinstance(back, SOPInstance), back
    return bytes(read(back).PixelData)


def decoded(dataset: Dataset) -> Array:
    """Return the frames of a compressed image, decoded by a library that does not know DICOM."""
    is_jpeg_ls = dataset.file_meta.TransferSyntaxUID == JPEG_LS
    decode = imagecodecs.jpegls_decode if is_jpeg_ls else imagecodecs.jpeg2k_decode
    frames = [np.asarray(decode(frame)) for frame in frames_of(dataset)]
    kind = f"{'i' if dataset.PixelRepresentation else 'u'}{dataset.BitsAllocated // 8}"
    shape = (len(frames), dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
    return np.stack(frames).reshape(shape).astype(kind)


def frames_of(dataset: Dataset) -> Iterator[bytes]:
    """Yield the bit stream of each frame."""
    count = int(dataset.get("NumberOfFrames", 1))
    yield from generate_pixel_data_frame(dataset.PixelData, count)


def as_file(image: SOPInstance) -> bytes:
    """Return an image as a DICOM file."""
    target = io.BytesIO()
    pydicom.dcmwrite(target, read(image), write_like_original=False)
    return target.getvalue()
