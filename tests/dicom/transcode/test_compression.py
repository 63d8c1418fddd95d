"""Compressed pixels are restored bit for bit, whatever their layout."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.dicom.transcode import FrameEncoders, compress
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support.compressing import (
    JPEG_2000,
    JPEG_LS,
    SYNTAXES,
    Shape,
    as_file,
    compressed_by,
    decoded,
    frames_of,
    native,
    read,
)
from tests.support.datasets import EXPLICIT
from tests.support.examples import examples
from tests.support.instances import instance
from tests.support.sample_files import encoded
from tests.support.transcoding import by_dcmtk, differences

PIXELS = [pydicom.tag.Tag(0x7FE00010)]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrameEncoders]:
    """Processes that encode frames."""
    with FrameEncoders(tmp_path_factory.mktemp("encoders")) as made:
        yield made


@st.composite
def shapes(draw: Any) -> Shape:
    """Draw an image that can be compressed."""
    allocated = draw(st.sampled_from([8, 16]))
    samples = draw(st.sampled_from([1, 1, 3]))
    return Shape(
        rows=draw(st.integers(20, 50)),
        columns=draw(st.integers(20, 50)),
        frames=draw(st.integers(1, 4)),
        samples=samples,
        allocated=allocated,
        stored=draw(st.integers(2, allocated)),
        is_signed=samples == 1 and draw(st.booleans()),
        by_plane=samples == 3 and draw(st.booleans()),
        is_implicit=draw(st.booleans()),
    )


@pytest.mark.slow
@given(shape=shapes(), syntax=st.sampled_from(SYNTAXES), seed=st.integers(0, 99))
@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_all_pixels_survive(
    encoders: FrameEncoders, tmp_path: Path, shape: Shape, syntax: str, seed: int
) -> None:
    """Two decoders restore the original pixels: all stored bits, signs, planes and frames."""
    pixels = shape.pixels(min(2, (1 << shape.stored) - 1), seed)
    image = compressed_by(encoders, shape.dataset(pixels), syntax, tmp_path)
    assert isinstance(image, SOPInstance)
    data = native(image, tmp_path)
    assert data == pixels.tobytes() + bytes(pixels.nbytes % 2)
    assert (decoded(read(image)) == pixels).all()


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize(("allocated", "stored"), [(8, 6), (8, 8), (16, 10), (16, 12), (16, 16)])
def test_dcmtk_decodes_them(
    encoders: FrameEncoders, tmp_path: Path, allocated: int, stored: int, is_signed: bool
) -> None:
    """Another DICOM implementation reads the frames, their odd lengths and their attributes."""
    shape = Shape(33, 41, 3, allocated=allocated, stored=stored, is_signed=is_signed)
    pixels = shape.pixels()
    image = compressed_by(encoders, shape.dataset(pixels), JPEG_LS, tmp_path)
    assert isinstance(image, SOPInstance)
    found = pydicom.dcmread(io.BytesIO(by_dcmtk(as_file(image), tmp_path, "dcmdjpls")))
    assert found.PixelData == pixels.tobytes() + bytes(pixels.nbytes % 2)
    assert (found.BitsStored, found.PixelRepresentation) == (stored, int(is_signed))


@pytest.mark.parametrize("by_plane", [False, True])
def test_dcmtk_decodes_colours(encoders: FrameEncoders, tmp_path: Path, by_plane: bool) -> None:
    """Colour planes are decoded interleaved, and the dataset then declares this."""
    shape = Shape(33, 41, 2, 3, 8, 8, by_plane=by_plane)
    pixels = shape.pixels()
    image = compressed_by(encoders, shape.dataset(pixels), JPEG_LS, tmp_path)
    assert isinstance(image, SOPInstance)
    found = pydicom.dcmread(
        io.BytesIO(by_dcmtk(as_file(image), tmp_path, "dcmdjpls", "--color-by-pixel"))
    )
    assert found.PlanarConfiguration == 0
    assert found.PixelData == pixels.tobytes()


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_only_the_pixels_change(encoders: FrameEncoders, tmp_path: Path, syntax: str) -> None:
    """The UIDs, the padding value and Lossy Image Compression are unchanged."""
    shape = Shape(is_signed=True, is_implicit=True)
    whole = shape.dataset(
        shape.pixels(), PixelPaddingValue=-2000, LossyImageCompression="00", WindowCenter="40"
    )
    image = compressed_by(encoders, whole, syntax, tmp_path)
    assert isinstance(image, SOPInstance)
    found = read(image)
    assert differences(found, whole, PIXELS) == []
    assert found["PixelPaddingValue"].VR == "SS"
    assert found["PixelData"].VR == "OB"
    assert found["PixelData"].is_undefined_length


def test_group_lengths_are_removed(encoders: FrameEncoders, tmp_path: Path) -> None:
    """They would become wrong. The image has a remark."""
    shape = Shape()
    before, number, after = encoded(shape.dataset(shape.pixels())).partition(b"\x28\0\x02\0US")
    length = raw.group_length(0x0028, 90, EXPLICIT).data
    file = before + length + number + after
    image = compress(instance(file), JPEG_LS, encoders, tmp_path)
    assert isinstance(image, SOPInstance)
    assert [one.tag for one in read(image) if one.tag.element == 0] == []
    assert image.remarks == (Reason(Kind.GROUP_LENGTHS_REMOVED),)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_each_frame_is_a_fragment_in_the_offset_table(
    encoders: FrameEncoders, tmp_path: Path, syntax: str
) -> None:
    """Fragments have even length, and the table has the offset of each (PS3.5 A.4)."""
    shape = Shape(frames=5)
    image = compressed_by(encoders, shape.dataset(shape.pixels()), syntax, tmp_path)
    assert isinstance(image, SOPInstance)
    data = bytes(read(image).PixelData)
    tag, length = struct.unpack_from("<II", data)
    assert (tag, length) == (0xE000FFFE, 5 * 4)
    table = struct.unpack_from("<5I", data, 8)
    position, begins = 28, []
    for _ in table:
        begins.append(position - 28)
        tag, length = struct.unpack_from("<II", data, position)
        assert (tag, length % 2) == (0xE000FFFE, 0)
        position += 8 + length
    assert table == tuple(begins)
    assert data[position:] in (b"", struct.pack("<II", 0xE0DDFFFE, 0))


@pytest.mark.parametrize(
    ("syntax", "photometric", "expected"),
    [
        (JPEG_LS, "RGB", "RGB"),
        (JPEG_LS, "YBR_FULL", "YBR_FULL"),
        (JPEG_2000, "RGB", "YBR_RCT"),
        (JPEG_2000, "YBR_FULL", "YBR_FULL"),
    ],
)
def test_colours_are_named_as_encoded(
    encoders: FrameEncoders, tmp_path: Path, syntax: str, photometric: str, expected: str
) -> None:
    """Only JPEG 2000 transforms RGB, to YBR_RCT (PS3.5 8.2.4)."""
    shape = Shape(40, 40, samples=3, allocated=8, stored=8, by_plane=True)
    whole = shape.dataset(shape.pixels(), PhotometricInterpretation=photometric)
    image = compressed_by(encoders, whole, syntax, tmp_path)
    assert isinstance(image, SOPInstance)
    found = read(image)
    assert (found.PhotometricInterpretation, found.PlanarConfiguration) == (expected, 0)
    if syntax == JPEG_2000:
        (frame,) = frames_of(found)
        assert frame[frame.index(b"\xff\x52") + 8] == (expected == "YBR_RCT")
