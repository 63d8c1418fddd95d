"""Damaged or inconsistent images are rejected."""

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from tests.support import wording
from tests.support.instances import instance
from tests.support.sample_files import encoded, shipped
from tests.support.transcoding import BOTH, RLE_FRAME, bare, by_dcmtk, compressed, refused


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("MR_small_RLE.dcm", wording.FRAME_DAMAGED),
        ("MR_small_jp2klossless.dcm", wording.FRAME_TRUNCATED),
        ("MR_small_jpeg_ls_lossless.dcm", wording.FRAME_TRUNCATED),
    ],
)
def test_truncated_fragment_is_refused(name: str, cause: str, tmp_path: Path) -> None:
    """An incomplete frame is not sent."""
    dataset = pydicom.dcmread(shipped(name))
    frame = pydicom.encaps.defragment_data(dataset.PixelData)
    dataset.PixelData = encapsulate([frame[: len(frame) // 4 * 2]])

    assert refused(instance(encoded(dataset)), tmp_path) == cause


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "SC_rgb_dcmtk_+eb+cr.dcm"])
def test_jpeg_data_invented_by_the_decoder_is_refused(name: str, tmp_path: Path) -> None:
    """The missing half of a frame is not filled with grey."""
    dataset = pydicom.dcmread(shipped(name))
    frame = pydicom.encaps.defragment_data(dataset.PixelData)
    dataset.PixelData = encapsulate([frame[: len(frame) * 3 // 4] + b"\xff\xd9"])

    assert refused(instance(encoded(dataset)), tmp_path) == wording.FRAME_DAMAGED


def test_broken_huffman_table_does_not_end_the_run(tmp_path: Path) -> None:
    """A frame that makes GDCM abort affects only its own image."""
    color = by_dcmtk(shipped("SC_rgb_rle.dcm").read_bytes(), tmp_path, "dcmdrle")
    dataset = pydicom.dcmread(io.BytesIO(by_dcmtk(color, tmp_path, "dcmcjpeg", "+e1")))
    frame = bytearray(pydicom.encaps.defragment_data(dataset.PixelData))
    table = frame.index(b"\xff\xc4")
    frame[table + 5 : table + 21] = b"\xff" * 16
    dataset.PixelData = encapsulate([bytes(frame)])

    assert refused(instance(encoded(dataset)), tmp_path) == wording.FRAME_DAMAGED


def test_sequence_delimiter_within_a_fragment_is_ignored(tmp_path: Path) -> None:
    """Fragments are read by their length, so the damage of the frame is detected."""
    content = shipped("JPEG2000-embedded-sequence-delimiter.dcm").read_bytes()

    cause = refused(instance(content), tmp_path)

    assert cause == wording.OTHER_FRAME_SIZE


def test_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    """If Rows contradicts the bit stream, the image is unreadable."""
    dataset = pydicom.dcmread(shipped("MR_small_jp2klossless.dcm"))
    dataset.Rows += 1

    cause = refused(instance(encoded(dataset)), tmp_path)

    assert cause == wording.OTHER_FRAME_SIZE


def test_more_than_four_gibibytes_are_refused(tmp_path: Path) -> None:
    """Pixels that exceed the maximum element length are not decoded."""
    dataset = compressed(RLELossless, [RLE_FRAME], NumberOfFrames=2**31)

    assert refused(instance(encoded(dataset)), tmp_path) == wording.PIXELS_OVER_4_GIB


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan_truncated.dcm"])
def test_dataset_that_ends_early_is_refused(name: str, tmp_path: Path) -> None:
    """A dataset that is truncated within an element is unreadable."""
    source = instance(shipped(name).read_bytes())
    (target,) = {*BOTH} - {source.transfer_syntax_uid}

    assert refused(source, tmp_path, target) == "it is truncated"


def test_endlessly_nested_sequences_are_refused(tmp_path: Path) -> None:
    """Excessive nesting makes a dataset unreadable but causes no crash."""
    data = bytes.fromhex("400030a7 ffffffff feff00e0 ffffffff") * 5000

    cause = refused(bare(data, ImplicitVRLittleEndian), tmp_path)

    assert cause == "its sequences are nested too deeply"
