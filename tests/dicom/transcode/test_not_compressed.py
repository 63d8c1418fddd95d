"""Images that are not compressed: unsupported by the codecs, or failed."""

import io
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from fw_gear_dicom_send.dicom.transcode import FrameEncoders, compress
from fw_gear_dicom_send.dicom.transcode.frame_codecs import EncodedFrame
from fw_gear_dicom_send.dicom.transcode.frame_encoder import RawFrame
from fw_gear_dicom_send.dicom.transcode.recoding import UnconvertibleError
from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span, Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support.compressing import JPEG_LS, SYNTAXES, Shape, compressed_by
from tests.support.instances import dataset_of, instance
from tests.support.preloaded import REPOSITORY
from tests.support.sample_files import encoded, shipped

PLAIN = Shape()


def plain(**elements: object) -> Dataset:
    """Return an image that would be compressed except for the given elements."""
    return PLAIN.dataset(PLAIN.pixels(), **elements)


def with_high_bits(shape: Shape) -> Dataset:
    """Return an image with an overlay in the bits above the stored bits."""
    pixels = shape.pixels()
    pixels[0, 3:9, 5, 0] ^= 1 << shape.stored
    return shape.dataset(pixels)


def noise() -> Dataset:
    """Return an image that cannot be compressed to a smaller size."""
    data = np.random.default_rng(1).bytes(64 * 64 * 2)
    return PLAIN.dataset(
        PLAIN.pixels(), Rows=64, Columns=64, BitsStored=16, HighBit=15, PixelData=data
    )


def float_pixels() -> Dataset:
    """Return an image of float pixels."""
    dataset = plain(BitsAllocated=32)
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.FloatPixelData = bytes(4 * PLAIN.rows * PLAIN.columns)
    return dataset


WIDE = {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31, "PixelData": bytes(17 * 23 * 4)}
BIT = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PixelData": bytes(50)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "dataset",
    [
        float_pixels(),
        plain(**WIDE),
        plain(**BIT),
        plain(HighBit=15),
        plain(BitsStored=17, HighBit=16),
        plain(Rows=16),
        plain(PixelData=PLAIN.pixels().tobytes() + bytes(4)),
        plain(PhotometricInterpretation="ARGB"),
        with_high_bits(PLAIN),
        with_high_bits(Shape(is_signed=True)),
        noise(),
        Shape(samples=3, stored=16, is_signed=True).dataset(Shape(samples=3).pixels()),
    ],
    ids=[
        "float",
        "32 bits",
        "1 bit",
        "high bit",
        "stored bits",
        "rows",
        "more bytes",
        "photometric",
        "overlay",
        "overlay, signed",
        "noise",
        "signed colours",
    ],
)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_unsupported_images_are_unchanged(dataset: Dataset, syntax: str, tmp_path: Path) -> None:
    """There is no remark, because nothing went wrong."""
    with FrameEncoders(tmp_path) as encoders:
        assert compressed_by(encoders, dataset, syntax, tmp_path) is None


@pytest.mark.parametrize("name", ["test-SR.dcm", "rtdose.dcm", "liver_1frame.dcm", "rtplan.dcm"])
def test_other_objects_are_unchanged(name: str, tmp_path: Path) -> None:
    """Reports, 32-bit doses, one-bit segmentations and plans."""
    with FrameEncoders(tmp_path) as encoders:
        assert compress(instance(shipped(name)), JPEG_LS, encoders, tmp_path) is None


def test_a_last_frame_that_does_not_fit_leaves_all_frames_unchanged(tmp_path: Path) -> None:
    """All frames of an image have the same encoding."""
    shape = Shape(frames=3)
    pixels = shape.pixels()
    pixels[2, 3, 3, 0] |= 1 << 15
    with FrameEncoders(tmp_path) as encoders:
        assert compressed_by(encoders, shape.dataset(pixels), JPEG_LS, tmp_path) is None


def test_a_damaged_dataset_has_a_remark(tmp_path: Path) -> None:
    """It is sent unchanged with a remark, and the image stays open."""
    data = dataset_of(encoded(plain()))[:-100]
    source = EncodedDataset(io.BytesIO(data), (Span(0, len(data)),))
    image = SOPInstance("1.2", "1.2.3", "1.2.840.10008.1.2.1", source)
    with FrameEncoders(tmp_path) as encoders:
        result = compress(image, JPEG_LS, encoders, tmp_path)
    assert result == Unreadable(Reason(Kind.NOT_COMPRESSED, "it is truncated"))
    assert not source.source.closed


class Failing(FrameEncoders):
    """Encoders that fail."""

    @contextmanager
    def encoded(self, frame: RawFrame, native: Iterable[bytes]) -> Iterator[EncodedFrame]:  # noqa: ARG002
        """Fail."""
        raise UnconvertibleError("a frame differs")
        yield


def test_a_failed_frame_has_a_remark(tmp_path: Path) -> None:
    """The image is sent unchanged with a remark."""
    with Failing(tmp_path) as encoders:
        result = compressed_by(encoders, plain(), JPEG_LS, tmp_path)
    assert isinstance(result, Unreadable)
    assert result.reason.text == "sent uncompressed: a frame differs"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_codec_that_changes_a_pixel_is_detected(syntax: str, tmp_path: Path) -> None:
    """Each encoded frame is decoded again and compared."""
    program = f"""
import imagecodecs
from fw_gear_dicom_send.dicom.transcode import frame_encoder
def changing(encode):
    def changed(pixels, **options):
        pixels = pixels.copy()
        pixels[3, 5] ^= 1
        return encode(pixels, **options)
    return changed
def outcome():
    try:
        frame_encoder.encode(bytes(2 * 20 * 20), frame)
    except frame_encoder.FrameError as error:
        return error.outcome.name
    return "equal"
frame = frame_encoder.RawFrame({str(syntax)!r}, 20, 20, 1, 16, 16, False, False, False)
print(outcome())
for name in ("jpegls_encode", "jpeg2k_encode"):
    setattr(imagecodecs, name, changing(getattr(imagecodecs, name)))
print(outcome())
"""
    with (tmp_path / "stderr").open("w+b") as complaints:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=complaints,
            check=True,
        )
    assert done.stdout.split() == [b"equal", b"MISMATCH"]
