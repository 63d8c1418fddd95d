"""Frames are decoded completely, in order, and in the declared number."""

import io
import struct
import tracemalloc
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1, RLELossless

from fw_gear_dicom_send.dicom.types import SOPInstance
from tests.support.instances import instance
from tests.support.sample_files import encoded, made
from tests.support.transcoding import RLE_FRAME, by_dcmtk, compressed, convert, converted, refused

RAW_FRAME = bytes(range(256)) * 2


@pytest.mark.parametrize("table", [True, False])
def test_frames_in_several_fragments_are_joined(table: bool, tmp_path: Path) -> None:
    """Frames of two fragments are in order, with and without an offset table."""
    coded = []
    for number in (1, 2, 3):
        file = by_dcmtk(encoded(made(number)), tmp_path, "dcmcjpeg", "+e1")
        coded.append(pydicom.encaps.defragment_data(pydicom.dcmread(io.BytesIO(file)).PixelData))
    dataset = compressed(JPEGLosslessSV1, coded, NumberOfFrames=3)
    dataset.PixelData = encapsulate(coded, fragments_per_frame=2, has_bot=table)

    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)

    assert out.PixelData == b"".join(made(number).PixelData for number in (1, 2, 3))


def test_offsets_of_frames_are_removed(tmp_path: Path) -> None:
    """An Extended Offset Table does not apply to native pixels."""
    dataset = compressed(RLELossless, [RLE_FRAME])
    dataset.ExtendedOffsetTable = bytes(8)
    dataset.ExtendedOffsetTableLengths = struct.pack("<Q", len(RLE_FRAME))

    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)

    assert "ExtendedOffsetTable" not in out
    assert "ExtendedOffsetTableLengths" not in out
    assert out.PixelData[::2] == bytes(range(256))


@pytest.mark.parametrize("number", [1, 3])
def test_other_number_of_frames_is_refused(number: int, tmp_path: Path) -> None:
    """An image with more or fewer frames than Number of Frames is not sent."""
    dataset = compressed(RLELossless, [RLE_FRAME] * number, NumberOfFrames=2)

    cause = refused(instance(encoded(dataset)), tmp_path)

    assert cause == "the number of frames differs from the dataset"


def test_icons_are_decoded_as_well(tmp_path: Path) -> None:
    """No pixel data stays encapsulated, and a native icon is unchanged."""
    coded, native = Dataset(), Dataset()
    for icon in (coded, native):
        icon.update(made(1).group_dataset(0x28))
    coded.PixelData = encapsulate([RLE_FRAME])
    coded.add(pydicom.DataElement("PixelData", "OB", coded.PixelData, is_undefined_length=True))
    native.add_new("PixelData", "OW", RAW_FRAME)
    dataset = compressed(RLELossless, [RLE_FRAME])
    dataset.IconImageSequence = Sequence([coded, native])

    out = converted(encoded(dataset), ImplicitVRLittleEndian, tmp_path)

    icon, other = out.IconImageSequence
    assert icon.PixelData == out.PixelData == bytes(i // 2 for i in range(512))
    assert other.PixelData == RAW_FRAME


def test_memory_does_not_grow_with_the_number_of_frames(tmp_path: Path) -> None:
    """400 frames of 128 KiB need only the memory of a few frames."""
    side, count = 256, 400
    segment = b"\x81\x07" * (side * side // 128)
    header = struct.pack("<16I", 2, 64, 64 + len(segment), *[0] * 13)
    frames = [header + segment + segment] * count
    source = instance(encoded(compressed(RLELossless, frames, pixels=side, NumberOfFrames=count)))
    tracemalloc.start()

    result = convert(source, ExplicitVRLittleEndian, tmp_path)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(result, SOPInstance)
    assert result.dataset.size > side * side * 2 * count
    assert peak < 5 * 2**20
    result.close()
