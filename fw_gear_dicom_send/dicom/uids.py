"""UIDs that the code uses, and the names of UIDs (PS3.6 annex A)."""

import re
from pathlib import Path

from ..imports import IMPORTING

_TABLE = Path(__file__).with_name("uid_names.txt").read_text(encoding="utf-8")
NAMES = dict(line.split(" ", 1) for line in _TABLE.splitlines())
"""Names of transfer syntaxes and storage SOP classes; pydicom lacks the newest."""
TRANSFER_SYNTAXES = frozenset(uid for uid in NAMES if uid.startswith("1.2.840.10008.1.2"))

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_PROCESS_6_8 = "1.2.840.10008.1.2.4.53"
JPEG_PROCESS_10_12 = "1.2.840.10008.1.2.4.55"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR_LOSSLESS = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"
COMPRESSIONS = (JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS)
"""Transfer syntaxes for compressing images, the best one first."""
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
GE_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"
VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"

DEFLATED = (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.4.95",  # JPIP Referenced Deflate
    "1.2.840.10008.1.2.4.205",  # JPIP HTJ2K Referenced Deflate
)
"""Transfer syntaxes whose dataset is one deflated stream (PS3.5 A.5, A.7)."""
NATIVE = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    GE_BIG_ENDIAN_PIXELS,
)
"""Transfer syntaxes whose Pixel Data is never encapsulated (PS3.5 A.1, A.2, A.3, A.5)."""
ENCAPSULATED = frozenset(
    uid
    for uid in TRANSFER_SYNTAXES
    if uid.startswith("1.2.840.10008.1.2.4.") and "JPIP" not in NAMES[uid]
) | {RLE_LOSSLESS, DEFLATED_FRAMES, "1.2.840.10008.1.2.1.98"}
"""Transfer syntaxes whose Pixel Data is always encapsulated (PS3.5 A.4)."""
JPEG_LOSSY = frozenset((JPEG_BASELINE, JPEG_EXTENDED, JPEG_PROCESS_6_8, JPEG_PROCESS_10_12))
JPEG = JPEG_LOSSY | {JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, JPEG_LS_LOSSLESS, JPEG_LS_NEAR_LOSSLESS}
ANY_JPEG_2000 = frozenset(
    (JPEG_2000_LOSSLESS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K)
)
PLAIN = frozenset((RLE_LOSSLESS, DEFLATED_FRAMES))
"""Transfer syntaxes whose frames do not declare their shape, and consist of bytes, not bits."""
DECODABLE = JPEG | ANY_JPEG_2000 | PLAIN

_OTHERS = {
    VERIFICATION: "Verification SOP Class",
    STUDY_ROOT_FIND: "Study Root Query/Retrieve Information Model - FIND",
    PATIENT_ROOT_FIND: "Patient Root Query/Retrieve Information Model - FIND",
    STORAGE_COMMITMENT: "Storage Commitment Push Model SOP Class",
    GE_BIG_ENDIAN_PIXELS: "GE Private Implicit VR Little Endian with Big Endian Pixels",
}
_UID = re.compile(r"[0-9.]{1,128}")
_NO_UID = "(not a UID)"


def name_of(uid: str) -> str:
    """Return the name of a UID, or its printable form if it has no name."""
    if (name := known_name_of(uid)) != uid:
        return name
    # pydicom takes 0.25 s to import, and few runs need it.
    with IMPORTING:
        from pydicom.uid import UID

    return UID(uid).name


def known_name_of(uid: str) -> str:
    """Return the name of a UID if known without an import, otherwise its printable form."""
    return NAMES.get(uid) or _OTHERS.get(uid) or printable_uid(uid)


def printable_uid_or_empty(uid: str) -> str:
    """Return the printable form of a UID, or an empty string if there is no UID."""
    return printable_uid(uid) if uid else ""


def printable_uid(uid: str) -> str:
    """Return a UID, or `(not a UID)` for any other text, which may name a patient."""
    return uid if _UID.fullmatch(uid) else _NO_UID
