"""Lossless JPEG bit streams (ISO 10918-1 annex H) whose samples may exceed their precision."""

from struct import pack
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
CATEGORIES = 17
BITS_OF_CODE = 5


def lossless_jpeg(samples: Array, precision: int) -> bytes:
    """Return the bit stream of samples (rows, columns, colours) by the previous sample.

    Differences are taken modulo 65536 (H.1.2.1), so that any 16-bit sample can be written, whatever
    the precision. Each Huffman code has five bits.
    """
    rows, columns, colours = samples.shape
    values = samples.astype(int)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 1 << precision - 1
    coded = "".join(_coded(int(number)) for number in (values - predicted).ravel())
    coded += "1" * (-len(coded) % 8)
    scan = int(coded, 2).to_bytes(len(coded) // 8, "big").replace(b"\xff", b"\xff\0")
    frame = pack(">HBHHB", 8 + 3 * colours, precision, rows, columns, colours)
    frame += b"".join(bytes([number, 0x11, 0]) for number in range(colours))
    lengths = bytes(CATEGORIES if bits == BITS_OF_CODE else 0 for bits in range(1, 17))
    table = pack(">HB", 19 + CATEGORIES, 0) + lengths + bytes(range(CATEGORIES))
    start = pack(">HB", 6 + 2 * colours, colours)
    start += b"".join(bytes([number, 0]) for number in range(colours)) + b"\1\0\0"
    parts = (b"\xff\xd8", b"\xff\xc3", frame, b"\xff\xc4", table, b"\xff\xda", start, scan)
    return b"".join(parts) + b"\xff\xd9"


def _coded(difference: int) -> str:
    """Return the Huffman code of a difference and its additional bits (H.1.2.2)."""
    difference = (difference + 0x7FFF) % 0x10000 - 0x7FFF
    category = abs(difference).bit_length()
    code = f"{category:0{BITS_OF_CODE}b}"
    if category in (0, CATEGORIES - 1):
        return code
    bits = difference if difference > 0 else difference + (1 << category) - 1
    return f"{code}{bits:0{category}b}"
