"""Damaged frames are decoded as by another decoder, or are refused, and never end a run."""

import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import inf
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from fw_gear_dicom_send.dicom.transcode import FrameDecoders
from fw_gear_dicom_send.dicom.transcode.frame_processes import FrameTimeouts
from fw_gear_dicom_send.dicom.transcode.layout import Layout
from fw_gear_dicom_send.dicom.transcode.pixels import native_frames
from fw_gear_dicom_send.dicom.transcode.recoding import UnconvertibleError
from fw_gear_dicom_send.reasons import Kind
from tests.support.coded_frames import SHAPE, Array, deflated, j2k, picture, run_lengths
from tests.support.fuzzing import Damage, Fuzz, damages, in_rounds, no_hang
from tests.support.lossless_jpeg import lossless_jpeg

pytestmark = pytest.mark.slow

LOSSY_JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit)
HTJ2K_LOSSLESS, DEFLATED_FRAMES, RLE = (
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.8.1",
    "1.2.840.10008.1.2.5",
)


@dataclass(frozen=True)
class Coded:
    """A frame of a picture."""

    syntax: str
    bits: int
    samples: int
    data: bytes

    @property
    def layout(self) -> Layout:
        """The layout of its image."""
        allocated = 8 if self.bits <= 8 else 16
        color = "RGB" if self.samples > 1 else "MONOCHROME2"
        shape = (*SHAPE, self.samples, allocated, self.bits, self.bits - 1)
        return Layout(*shape, signed=False, photometric=color, frames=1)

    def array(self, pixels: bytes) -> Array:
        """Return the samples of native pixels."""
        return np.frombuffer(pixels, "u1" if self.bits <= 8 else "<u2")


def frames() -> Iterator[Coded]:
    """Yield a frame in each syntax, precision and number of samples."""
    for bits in (8, 12, 16):
        for samples in (1, 3):
            values = picture(bits, samples)
            deep = values.reshape(*SHAPE, samples)
            yield Coded(JPEGLosslessSV1, bits, samples, lossless_jpeg(deep, bits))
            yield Coded(JPEG2000Lossless, bits, samples, j2k(values, bits))
            lossy: Any = {"codecformat": "j2k", "level": 40, "bitspersample": bits}
            yield Coded(JPEG2000, bits, samples, imagecodecs.jpeg2k_encode(values, **lossy))
            if bits == 12:
                continue
            high = imagecodecs.htj2k_encode(values, reversible=True)
            yield Coded(HTJ2K_LOSSLESS, bits, samples, high)
            for syntax, level in ((JPEGLSLossless, 0), (JPEGLSNearLossless, 2)):
                coded = imagecodecs.jpegls_encode(values, level=level, out=2 * values.nbytes)
                yield Coded(syntax, bits, samples, coded)
    for syntax, bits in zip(LOSSY_JPEG, (8, 12), strict=True):
        coded = imagecodecs.jpeg8_encode(picture(bits), level=90, bitspersample=bits)
        yield Coded(syntax, bits, 1, coded)
    yield Coded(RLE, 8, 1, run_lengths(picture(8).tobytes()))
    yield Coded(DEFLATED_FRAMES, 8, 1, deflated(picture(8).tobytes()))


def by_another_decoder(syntax: str, samples: int, data: bytes) -> Array | None:
    """Return the samples of a frame; None if the decoder refuses it or is no exact reference."""
    color: dict[str, Any] = {"colorspace": "RGB", "outcolorspace": "RGB"} if samples > 1 else {}
    decode = {
        JPEGLosslessSV1: lambda: imagecodecs.jpeg8_decode(data, **color),
        JPEGLSLossless: lambda: imagecodecs.jpegls_decode(data),
        JPEGLSNearLossless: lambda: imagecodecs.jpegls_decode(data),
        DEFLATED_FRAMES: lambda: np.frombuffer(zlib.decompress(data, -15), "u1"),
    }
    if syntax in (*LOSSY_JPEG, RLE):
        return None
    try:
        return decode.get(syntax, lambda: imagecodecs.jpeg2k_decode(data))()
    except (RuntimeError, ValueError, zlib.error):
        return None


@pytest.fixture
def reference() -> Iterator[ProcessPoolExecutor]:
    """Yield a process for the other decoders, so that a crash is that of the test only."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        yield process


def test_frames(fuzz: Fuzz, reference: ProcessPoolExecutor, tmp_path: Path) -> None:
    """Decoded samples fit their bits, and equal those of the other decoder if it succeeds."""
    sources = list(frames())
    with FrameDecoders(tmp_path, FrameTimeouts(frame=1, overtime=inf)) as decoders:

        @in_rounds
        @given(st.sampled_from(sources), st.lists(damages(), max_size=3))
        def check(frame: Coded, changes: list[Damage]) -> None:
            data = bytearray(frame.data)
            for change in changes:
                change(data)
            fragments = iter([iter([bytes(data)])])
            try:
                with no_hang():
                    found = native_frames(fragments, frame.syntax, frame.layout, decoders, tmp_path)
                    pixels = b"".join(chunk for one in found for chunk in one.chunks)
            except UnconvertibleError as error:
                if bytes(data) == frame.data and error.kind is Kind.NOT_CONVERTIBLE:
                    raise
                return
            samples = frame.array(pixels)
            assert len(pixels) == frame.layout.frame_size
            assert int(samples.max()) < 1 << frame.bits
            expected = reference.submit(
                by_another_decoder, frame.syntax, frame.samples, bytes(data)
            ).result()
            if expected is not None:
                assert np.array_equal(samples, expected.ravel())

        fuzz(check)
