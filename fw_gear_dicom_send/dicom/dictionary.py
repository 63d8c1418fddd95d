"""The data dictionary (PS3.6), loaded on first use.

Importing pydicom takes 0.25 s, most of it for numpy, GDCM and requests. Only datasets in implicit
VR and damaged ones need the dictionary.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from ..imports import IMPORTING

# VRs in implicit VR data if the dictionary allows several (PS3.5 A.1): 16-bit words, with a
# length of 32 bits.
_CHOICES = {"OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW"}


@cache
def _dictionary() -> Any:
    with IMPORTING:
        from pydicom import datadict

    return datadict


def is_known(tag: int) -> bool:
    """Return whether an element is in the dictionary, not counting repeating groups."""
    return bool(_dictionary().dictionary_has_tag(tag))


def vr_of(tag: int) -> str:
    """Return the VR of an element, such as `US or SS`; raise KeyError for an unknown one."""
    return str(_dictionary().dictionary_VR(tag))


def implicit_vr(tag: int) -> str:
    """Return the VR of an element in implicit VR; UN for private and unknown ones (PS3.5 6.2.2)."""
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    try:
        vr = vr_of(tag)
    except KeyError:
        return "UN"
    return _CHOICES.get(vr, vr)


def description_of(tag: int) -> str:
    """Return the name of an element; raise KeyError for an unknown one."""
    return str(_dictionary().dictionary_description(tag))


def tags_by_keyword() -> Mapping[str, int]:
    """Return all elements, not counting repeating groups."""
    return _dictionary().keyword_dict  # type: ignore[no-any-return]
