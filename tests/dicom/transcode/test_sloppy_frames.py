"""Frames with unambiguous mistakes of their writers are decoded."""

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import wording
from tests.support.instances import instance
from tests.support.sample_files import encoded, shipped
from tests.support.transcoding import (
    RLE_FRAME,
    by_dcmtk,
    compressed,
    convert,
    converted,
    encoded_by,
    refused,
)

pytestmark = pytest.mark.slow

EOI = b"\xff\xd9"


def lossless_jpeg(work: Path) -> bytes:
    """Return the frame of an image compressed by DCMTK, up to its end."""
    file = by_dcmtk(shipped("MR_small.dcm").read_bytes(), work, "dcmcjpeg", "+e1")
    frame = pydicom.encaps.defragment_data(pydicom.dcmread(io.BytesIO(file)).PixelData)
    return bytes(frame[: frame.rindex(EOI)])


def with_frame(frame: bytes) -> bytes:
    """Return an MR image with another frame, as lossless JPEG."""
    dataset = pydicom.dcmread(shipped("MR_small_jp2klossless.dcm"))
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.PixelData = encapsulate([frame])
    return encoded(dataset)


@pytest.mark.parametrize("end", [b"", EOI, EOI + b"\1", EOI + b"junk", EOI + EOI, EOI + bytes(99)])
def test_a_jpeg_with_an_invalid_end(end: bytes, tmp_path: Path) -> None:
    """It lacks the end marker or has extra bytes after it."""
    dataset = converted(with_frame(lossless_jpeg(tmp_path) + end), ExplicitVRLittleEndian, tmp_path)
    assert dataset.PixelData == pydicom.dcmread(shipped("MR_small.dcm")).PixelData


def test_a_lossy_jpeg_without_end(tmp_path: Path) -> None:
    """It is decoded as if it had an end marker."""
    frame = imagecodecs.jpeg8_encode(np.full((16, 16), 150, "u1"))
    elements = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    dataset = compressed(JPEGBaseline8Bit, [frame[: frame.rindex(EOI)]], **elements)
    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)
    assert out.PixelData == bytes([150] * 256)


def test_a_truncated_jpeg_without_end(tmp_path: Path) -> None:
    """The missing pixels are not invented, and the reason says so."""
    frame = lossless_jpeg(tmp_path)
    assert refused(instance(with_frame(frame[:-40])), tmp_path) == wording.FRAME_TRUNCATED


@pytest.mark.parametrize("frame", [b"Invalid data string\0", b"\xff\x4f\xff\x51" + bytes(99) + EOI])
def test_a_frame_of_another_kind(frame: bytes, tmp_path: Path) -> None:
    """It is not JPEG."""
    cause = "a frame does not match its transfer syntax"
    assert refused(instance(with_frame(frame)), tmp_path) == cause


@pytest.mark.parametrize("size", [100, 200])
@pytest.mark.parametrize("frames", [1, 2])
def test_rle_in_several_fragments(frames: int, size: int, tmp_path: Path) -> None:
    """A fragment without a header continues the frame, which violates PS3.5 A.4.2."""
    pieces = [RLE_FRAME[start : start + size] for start in range(0, len(RLE_FRAME), size)]
    dataset = compressed(RLELossless, pieces * frames, NumberOfFrames=frames)
    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)
    assert out.PixelData == bytes(i // 2 for i in range(512)) * frames


@pytest.mark.parametrize(
    ("samples", "photometric", "black"),
    [(1, "MONOCHROME2", bytes(1)), (3, "RGB", bytes(3)), (3, "YBR_FULL_422", b"\0\x80\x80")],
)
def test_smaller_frames_are_padded(
    samples: int, photometric: str, black: bytes, tmp_path: Path
) -> None:
    """They are placed at the upper left of black frames, and the report says so."""
    shape = (16, 16, samples), (9, 16, samples), (16, 7, samples), (1, 1, samples)
    color = "rgb" if photometric == "RGB" else "ycbcr" if samples == 3 else None
    frames = [
        imagecodecs.jpeg8_encode(
            np.full(one if samples == 3 else one[:2], 150, "u1"),
            colorspace=color,
            outcolorspace=color,
        )
        for one in shape
    ]
    elements = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "SamplesPerPixel": samples}
    color_elements = {"PlanarConfiguration": 0} if samples == 3 else {}
    dataset = compressed(
        JPEGBaseline8Bit,
        frames,
        NumberOfFrames=4,
        PhotometricInterpretation=photometric,
        LossyImageCompression="01",
        **elements,
        **color_elements,
    )
    result = convert(instance(encoded(dataset)), ExplicitVRLittleEndian, tmp_path)
    assert isinstance(result, SOPInstance)
    assert result.remarks == (Reason(Kind.FRAMES_PADDED, "3"),)
    result.close()
    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)
    grey = bytes([150] * samples)
    rows = [
        *[grey * 16] * 16,
        *[grey * 16] * 9 + [black * 16] * 7,
        *[grey * 7 + black * 9] * 16,
        grey + black * 15,
        *[black * 16] * 15,
    ]
    assert out.PixelData == b"".join(rows)


