"""Layout of the pixels of an image (PS3.3 C.7.6.3)."""

import struct
from collections.abc import Mapping

from ...values import frozen
from .recoding import TooLargeError, UnconvertibleError

SAMPLES, PHOTOMETRIC, PLANAR, FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
ROWS, COLUMNS, ALLOCATED = 0x00280010, 0x00280011, 0x00280100
STORED, HIGH_BIT, REPRESENTATION = 0x00280101, 0x00280102, 0x00280103
LOSSY = 0x00282110
NUMBERS = (ROWS, COLUMNS, SAMPLES, ALLOCATED, STORED, HIGH_BIT, REPRESENTATION)
DESCRIPTION = frozenset((*NUMBERS, PHOTOMETRIC, PLANAR, FRAMES, LOSSY))

# Photometric Interpretation before and after decoding. Decoders upsample half-sampled colours, and
# JPEG 2000 reverses its own colour transform (PS3.3 C.7.6.3.1.2, PS3.5 8.2.4).
COLORS = {
    "RGB": "RGB",
    "YBR_FULL": "YBR_FULL",
    "YBR_FULL_422": "YBR_FULL",
    "YBR_ICT": "RGB",
    "YBR_RCT": "RGB",
}
MONOCHROME, COLOR = 1, 3
BIT, BYTE, WORD = 1, 8, 16
MAX_LENGTH = 0xFFFFFFFE
MAX_FRAME = 128 << 20
MAX_BITS = 8192 * 8192
MAX_FRAMES = 1_000_000
OVERHEAD = 65536


@frozen
class Layout:
    """Layout of the pixels of an image (PS3.3 C.7.6.3); lengths are in bytes."""

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    photometric: str
    frames: int

    @classmethod
    def of(cls, description: Mapping[int, bytes]) -> "Layout":
        """Return the layout from the little-endian values of an Image Pixel module.

        Raises UnconvertibleError if values are missing, invalid or not supported.
        """
        try:
            rows, columns, samples, allocated, stored, high_bit, sign = (
                struct.unpack("<H", description[tag])[0] for tag in NUMBERS
            )
            frames = int(description.get(FRAMES, b"").strip(b" \0") or 1)
            photometric = description[PHOTOMETRIC].decode("ascii").strip(" \0")
        except (KeyError, ValueError, struct.error) as error:
            raise UnconvertibleError("its pixel description is missing or invalid") from error
        shape = (rows, columns, samples)
        layout = cls(*shape, allocated, stored, high_bit, sign == 1, photometric, frames)
        is_packed = layout.allocated == BIT and layout.samples == MONOCHROME
        if (layout.allocated % BYTE and not is_packed) or layout.frame_size == 0 or frames < 1:
            raise UnconvertibleError("its pixel layout is not supported")
        if layout.samples != MONOCHROME and (layout.samples != COLOR or photometric not in COLORS):
            raise UnconvertibleError("its colours cannot be decoded")
        if layout.frame_size > MAX_FRAME:
            raise TooLargeError(f"a frame is larger than {MAX_FRAME >> 20} MiB")
        if is_packed and layout.frame_bits > MAX_BITS:
            raise TooLargeError(f"a frame has more than {MAX_BITS} one-bit pixels")
        if layout.size > MAX_LENGTH:
            raise TooLargeError("its pixel data is larger than 4 GiB")
        if frames > MAX_FRAMES:
            raise TooLargeError(f"it has more than {MAX_FRAMES} frames")
        return layout

    @property
    def frame_samples(self) -> int:
        """Number of samples in a frame."""
        return self.rows * self.columns * self.samples

    @property
    def frame_bits(self) -> int:
        """Number of bits in a native frame; the next frame may start within the same byte."""
        return self.frame_samples * self.allocated

    @property
    def frame_size(self) -> int:
        """Length of a single native frame."""
        return (self.frame_bits + BYTE - 1) // BYTE

    @property
    def length(self) -> int:
        """Length of all native frames."""
        return (self.frame_bits * self.frames + BYTE - 1) // BYTE

    @property
    def size(self) -> int:
        """Length of all native frames, padded to be even."""
        return self.length + self.length % 2

    @property
    def max_coded(self) -> int:
        """Maximum plausible length of a compressed frame."""
        return 2 * self.frame_size + OVERHEAD
