"""Decoded colours have the correct Photometric Interpretation."""

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from tests.support.sample_files import encoded, shipped
from tests.support.transcoding import by_dcmtk, converted

pytestmark = pytest.mark.slow


def test_decoded_colours_are_interleaved(tmp_path: Path) -> None:
    """Planar or subsampled colours are declared as neither after decoding."""
    dataset = pydicom.dcmread(shipped("SC_rgb_rle.dcm"))
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.PlanarConfiguration = 1

    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)

    assert out.PhotometricInterpretation == "YBR_FULL"
    assert out.PlanarConfiguration == 0
    assert out.PixelData[:6] == b"\xff\x00\x00" * 2


@pytest.mark.parametrize(
    ("name", "photometric"),
    [
        ("JPGExtended.dcm", "MONOCHROME2"),
        ("SC_rgb_dcmtk_+eb+cr.dcm", "RGB"),
        ("SC_rgb_dcmtk_+eb+cy+np.dcm", "YBR_FULL"),
        ("SC_rgb_dcmtk_+eb+cy+n2.dcm", "YBR_FULL"),
        ("SC_rgb_small_odd_jpeg.dcm", "YBR_FULL"),
        ("SC_jpeg_no_color_transform.dcm", "RGB"),
        ("SC_jpeg_no_color_transform_2.dcm", "RGB"),
        ("SC_rgb_jpeg_app14_dcmd.dcm", "RGB"),
    ],
)
def test_jpeg_colours_are_kept_and_named_correctly(
    name: str, photometric: str, tmp_path: Path
) -> None:
    """Lossy JPEG pixels equal DCMTK's without colour conversion, with their true colour space."""
    content = shipped(name).read_bytes()

    dataset = converted(content, ExplicitVRLittleEndian, tmp_path)

    truth = pydicom.dcmread(io.BytesIO(by_dcmtk(content, tmp_path, "dcmdjpeg", "+cn")))
    assert dataset.PhotometricInterpretation == photometric
    assert dataset.PixelData == truth.PixelData
    assert len(dataset.PixelData) % 2 == 0


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm"])
def test_bit_stream_overrides_the_declared_colours(name: str, tmp_path: Path) -> None:
    """Luminance and colour difference that the dataset calls RGB become YBR_FULL."""
    dataset = pydicom.dcmread(shipped(name))
    dataset.PhotometricInterpretation = "RGB"

    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)

    assert out.PhotometricInterpretation == "YBR_FULL"
    # The sample is red, which has these values in YBR_FULL (PS3.3 C.7.6.3.1.2).
    assert out.PixelData[:3] == bytes([76, 85, 255])


def test_jpeg_2000_colour_transform_is_reversed(tmp_path: Path) -> None:
    """YBR_RCT is decoded to RGB, also from a bit stream in a JP2 wrapper."""
    content = shipped("GDCMJ2K_TextGBR.dcm").read_bytes()

    dataset = converted(content, ExplicitVRLittleEndian, tmp_path)

    assert dataset.PhotometricInterpretation == "RGB"
    assert dataset.PixelData[:3] == b"\x80\x80\x80"