def test_a_single_frame_of_another_size(tmp_path: Path) -> None:
    """Its meaning is ambiguous."""
    frame = imagecodecs.jpeg8_encode(np.full((9, 16), 150, "u1"))
    dataset = compressed(JPEGBaseline8Bit, [frame], BitsAllocated=8, BitsStored=8, HighBit=7)
    cause = refused(instance(encoded(dataset)), tmp_path)
    assert cause == wording.OTHER_FRAME_SIZE


def test_a_large_frame_fits_the_address_space_limit(tmp_path: Path) -> None:
    """It is lossy JPEG 2000 with 16 MB of pixels, for which GDCM starts threads."""
    side = 2800
    values = (np.add.outer(np.arange(side), np.arange(side)) % 4096).astype("<u2")
    frame = imagecodecs.jpeg2k_encode(
        values, codecformat="j2k", level=60, reversible=False, bitspersample=12
    )
    dataset = compressed(
        JPEG2000Lossless, [frame], Rows=side, Columns=side, BitsStored=12, HighBit=11
    )
    data = encoded_by(instance(encoded(dataset)), ExplicitVRLittleEndian, tmp_path)
    pixels = np.frombuffer(data[-values.nbytes :], "<u2").astype(int)
    assert abs(pixels - imagecodecs.jpeg2k_decode(frame).ravel()).max() <= 1


@pytest.mark.parametrize(
    ("bits", "values"),
    [
        (13, [0, 1, 4095, -1, -4096, 255, 256, -256, 2048, -2048]),
        (8, [0, 1, 127, -1, -128]),
        (5, [0, 1, 15, -1, -16, 8, -8]),
    ],
)
def test_a_missing_sign_of_a_bit_stream(bits: int, values: list[int], tmp_path: Path) -> None:
    """Positive values stay positive, negative ones stay negative."""
    signed = np.resize(np.array(values), (16, 16))
    coded = (signed & ((1 << bits) - 1)).astype("u1" if bits <= 8 else "<u2")
    frame = imagecodecs.jpeg2k_encode(
        coded, codecformat="j2k", reversible=True, level=0, bitspersample=bits
    )
    allocated = 8 if bits <= 8 else 16
    dataset = compressed(
        JPEG2000Lossless,
        [frame],
        BitsAllocated=allocated,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=1,
    )
    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)
    code = "b" if allocated == 8 else "h"
    assert struct.unpack(f"<256{code}", out.PixelData) == tuple(signed.ravel())


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("bits", [5, 8])
def test_bytes_in_words(bits: int, is_signed: bool, tmp_path: Path) -> None:
    """Frames of up to 8 bits are expanded to the 16 allocated bits."""
    half = 1 << (bits - 1)
    low, high = (-half, half) if is_signed else (0, 2 * half)
    values = np.resize(np.arange(low, high), (16, 16))
    frame = imagecodecs.jpeg2k_encode(
        values.astype("i1" if is_signed else "u1"),
        codecformat="j2k",
        reversible=True,
        level=0,
        bitspersample=bits,
    )
    elements = {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(is_signed)}
    dataset = compressed(JPEG2000Lossless, [frame], **elements)
    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)
    assert struct.unpack("<256h", out.PixelData) == tuple(values.ravel())
    assert (out.BitsAllocated, out.BitsStored) == (16, bits)


@pytest.mark.parametrize("stored", [8, 12])
def test_lossy_bytes_in_words(stored: int, tmp_path: Path) -> None:
    """An 8-bit JPEG is decoded to its values, although the dataset declares more bits."""
    values = np.full((16, 16), 200, "u1")
    dataset = compressed(
        JPEGBaseline8Bit, [imagecodecs.jpeg8_encode(values)], BitsStored=stored, HighBit=stored - 1
    )
    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)
    assert struct.unpack("<256H", out.PixelData) == (200,) * 256


def test_bytes_in_words_whose_sign_is_unknown(tmp_path: Path) -> None:
    """The sign of an 8-bit JPEG for signed 12-bit pixels is ambiguous."""
    frame = imagecodecs.jpeg8_encode(np.full((16, 16), 200, "u1"))
    dataset = compressed(
        JPEGBaseline8Bit, [frame], BitsStored=12, HighBit=11, PixelRepresentation=1
    )
    cause = refused(instance(encoded(dataset)), tmp_path)
    assert cause == wording.OTHER_PRECISION
