"""The unpacked size of an image is bounded, whatever the image claims."""

from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.reasons import Kind
from tests.support import hostile, wording
from tests.support.instances import instance
from tests.support.transcoding import convert

BLANK = "a frame is suspiciously small for its number of pixels"


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (hostile.rle(Rows=65535, Columns=65535), f"{wording.FRAME_TOO_LARGE} 128 MiB"),
        (hostile.jpeg(65535, 65535), f"{wording.FRAME_TOO_LARGE} 128 MiB"),
        (hostile.jpeg_2000(65535, 65535), f"{wording.FRAME_TOO_LARGE} 128 MiB"),
        (hostile.jpeg(6000, 4000), BLANK),
        (hostile.jpeg_2000(6000, 3000), BLANK),
        (hostile.jpeg(6000, 4000, padding=1 << 20), BLANK),
        (hostile.rle(NumberOfFrames=2**31), wording.PIXELS_OVER_4_GIB),
        (hostile.rle(NumberOfFrames=2**20), f"{wording.MORE_THAN} 1000000 frames"),
        (
            hostile.rle(Rows=65535, Columns=9999, BitsAllocated=1),
            "a frame has more than 67108864 one-bit pixels",
        ),
    ],
    ids=[
        "rle",
        "jpeg",
        "jpeg 2000",
        "no jpeg",
        "no jpeg 2000",
        "padding",
        "size",
        "frames",
        "bits",
    ],
)
def test_too_few_bytes_for_a_large_frame(content: bytes, cause: str, tmp_path: Path) -> None:
    """They are rejected before decoding, and the reason names the limit."""
    result = convert(instance(content), ExplicitVRLittleEndian, tmp_path)
    assert isinstance(result, Unreadable)
    assert result.reason.kind == Kind.IMAGE_TOO_LARGE
    assert result.reason.text.endswith(f": {cause}")


def test_rle_needs_enough_bytes_for_its_pixels(tmp_path: Path) -> None:
    """Two bytes encode at most 128, so a frame with fewer bytes is damaged."""
    result = convert(instance(hostile.rle(Rows=2000)), ExplicitVRLittleEndian, tmp_path)
    assert isinstance(result, Unreadable)
    assert result.reason.kind == Kind.NOT_CONVERTIBLE
    assert result.reason.text.endswith(f": {wording.FRAME_DAMAGED}")
