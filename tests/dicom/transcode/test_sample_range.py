"""Samples of a lossless JPEG fit its precision and Bits Stored, or the image is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1

from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.instances import instance
from tests.support.lossless_jpeg import lossless_jpeg
from tests.support.sample_files import encoded
from tests.support.transcoding import compressed, convert, converted, refused

pytestmark = pytest.mark.slow

Array = np.ndarray[Any, Any]
SHAPE = (11, 13)
PRECISIONS = (2, 7, 8, 9, 12, 15)
CAUSE = "a sample exceeds the precision of its image"


def image(samples: Array, precision: int, **elements: object) -> bytes:
    """Return an image in JPEG Lossless; its precision is also Bits Stored by default."""
    colours = samples.shape[2]
    description = {
        "Rows": samples.shape[0],
        "Columns": samples.shape[1],
        "SamplesPerPixel": colours,
        "PhotometricInterpretation": "RGB" if colours > 1 else "MONOCHROME2",
        "BitsAllocated": 8 if precision <= 8 else 16,
        "BitsStored": precision,
        "HighBit": precision - 1,
        **({"PlanarConfiguration": 0} if colours > 1 else {}),
        **elements,
    }
    frame = lossless_jpeg(samples % 65536, precision)
    return encoded(compressed(JPEGLosslessSV1, [frame], **description))


def noise(bits: int, colours: int = 1, lowest: int = 0) -> Array:
    """Return samples of this many bits, with both extreme values."""
    highest = lowest + (1 << bits) - 1
    values = np.random.default_rng(bits).integers(lowest, highest + 1, (*SHAPE, colours))
    values[0, 0], values[-1, -1] = lowest, highest
    return values


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("precision", [*PRECISIONS, 16])
def test_samples_of_each_precision(precision: int, colours: int, tmp_path: Path) -> None:
    """All values are decoded exactly."""
    values = noise(precision, colours)
    pixels = converted(image(values, precision), ExplicitVRLittleEndian, tmp_path).PixelData
    expected = values.astype("u1" if precision <= 8 else "<u2").tobytes()
    assert pixels[: len(expected)] == expected


@pytest.mark.parametrize("is_negative", [False, True])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_sample_beyond_the_precision(
    precision: int, colours: int, is_negative: bool, tmp_path: Path
) -> None:
    """Its high bits would be lost, so the image is not convertible."""
    values = noise(precision, colours)
    values[5, 7, -1] = -1 if is_negative else 1 << precision
    result = convert(instance(image(values, precision)), ExplicitVRLittleEndian, tmp_path)
    assert isinstance(result, Unreadable)
    assert result.reason.kind is Kind.NOT_CONVERTIBLE
    assert result.reason.detail.endswith(f": {CAUSE}")


def test_a_large_frame(tmp_path: Path) -> None:
    """Samples that are received in two parts are joined."""
    values = np.random.default_rng(1).integers(0, 65536, (300, 300, 1))
    data = converted(image(values, 16), ExplicitVRLittleEndian, tmp_path).PixelData
    assert data == values.astype("<u2").tobytes()


def test_more_bits_in_the_image_than_in_the_bit_stream(tmp_path: Path) -> None:
    """A sample that exceeds the precision of the bit stream is refused."""
    values = noise(12)
    values[5, 7] = 4096
    content = image(values, 12, BitsStored=16, HighBit=15)
    assert refused(instance(content), tmp_path) == CAUSE


@pytest.mark.parametrize("is_signed", [0, 1])
def test_bits_above_bits_stored_are_kept(is_signed: int, tmp_path: Path) -> None:
    """They may be an overlay, padding or a sign, and the bit stream has all of them."""
    values = noise(12)
    values[5, 7], values[5, 8], values[5, 9] = 0x1FFF, 0xF830, -1
    bits = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": is_signed}
    data = converted(image(values, 16, **bits), ExplicitVRLittleEndian, tmp_path).PixelData
    assert data == (values % 65536).astype("<u2").tobytes()


def test_no_precision(tmp_path: Path) -> None:
    """A bit stream of samples without bits is refused."""
    content = image(noise(8), 8).replace(b"\xff\xc3\0\x0b\x08", b"\xff\xc3\0\x0b\0")
    cause = refused(instance(content), tmp_path)
    assert cause == wording.OTHER_PRECISION


@pytest.mark.parametrize("allocated", [8, 16])
@pytest.mark.parametrize("stored", [5, 8])
def test_few_bits_in_a_bit_stream_of_8_bits(allocated: int, stored: int, tmp_path: Path) -> None:
    """Samples are decoded exactly, also one that exceeds Bits Stored."""
    bits = {"BitsAllocated": allocated, "BitsStored": stored, "HighBit": stored - 1}
    values = noise(stored)
    values[5, 7] = 1 << stored
    values %= 256
    data = converted(image(values, 8, **bits), ExplicitVRLittleEndian, tmp_path).PixelData
    expected = values.astype("u1" if allocated == 8 else "<u2").tobytes()
    assert data[: len(expected)] == expected


@pytest.mark.parametrize("is_extended", [False, True])
def test_signed_samples(is_extended: bool, tmp_path: Path) -> None:
    """The bits above Bits Stored are zero or repeat the sign (PS3.5 8.1.1)."""
    bits = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 1}
    values = noise(12, lowest=-2048) if is_extended else noise(12)
    data = converted(image(values, 16, **bits), ExplicitVRLittleEndian, tmp_path).PixelData
    assert data == (values % 65536).astype("<u2").tobytes()


def test_samples_in_the_high_bits(tmp_path: Path) -> None:
    """Old images have a High Bit above Bits Stored."""
    bits = {"BitsStored": 12, "HighBit": 15}
    values = noise(12) * 16
    data = converted(image(values, 16, **bits), ExplicitVRLittleEndian, tmp_path).PixelData
    assert data == values.astype("<u2").tobytes()


def test_a_signed_bit_stream(tmp_path: Path) -> None:
    """Samples without a sign get the sign of the dataset."""
    values = noise(12, lowest=-2048)
    content = image(values % 4096, 12, PixelRepresentation=1)
    data = converted(content, ExplicitVRLittleEndian, tmp_path).PixelData
    assert data == values.astype("<i2").tobytes()
