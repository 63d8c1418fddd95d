"""The names of UIDs, also of those that pydicom 2.4 does not know (PS3.6 annex A)."""

from pydicom.uid import UID

HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_NAMES = {
    HTJ2K_LOSSLESS: "High-Throughput JPEG 2000 Image Compression (Lossless Only)",
    HTJ2K_LOSSLESS_RPCL: (
        "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)"
    ),
    HTJ2K: "High-Throughput JPEG 2000 Image Compression",
    DEFLATED_FRAMES: "Deflated Image Frame Compression",
}


def name_of(uid: str) -> str:
    """Return the name of a UID, or the UID itself where it has none."""
    return _NAMES.get(uid) or UID(uid).name
