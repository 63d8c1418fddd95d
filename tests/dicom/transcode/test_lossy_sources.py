"""Decoded images say that they were compressed with loss (PS3.3 C.7.6.1.1.5)."""

import io
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSNearLossless,
    RLELossless,
)

from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support.datasets import EXPLICIT
from tests.support.instances import instance
from tests.support.sample_files import encoded, made, shipped
from tests.support.transcoding import (
    BOTH,
    RLE_FRAME,
    bare,
    by_dcmtk,
    compressed,
    convert,
    differences,
)

pytestmark = pytest.mark.slow

LOSSY = 0x00282110
HTJ2K_LOSSLESS, HTJ2K = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.203"
REMARK = Reason(Kind.LOSSY_COMPRESSION)
VALUES = np.add.outer(np.arange(16) * 7, np.arange(16)).astype("u1")
BITS: Any = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
by_encoder = pytest.mark.parametrize(
    ("command", "is_lossy"),
    [
        ("dcmcjpeg +eb", True),
        ("dcmcjpeg +ee", True),
        ("dcmcjpeg +es", True),
        ("dcmcjpeg +ep", True),
        ("dcmcjpls +en +md 2", True),
        ("dcmcjpeg +e1", False),
        ("dcmcjpeg +el", False),
        ("dcmcjpls +el", False),
        ("dcmcrle", False),
    ],
)


def result_of(
    source: SOPInstance, work: Path, target: str = ExplicitVRLittleEndian
) -> tuple[Dataset, tuple[Reason, ...]]:
    """Return a converted image as pydicom reads it, with its remarks."""
    result = convert(source, target, work)
    assert isinstance(result, SOPInstance), result
    data = b"".join(result.dataset.blocks(1000))
    dataset = read_dataset(DicomBytesIO(data), target == ImplicitVRLittleEndian, True)
    places = [element.file_tell for element in dataset if isinstance(element, pydicom.DataElement)]
    assert places == sorted(places)  # type: ignore[type-var]
    return dataset, result.remarks


def coded(syntax: str, frames: list[bytes], **elements: object) -> SOPInstance:
    """Return an image of given frames; pydicom does not know all syntaxes."""
    dataset = compressed(RLELossless, frames, **(BITS | elements))
    return bare(b"".join(instance(encoded(dataset)).dataset.blocks(1000)), syntax)


def j2k(*, reversible: bool, bits: int = 8) -> bytes:
    options: Any = {"codecformat": "j2k", "level": 0, "bitspersample": bits}
    values = VALUES >> 8 - bits
    return bytes(imagecodecs.jpeg2k_encode(values, reversible=reversible, **options))


def jpeg() -> bytes:
    return bytes(imagecodecs.jpeg8_encode(VALUES, level=90))


@by_encoder
@pytest.mark.parametrize("target", BOTH)
def test_a_missing_statement_is_added(
    command: str, is_lossy: bool, target: str, tmp_path: Path
) -> None:
    """The bit stream decides; nothing else changes, and pydicom reads the result."""
    native = encoded(made(1, **BITS, PixelData=VALUES.tobytes()))
    source = pydicom.dcmread(io.BytesIO(by_dcmtk(native, tmp_path, *command.split())))
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio"):
        source.pop(keyword, None)

    dataset, remarks = result_of(instance(encoded(source)), tmp_path, target)

    assert dataset.get("LossyImageCompression") == ("01" if is_lossy else None)
    assert remarks == ((REMARK,) if is_lossy else ())
    assert differences(source, dataset, {LOSSY, source["PixelData"].tag}) == []


@pytest.mark.parametrize("reversible", [True, False])
@pytest.mark.parametrize("syntax", [JPEG2000, JPEG2000Lossless])
def test_jpeg_2000_names_its_transform(syntax: str, reversible: bool, tmp_path: Path) -> None:
    """The transform in the bit stream counts, not the transfer syntax that allows both."""
    dataset, remarks = result_of(coded(syntax, [j2k(reversible=reversible)]), tmp_path)
    assert ("LossyImageCompression" in dataset) is not reversible
    assert remarks == (() if reversible else (REMARK,))


@pytest.mark.parametrize("reversible", [True, False])
def test_one_bit_pixels_may_be_lossy(reversible: bool, tmp_path: Path) -> None:
    """Pixels of one bit, which are packed, are no exception."""
    frame = j2k(reversible=reversible, bits=1)
    source = coded(JPEG2000, [frame], BitsAllocated=1, BitsStored=1, HighBit=0)
    assert result_of(source, tmp_path)[1] == (() if reversible else (REMARK,))


