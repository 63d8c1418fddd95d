"""Decoded pixels have the original values."""

import io
import struct
from pathlib import Path

import pydicom
import pytest
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from tests.support.sample_files import shipped
from tests.support.transcoding import BOTH, by_dcmtk, converted, differences

pytestmark = pytest.mark.slow

PIXELS = {Tag("PixelData"), Tag("PhotometricInterpretation"), Tag("PlanarConfiguration")}


@pytest.mark.parametrize("target", BOTH)
@pytest.mark.parametrize(
    ("coded", "native"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("rtdose_rle.dcm", "rtdose.dcm"),
    ],
)
def test_lossless_pixels_are_decoded_exactly(
    coded: str, native: str, target: str, tmp_path: Path
) -> None:
    """Decoded pixels equal those of the uncompressed file, and nothing else changes."""
    content = shipped(coded).read_bytes()

    dataset = converted(content, target, tmp_path)

    assert dataset.PixelData == pydicom.dcmread(shipped(native)).PixelData
    assert differences(pydicom.dcmread(io.BytesIO(content)), dataset, PIXELS) == []
    assert dataset.PhotometricInterpretation == "MONOCHROME2"


@pytest.mark.parametrize(("bits", "vr"), [("", "OB"), ("_16bit", "OW"), ("_32bit", "OW")])
@pytest.mark.parametrize("frames", ["", "_2frame"])
def test_rle_colours_equal_those_of_dcmtk(bits: str, vr: str, frames: str, tmp_path: Path) -> None:
    """RLE with 1, 2 and 4 bytes per sample, with one frame and two, equals dcmdrle's output."""
    content = shipped(f"SC_rgb_rle{bits}{frames}.dcm").read_bytes()

    dataset = converted(content, ExplicitVRLittleEndian, tmp_path)

    truth = pydicom.dcmread(io.BytesIO(by_dcmtk(content, tmp_path, "dcmdrle")))
    assert dataset.PixelData == truth.PixelData
    assert vr == dataset["PixelData"].VR
    assert dataset.PhotometricInterpretation == "RGB"
    assert dataset.PlanarConfiguration == 0


@pytest.mark.parametrize("option", ["+e1", "+el"])
@pytest.mark.parametrize("name", ["MR_small.dcm", "SC_rgb_small_odd.dcm"])
def test_jpeg_lossless_is_decoded_exactly(option: str, name: str, tmp_path: Path) -> None:
    """Both lossless processes of DCMTK's encoder are decoded to the original."""
    content = shipped(name).read_bytes()
    coded = by_dcmtk(content, tmp_path, "dcmcjpeg", option, "+un")

    dataset = converted(coded, ExplicitVRLittleEndian, tmp_path)

    assert dataset.PixelData == pydicom.dcmread(io.BytesIO(content)).PixelData


def test_jpeg_ls_near_lossless_equals_dcmtk(tmp_path: Path) -> None:
    """Near-lossless pixels are decoded without further loss."""
    content = shipped("SC_rgb_small_odd.dcm").read_bytes()
    coded = by_dcmtk(content, tmp_path, "dcmcjpls", "+en", "+md", "3")

    dataset = converted(coded, ExplicitVRLittleEndian, tmp_path)

    truth = pydicom.dcmread(io.BytesIO(by_dcmtk(coded, tmp_path, "dcmdjpls")))
    assert dataset.PixelData == truth.PixelData
    assert dataset.LossyImageCompression == "01"


def test_missing_sign_of_a_bit_stream_is_restored(tmp_path: Path) -> None:
    """13 bits that JPEG 2000 declares as unsigned are signed if the dataset says so."""
    content = shipped("J2K_pixelrep_mismatch.dcm").read_bytes()

    dataset = converted(content, ExplicitVRLittleEndian, tmp_path)

    assert struct.unpack("<h", dataset.PixelData[:2]) == (-2000,)
