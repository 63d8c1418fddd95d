"""The compressed transfer syntaxes that can be decoded (PS3.5 A.4), by family."""

from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessP14,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ..uids import DEFLATED_FRAMES, HTJ2K, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL

JPEG_PROCESS_6_8 = "1.2.840.10008.1.2.4.53"
JPEG_PROCESS_10_12 = "1.2.840.10008.1.2.4.55"

JPEG_LOSSY = {
    str(JPEGBaseline8Bit),
    str(JPEGExtended12Bit),
    JPEG_PROCESS_6_8,
    JPEG_PROCESS_10_12,
}
JPEG = JPEG_LOSSY | {str(JPEGLosslessP14), str(JPEGLosslessSV1)}
JPEG |= {str(JPEGLSLossless), str(JPEGLSNearLossless)}
JPEG_2000 = {str(JPEG2000Lossless), str(JPEG2000)}
JPEG_2000 |= {HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K}
RLE = str(RLELossless)
# These say nothing of the shape of a frame, and know no bits but only bytes.
PLAIN = {RLE, DEFLATED_FRAMES}
DECODABLE = JPEG | JPEG_2000 | PLAIN
