"""Decoded pixels equal those of a second decoder: imagecodecs or DCMTK."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessP14,
    JPEGLSLossless,
    RLELossless,
)

from tests.support.coded_frames import SHAPE, Array, deflated, j2k, picture, run_lengths
from tests.support.instances import instance
from tests.support.sample_files import encoded, made, shipped
from tests.support.transcoding import bare, by_dcmtk, compressed, converted, encoded_by

pytestmark = pytest.mark.slow

HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K = (f"1.2.840.10008.1.2.4.20{n}" for n in (1, 2, 3))
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"


def description(bits: int, samples: int = 1, photometric: str = "", **elements: object) -> Any:
    """Return the elements that describe such a picture."""
    color = {"PlanarConfiguration": 0} if samples == 3 else {}
    return {
        "Rows": SHAPE[0],
        "Columns": SHAPE[1],
        "BitsAllocated": 8 if bits <= 8 else 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": photometric or ("RGB" if samples == 3 else "MONOCHROME2"),
        **color,
        **elements,
    }


def native(syntax: str, frames: list[bytes], work: Path, **elements: object) -> Dataset:
    """Return a decoded image; pydicom does not know all syntaxes."""
    content = encoded(compressed(RLELossless, frames, **elements))
    dataset = b"".join(instance(content).dataset.blocks(1000))
    data = encoded_by(bare(dataset, syntax), ExplicitVRLittleEndian, work)
    return read_dataset(DicomBytesIO(data), False, True)


def decoded(syntax: str, frames: list[bytes], work: Path, **elements: object) -> bytes:
    """Return the native pixels of an image."""
    return bytes(native(syntax, frames, work, **elements).PixelData)


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (JPEG2000Lossless, j2k),
        (HTJ2K_LOSSLESS, lambda values, _: imagecodecs.htj2k_encode(values, reversible=True)),
        (HTJ2K_LOSSLESS_RPCL, lambda values, _: imagecodecs.htj2k_encode(values, reversible=True)),
    ],
    ids=["JPEG 2000", "HTJ2K", "HTJ2K RPCL"],
)
def test_lossless_jpeg_2000(
    syntax: str, encode: Callable[[Array, int], bytes], bits: int, samples: int, tmp_path: Path
) -> None:
    """Images encoded by imagecodecs, in grey and colour, are decoded to the original."""
    values = picture(bits, samples)
    stored = 16 if encode is not j2k and bits > 8 else bits
    pixels = decoded(syntax, [encode(values, bits)], tmp_path, **description(stored, samples))
    assert pixels[: values.nbytes] == values.tobytes()


def test_lossy_htj2k(tmp_path: Path) -> None:
    """The result equals that of imagecodecs, except rounding."""
    coded = imagecodecs.htj2k_encode(picture(8), level=0.01, reversible=False)
    pixels = np.frombuffer(decoded(HTJ2K, [coded], tmp_path, **description(8)), "u1")
    truth = imagecodecs.htj2k_decode(coded).ravel().astype(int)
    assert abs(pixels[: truth.size] - truth).max() <= 1


@pytest.mark.parametrize(("syntax", "bits"), [(JPEGBaseline8Bit, 8), (JPEGExtended12Bit, 12)])
def test_sequential_jpeg(syntax: str, bits: int, tmp_path: Path) -> None:
    """The result equals that of imagecodecs, except rounding."""
    coded = imagecodecs.jpeg8_encode(picture(bits), level=90, bitspersample=bits)
    kind = "u1" if bits == 8 else "<u2"
    pixels = np.frombuffer(decoded(syntax, [coded], tmp_path, **description(bits)), kind)
    truth = imagecodecs.jpeg8_decode(coded).ravel().astype(int)
    assert abs(pixels[: truth.size] - truth).max() <= 1


@pytest.mark.parametrize(
    "options",
    [
        ("dcmcjpeg", "+es"),
        ("dcmcjpeg", "+ep"),
        ("dcmcjpeg", "+ee"),
        ("dcmcjpeg", "+el", "+sv", "7"),
    ],
    ids=["spectral selection", "progressive", "extended", "lossless"],
)
def test_12_bit_jpeg_equals_dcmtk(options: tuple[str, ...], tmp_path: Path) -> None:
    """All processes are decoded as by dcmdjpeg."""
    pixels = picture(12).tobytes()
    source = made(1, **description(12), PixelData=pixels)
    coded = by_dcmtk(encoded(source), tmp_path, *options)
    truth = pydicom.dcmread(io.BytesIO(by_dcmtk(coded, tmp_path, "dcmdjpeg")))
    assert converted(coded, ExplicitVRLittleEndian, tmp_path).PixelData == truth.PixelData


@pytest.mark.parametrize("bits", [8, 16])
def test_lossless_jpeg(bits: int, tmp_path: Path) -> None:
    """Images encoded by imagecodecs are decoded to the original."""
    values = picture(bits)
    coded = imagecodecs.ljpeg_encode(values)
    pixels = decoded(JPEGLosslessP14, [coded], tmp_path, **description(bits))
    assert pixels[: values.nbytes] == values.tobytes()


# Frames of 8 x 8 pixels by CharLS 2.4, which GDCM's older version decodes differently.
FEW_BITS = {
    2: "ffd8fff7000b020008000801011100ffda0008010100000000285c3aff256b6f572edfdadc5a48ba4e6d4d73db"
    "b0ffd9",
    5: "ffd8fff7000b050008000801011100ffda00080101000000003859c88912456908a4224512544889222d129484"
    "48909124512d80ffd9",
    7: "ffd8fff7000b070008000801011100ffda00080101000000006030181b5abb00801390a55005d90c01011002da"
    "266195aa6ba333802b2566af4c9dc804a42100ffd9",
}
NEAR_LOSSLESS = (
    "ffd8fff7000b070008000801011100ffda00080101000100008cdb3f0421112112261161122444a250922212292904"
    "a49132592e90ffd9"
)


@pytest.mark.parametrize(
    ("bits", "frame"), [*FEW_BITS.items(), (7, NEAR_LOSSLESS)], ids=["2", "5", "7", "near"]
)
def test_jpeg_ls_with_few_bits(bits: int, frame: str, tmp_path: Path) -> None:
    """Fewer than 8 bits are decoded as by imagecodecs."""
    coded = bytes.fromhex(frame)
    elements = description(bits) | {"Rows": 8, "Columns": 8}
    pixels = decoded(JPEGLSLossless, [coded], tmp_path, **elements)
    assert pixels == imagecodecs.jpegls_decode(coded).tobytes()


@pytest.mark.parametrize("bits", [8, 16])
def test_jpeg_ls(bits: int, tmp_path: Path) -> None:
    """Images encoded by imagecodecs are decoded to the original."""
    values = picture(bits)
    coded = imagecodecs.jpegls_encode(values)
    pixels = decoded(JPEGLSLossless, [coded], tmp_path, **description(bits))
    assert pixels[: values.nbytes] == values.tobytes()


def bits_of(values: list[Array]) -> bytes:
    """Return one-bit frames without a gap between them (PS3.5 8.1.1)."""
    data = np.packbits(np.concatenate([one.ravel() for one in values]), bitorder="little")
    return bytes(data) + bytes(len(data) % 2)


def packed(values: Array) -> bytes:
    return bytes(np.packbits(values.ravel(), bitorder="little"))


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (JPEG2000Lossless, lambda values: j2k(values, 1)),
        (DEFLATED_FRAMES, lambda values: deflated(packed(values))),
        (RLELossless, lambda values: run_lengths(packed(values))),
    ],
    ids=["JPEG 2000", "deflated", "RLE"],
)
@pytest.mark.parametrize("frames", [1, 3])
def test_one_bit_pixels(
    syntax: str, encode: Callable[[Array], bytes], frames: int, tmp_path: Path
) -> None:
    """Frames that end within a byte are joined there."""
    values = [picture(8, number=number) % 2 for number in range(frames)]
    elements = description(1) | {"BitsAllocated": 1, "NumberOfFrames": frames}
    pixels = decoded(syntax, [encode(one) for one in values], tmp_path, **elements)
    assert pixels == bits_of(values)


@pytest.mark.parametrize("samples", [1, 3])
def test_deflated_frames(samples: int, tmp_path: Path) -> None:
    """They are inflated and keep their planes."""
    values = [picture(8, samples, number) for number in (1, 2)]
    elements = description(8, samples, NumberOfFrames=2)
    if samples == 3:
        elements["PlanarConfiguration"] = 1
    frames = [deflated(one.tobytes()) for one in values]
    dataset = native(DEFLATED_FRAMES, frames, tmp_path, **elements)
    assert dataset.PixelData == b"".join(one.tobytes() for one in values)
    assert dataset.get("PlanarConfiguration") == (1 if samples == 3 else None)


def test_32_bit_big_endian_pixels(tmp_path: Path) -> None:
    """Both orders are decoded correctly: swapped words, as in DCMTK, and whole pixels."""
    little = shipped("rtdose.dcm").read_bytes()
    by_words = by_dcmtk(little, tmp_path, "dcmconv", "+tb")
    for content in (by_words, shipped("rtdose_expb.dcm").read_bytes()):
        dataset = converted(content, ExplicitVRLittleEndian, tmp_path)
        assert dataset.PixelData == pydicom.dcmread(io.BytesIO(little)).PixelData
