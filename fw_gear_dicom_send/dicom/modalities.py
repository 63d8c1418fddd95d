"""Modality of an image by its SOP class, for display (PS3.3 C.7.3.1.1.1)."""

import re
from functools import lru_cache

from .uids import name_of

_MODALITIES = (
    (r"\bSR Storage", "SR"),
    (r"Presentation State", "PR"),
    (r"Key Object", "KO"),
    (r"Segmentation", "SEG"),
    (r"Registration", "REG"),
    (r"RT Structure Set", "RTSTRUCT"),
    (r"RT (Ion )?Plan", "RTPLAN"),
    (r"RT Dose", "RTDOSE"),
    (r"RT Image", "RTIMAGE"),
    (r"\bCT Image", "CT"),
    (r"\bMR (Color )?Image|\bMR Spectroscopy", "MR"),
    (r"\bPET\b|Positron", "PT"),
    (r"Nuclear Medicine", "NM"),
    (r"Ultrasound|\bUS Volume", "US"),
    (r"Computed Radiography", "CR"),
    (r"Mammography|Breast", "MG"),
    (r"Intra-Oral", "IO"),
    (r"Digital X-Ray", "DX"),
    (r"Radiofluoroscopic|\bXRF Image", "RF"),
    (r"X-Ray (Angiographic|3D)|\bXA Image", "XA"),
    (r"Secondary Capture", "SC"),
    (r"ECG", "ECG"),
    (r"Encapsulated", "DOC"),
)
"""Patterns in the names of SOP classes; the first match wins."""


@lru_cache(maxsize=256)
def modality_of(sop_class_uid: str) -> str:
    """Return the modality of a SOP class, or its name if it has no modality."""
    name = name_of(sop_class_uid) if sop_class_uid else "unknown"
    for pattern, modality in _MODALITIES:
        if re.search(pattern, name):
            return modality
    return name.removesuffix(" Storage")
