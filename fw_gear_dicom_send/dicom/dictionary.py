"""The data dictionary (PS3.6), loaded on first use.

Importing pydicom takes 0.25 s, most of it for numpy, GDCM and requests. Only datasets in implicit
VR and damaged ones need the dictionary.
"""

from ..imports import IMPORTING


def is_known(tag: int) -> bool:
    """Return whether an element is in the dictionary, not counting repeating groups."""
    with IMPORTING:
        from pydicom.datadict import dictionary_has_tag

    return dictionary_has_tag(tag)


def vr_of(tag: int) -> str:
    """Return the VR of an element, such as `US or SS`; raise KeyError for an unknown one."""
    with IMPORTING:
        from pydicom.datadict import dictionary_VR

    return dictionary_VR(tag)


def description_of(tag: int) -> str:
    """Return the name of an element; raise KeyError for an unknown one."""
    with IMPORTING:
        from pydicom.datadict import dictionary_description

    return dictionary_description(tag)
