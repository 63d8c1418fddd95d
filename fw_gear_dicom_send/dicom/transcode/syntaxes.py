"""Compressed transfer syntaxes that can be decoded (PS3.5 A.4), by family."""

from .. import uids

JPEG_LOSSY = {
    uids.JPEG_BASELINE,
    uids.JPEG_EXTENDED,
    uids.JPEG_PROCESS_6_8,
    uids.JPEG_PROCESS_10_12,
}
JPEG = JPEG_LOSSY | {
    uids.JPEG_LOSSLESS,
    uids.JPEG_LOSSLESS_SV1,
    uids.JPEG_LS_LOSSLESS,
    uids.JPEG_LS_NEAR_LOSSLESS,
}
JPEG_2000 = {
    uids.JPEG_2000_LOSSLESS,
    uids.JPEG_2000,
    uids.HTJ2K_LOSSLESS,
    uids.HTJ2K_LOSSLESS_RPCL,
    uids.HTJ2K,
}
RLE = uids.RLE_LOSSLESS
# Frames of these do not declare their shape, and consist of bytes, not bits.
PLAIN = {RLE, uids.DEFLATED_FRAMES}
DECODABLE = JPEG | JPEG_2000 | PLAIN
