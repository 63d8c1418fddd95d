"""One rule for whether a text quotes the patient (PS3.3 C.2.2, PS3.15 E)."""

import re
from collections.abc import Iterator

from pydicom.datadict import tag_for_keyword

IDENTIFYING_TAGS = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "OtherPatientIDs",
        "OtherPatientNames",
        "PatientBirthName",
        "PatientAddress",
        "PatientMotherBirthName",
        "PatientTelephoneNumbers",
    )
)
"""The elements of group 0010 whose words may say who the patient is."""

_SEPARATORS = re.compile(r"[\s\0^=\\,]+")
_MIN_WORD = 2
_MIN_PART = 4
"""Characters of a word that counts inside of other words as well."""


def identifying_words(value: bytes) -> Iterator[str]:
    """Yield the words of an element's value, as a text may quote them in whatever repertoire."""
    for text in (value.decode("utf-8", "replace"), value.decode("latin-1")):
        for word in _SEPARATORS.split(text.lower()):
            if len(word) >= _MIN_WORD:
                yield word


def quotes_patient(text: str, identifying: frozenset[str]) -> bool:
    """Tell whether a text quotes one of the words in `identifying`, which are in lower case.

    A word of up to three characters has to stand alone: "cannot deliver" quotes no patient
    named Li.
    """
    lower = text.lower()
    return any(
        word in lower and (len(word) >= _MIN_PART or _stands_alone(word, lower))
        for word in identifying
    )


def _stands_alone(word: str, text: str) -> bool:
    """Tell whether neither a letter nor a digit precedes or follows `word` somewhere in `text`."""
    return bool(re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text))
