"""Frames of a picture in any compressed transfer syntax."""

import zlib
from typing import Any

import imagecodecs
import numpy as np

Array = np.ndarray[Any, Any]
SHAPE = (34, 45)


def picture(bits: int, samples: int = 1, number: int = 1) -> Array:
    """Return a noisy gradient of odd width."""
    noise = np.random.default_rng(number).integers(0, 5, (*SHAPE, samples))
    slope = np.add.outer(np.arange(SHAPE[0]) * 3, np.arange(SHAPE[1]))[..., np.newaxis]
    values = (slope * max(1, (1 << bits) // 200) + noise) % (1 << bits)
    return values.astype("u1" if bits <= 8 else "<u2").squeeze()


def j2k(values: Array, bits: int) -> bytes:
    options: Any = {"codecformat": "j2k", "reversible": True, "level": 0, "bitspersample": bits}
    return bytes(imagecodecs.jpeg2k_encode(values, **options))


def deflated(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


def run_lengths(data: bytes) -> bytes:
    """Return an RLE frame with one segment of literals only."""
    rows = [data[start : start + 128] for start in range(0, len(data), 128)]
    header = np.array([1, 64, *[0] * 14], "<u4").tobytes()
    return header + b"".join(bytes([len(row) - 1]) + row for row in rows)
