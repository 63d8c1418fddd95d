"""Images of a few bytes that claim or decode to gigabytes."""

import zlib
from struct import pack

import imagecodecs
import numpy as np
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, RLELossless

from tests.support import datasets as raw
from tests.support.datasets import DEFLATED, EXPLICIT
from tests.support.lossless_jpeg import lossless_jpeg
from tests.support.sample_files import encoded
from tests.support.transcoding import RLE_FRAME, compressed

MEBIBYTE = 1 << 20


def claiming(syntax: str, frame: bytes, **elements: object) -> bytes:
    """Return a DICOM file with one frame that claims this size and number of frames."""
    return encoded(compressed(syntax, [frame], **elements))


def rle(**elements: object) -> bytes:
    """Return 600 bytes of RLE."""
    return claiming(RLELossless, RLE_FRAME, **elements)


def blank_rle(rows: int, columns: int, **elements: object) -> bytes:
    """Return an image of zeros as RLE; its length is 1/64 of the length of its pixels."""
    segment = b"\x81\0" * (rows * columns // 128)
    frame = pack("<16I", 2, 64, 64 + len(segment), *[0] * 13) + segment * 2
    return claiming(RLELossless, frame, Rows=rows, Columns=columns, **elements)


def jpeg(rows: int, columns: int, *, padding: int = 0, **elements: object) -> bytes:
    """Return a lossless JPEG with headers only."""
    frame = pack(">HBHHB3B", 11, 16, rows, columns, 1, 1, 0x11, 0)
    scan = pack(">HB2B3B", 8, 1, 1, 0, 1, 0, 0)
    data = b"\xff\xd8\xff\xc3" + frame + b"\xff\xda" + scan + b"\xff\xd9" + bytes(padding)
    return claiming(JPEGLosslessSV1, data, Rows=rows, Columns=columns, **elements)


def endless_jpeg() -> bytes:
    """Return half of a lossless JPEG, which ends in the marker of a segment.

    GDCM takes the added end marker for its length, and skips it for ever.
    """
    frame = lossless_jpeg(np.zeros((64, 64, 1), "u2"), 16)
    data = frame[: len(frame) // 2] + b"\xff\xe4"
    return claiming(JPEGLosslessSV1, data, Rows=64, Columns=64)


def blank_jpeg(rows: int, columns: int, **elements: object) -> bytes:
    """Return a grey image as JPEG Baseline in colour."""
    frame = imagecodecs.jpeg8_encode(np.full((rows, columns, 3), 99, "u1"))
    shape = {"Rows": rows, "Columns": columns, "SamplesPerPixel": 3, "PlanarConfiguration": 0}
    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    color = {"PhotometricInterpretation": "YBR_FULL_422"}
    return claiming(JPEGBaseline8Bit, frame, **shape, **bits, **color, **elements)


def jpeg_2000(rows: int, columns: int, **elements: object) -> bytes:
    """Return a JPEG 2000 image with one tile and an empty packet, which decodes to zeros."""
    size = pack(">HH8IH3B", 41, 0, columns, rows, 0, 0, columns, rows, 0, 0, 1, 15, 1, 1)
    coding = pack(">HBBHBBBBBB", 12, 0, 0, 1, 0, 0, 4, 4, 0, 1)
    quantization = pack(">HBB", 4, 0x40, 16 << 3)
    tile = pack(">HHIBB", 10, 0, 15, 0, 1)
    parts = (b"\xff\x4f\xff\x51", size, b"\xff\x52", coding, b"\xff\x5c", quantization)
    data = b"".join(parts) + b"\xff\x90" + tile + b"\xff\x93\0\xff\xd9"
    return claiming(JPEG2000Lossless, data, Rows=rows, Columns=columns, **elements)


def deflated(mebibytes: int) -> bytes:
    """Return a deflated dataset with this many MiB of zeros, 1 KB each."""
    engine = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    pixels = pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, mebibytes * MEBIBYTE)
    start = engine.compress(raw.joined(raw.uids(EXPLICIT)) + pixels)
    start += engine.flush(zlib.Z_FULL_FLUSH)
    block = engine.compress(bytes(MEBIBYTE)) + engine.flush(zlib.Z_FULL_FLUSH)
    return raw.part10(start + block * mebibytes + engine.flush(), DEFLATED.uid)