@pytest.mark.parametrize("reversible", [True, False])
@pytest.mark.parametrize("syntax", [HTJ2K, HTJ2K_LOSSLESS])
def test_htj2k_names_its_transform(syntax: str, reversible: bool, tmp_path: Path) -> None:
    """High-Throughput JPEG 2000 has the same header."""
    frame = bytes(imagecodecs.htj2k_encode(VALUES, reversible=reversible))
    _, remarks = result_of(coded(syntax, [frame]), tmp_path)
    assert remarks == (() if reversible else (REMARK,))


@pytest.mark.parametrize("near", [0, 1])
def test_near_lossless_jpeg_ls_may_be_lossless(near: int, tmp_path: Path) -> None:
    """The permitted error in the bit stream counts."""
    frame = bytes(imagecodecs.jpegls_encode(VALUES, level=near))
    _, remarks = result_of(coded(JPEGLSNearLossless, [frame]), tmp_path)
    assert remarks == ((REMARK,) if near else ())


@pytest.mark.parametrize("stated", ["00", "", None])
def test_a_wrong_statement_is_corrected(stated: str | None, tmp_path: Path) -> None:
    """A file that denies the loss, or says nothing, gets the value that its pixels require."""
    source = coded(JPEGBaseline8Bit, [jpeg()], LossyImageCompression=stated)
    dataset, remarks = result_of(source, tmp_path)
    assert dataset.LossyImageCompression == "01"
    assert remarks == (REMARK,)


def test_a_right_statement_is_kept(tmp_path: Path) -> None:
    """A file that states the loss needs no remark; neither does one without loss."""
    source = coded(JPEGBaseline8Bit, [jpeg()], LossyImageCompression="01")
    dataset, remarks = result_of(source, tmp_path)
    assert (dataset.LossyImageCompression, remarks) == ("01", ())
    source = instance(encoded(compressed(RLELossless, [RLE_FRAME], LossyImageCompression="00")))
    dataset, remarks = result_of(source, tmp_path)
    assert (dataset.LossyImageCompression, remarks) == ("00", ())


def test_one_lossy_frame_is_enough(tmp_path: Path) -> None:
    """A multi-frame image is lossy if any of its frames is."""
    frames = [j2k(reversible=True), j2k(reversible=False), j2k(reversible=True)]
    dataset, _ = result_of(coded(JPEG2000, frames, NumberOfFrames=3), tmp_path)
    assert dataset.LossyImageCompression == "01"


def test_an_icon_says_nothing_about_its_image(tmp_path: Path) -> None:
    """A lossy icon leaves a lossless image without a statement, and keeps its own."""
    icon = compressed(RLELossless, [j2k(reversible=False)], **BITS, LossyImageCompression="00")
    del icon.file_meta
    source = coded(JPEG2000, [j2k(reversible=True)], IconImageSequence=Sequence([icon]))
    dataset, remarks = result_of(source, tmp_path)
    assert "LossyImageCompression" not in dataset
    assert dataset.IconImageSequence[0].LossyImageCompression == "00"
    assert remarks == ()


def converted_elements(data: bytes, work: Path) -> int:
    """Convert a JPEG dataset, and return how often it states a lossy compression."""
    result = convert(bare(data, JPEGBaseline8Bit), ExplicitVRLittleEndian, work)
    assert isinstance(result, SOPInstance)
    return b"".join(result.dataset.blocks(1000)).count(b"\x28\0\x10\x21CS")


@pytest.mark.parametrize("value", ["00", "01"])
def test_a_statement_after_the_pixels(value: str, tmp_path: Path) -> None:
    """A statement in the wrong place is not repeated in the right one."""
    data = b"".join(coded(JPEGBaseline8Bit, [jpeg()]).dataset.blocks(1000))
    late = raw.text(LOSSY, value, EXPLICIT, "CS").data
    assert converted_elements(data + late, tmp_path) == 1


def test_a_statement_that_is_far_too_long(tmp_path: Path) -> None:
    """A damaged statement is copied."""
    source = coded(JPEGBaseline8Bit, [jpeg()], LossyImageCompression="0" * 16)
    data = b"".join(source.dataset.blocks(1000))
    short, long = (raw.text(LOSSY, "0" * size, EXPLICIT, "CS").data for size in (16, 100))
    assert short in data
    assert converted_elements(data.replace(short, long), tmp_path) == 1


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "SC_rgb_small_odd_jpeg.dcm", "JPGExtended.dcm"])
def test_shipped_files_without_their_statement(name: str, tmp_path: Path) -> None:
    """Files of other writers get back the statement that was taken from them."""
    source = pydicom.dcmread(shipped(name))
    assert source.LossyImageCompression == "01"
    del source.LossyImageCompression
    dataset, _ = result_of(instance(encoded(source)), tmp_path)
    assert dataset.LossyImageCompression == "01"
