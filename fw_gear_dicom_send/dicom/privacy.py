"""The rule that decides whether, and where, a text quotes a dataset (PS3.3 C.2.2, PS3.15 E).

Letters and digits are compared without case, accents, width and separators. A name is therefore
found in any order and spelling, and a date in any of the usual forms.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import permutations
from string import punctuation
from typing import Self

from ..imports import IMPORTING
from ..values import frozen
from .dictionary import tags_by_keyword, vr_of
from .fixed_words import HIDDEN, UID, shown, without_values

LAST_GROUP = 0x7FDF
"""The last group to check; pixels follow it."""
_WORD_KEYWORDS = (
    "AccessionNumber",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "PatientAddress",
    "PatientBirthDate",
    "PatientID",
    "PatientTelephoneNumbers",
    "StudyID",
)
_TEXT_VRS = frozenset(("DA", "DT", "LO", "LT", "SH", "ST", "UC", "UT"))
_SPECIFIC_CHARACTER_SET = 0x00080005

_MAX_TEXT = 256
"""Bytes of a value to compare as a whole: an error comment has 64 characters (PS3.7 C)."""
_MIN_CUT_COMMENT = 60
_MIN_PART, _MIN_CUT_PART = 4, 3
"""Minimum characters of a word inside other words, and of its start at the end of others."""
_MAX_JOINED = 8
"""Maximum words of a value to also match as joined pairs."""
_SEPARATORS = re.compile(r"[\s\0-\x1f^=\\,;]+")
_UID = re.compile(UID)
_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NO_ACCENT = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"}
)
_TWO_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})

_Form = tuple[bool, str]
"""A folded value or a part of it, and whether it matches as a whole."""


@cache
def _tags() -> tuple[frozenset[int], frozenset[int]]:
    """Return the elements whose values match word by word, and those that match as a whole.

    The first are names, ids and addresses, the others texts and dates.
    """
    tags = tags_by_keyword()
    vrs = {tag: vr_of(tag) for tag in tags.values()}
    names = (tag for tag, vr in vrs.items() if vr == "PN")
    words = frozenset((*names, *map(tags.__getitem__, _WORD_KEYWORDS)))
    return words, frozenset(tag for tag, vr in vrs.items() if vr in _TEXT_VRS) - words


def identity_tags() -> frozenset[int]:
    """Return the elements whose values an Identity contains."""
    return frozenset.union(*_tags()) | {_SPECIFIC_CHARACTER_SET}


@frozen
class Identity:
    """Encoded values of a dataset that logs and reports must not quote.

    Values of `words` match word by word, and values of `texts` as a whole. `charset` is the value
    of Specific Character Set (0008,0005). If the values are unknown, any text may quote them.
    """

    words: tuple[bytes, ...] = ()
    texts: tuple[bytes, ...] = ()
    charset: bytes = b""
    is_known: bool = True

    @classmethod
    def of(cls, values: Mapping[int, bytes]) -> Self:
        """Return the Identity of a dataset, from the values of its elements."""
        words, texts = _tags()
        return cls(
            tuple(value for tag, value in values.items() if tag in words),
            tuple(value[:_MAX_TEXT] for tag, value in values.items() if tag in texts),
            values.get(_SPECIFIC_CHARACTER_SET, b""),
        )

    def is_quoted_in(self, text: str) -> bool:
        """Return whether a text quotes one of the values, outside of UIDs.

        A word of up to three characters must stand alone: "cannot deliver" does not quote a
        patient named Li.
        """
        return not self.is_known or any(self._quoted(self._forms(), text, _may_be_cut(text)))

    def masked(self, text: str) -> str:
        """Return a server's message with `[...]` for all that may be a value of any dataset.

        A message may name another patient. So only fixed words are shown, without those that
        this dataset contains.
        """
        text = text.replace(HIDDEN, " ")
        forms, is_cut = self._forms(), _may_be_cut(text)
        without_quotes = self._without_quotes(text, forms, is_cut)
        fixed = without_values(without_quotes)
        # The parts of a value that remain may be another value.
        return shown(self._without_quotes(fixed, forms, is_cut))

    def _without_quotes(self, text: str, forms: Iterable[_Form], is_cut: bool) -> str:
        """Return a text without the shortest sequences of words that quote a value."""
        quoted = list(self._quoted(forms, text, is_cut))
        words = text.split(" ")
        size = 1
        while quoted and size <= len(words):
            for start in range(len(words) - size + 1):
                stop = start + size
                part = " ".join(words[start:stop])
                if any(self._quoted(quoted, part, is_cut and stop == len(words))):
                    words[start:stop] = [_hidden(part)]
                    break
            else:
                size += 1
        return " ".join(words)

    def _forms(self) -> set[_Form]:
        """Return all values in all readings.

        Values that match word by word are in parts: each word, and the words that may be joined.
        """
        return {
            (is_whole, part)
            for is_whole, values in ((False, self.words), (True, self.texts))
            for value in set(values)
            for reading in self._decoded(value)
            for form in _folded(reading)
            for part in ((form,) if is_whole else _parts(form))
        }

    def _quoted(self, forms: Iterable[_Form], text: str, is_cut: bool) -> Iterator[_Form]:
        """Yield the forms that a text quotes."""
        quotes = [
            _Text(form, is_cut)
            for reading in self._readings_of(_UID.sub(" ", text))
            for form in _folded(reading)
        ]
        for is_whole, form in forms:
            if any(q.has_text(form) if is_whole else q.has_words(form) for q in quotes):
                yield is_whole, form

    def _readings_of(self, text: str) -> set[str]:
        """Return a text, and its other readings if its bytes were decoded wrongly."""
        return {text, *self._decoded(text.encode("latin-1", "replace"))}

    def _decoded(self, value: bytes) -> set[str]:
        """Return a value, decoded by its own character set and by the most common ones."""
        if value.isascii() and b"\x1b" not in value:
            return {value.decode("ascii")}
        with IMPORTING:
            from pydicom.charset import convert_encodings, decode_bytes

        readings = {value.decode("utf-8", "replace"), value.decode("latin-1")}
        try:
            names = self.charset.decode("ascii").strip("\0 ").split("\\")
            encodings = convert_encodings([name.strip() for name in names])
            readings.add(decode_bytes(value, encodings, set(b"\r\n\t\f\\^=")))
        except (LookupError, ValueError):
            pass
        return readings


class _Text:
    """A folded text to search for values."""

    def __init__(self, folded: str, is_cut: bool) -> None:
        self._folded = folded
        self._squeezed = _squeezed(folded)
        self._last_word = re.split(r"[\W_]", folded)[-1] if is_cut else ""
        self._is_cut = is_cut

    def has_words(self, value: str) -> bool:
        """Return whether the text contains a word of a value, or two words joined."""
        words = [word for part in _SEPARATORS.split(value) if (word := _squeezed(part))]
        return (
            any(len(word) > 1 and self._has(word) for word in words)
            or any(self._has_pair(pair) for pair in _joined(words))
            or self._has_date(value)
        )

    def has_text(self, value: str) -> bool:
        """Return whether the text contains a whole value."""
        squeezed = _squeezed(value)
        return (len(squeezed) >= _MIN_PART and self._has(squeezed)) or self._has_date(value)

    def _has(self, word: str) -> bool:
        if self._ends_with_start_of(word):
            return True
        if len(word) >= _MIN_PART:
            return word in self._squeezed
        apart = r"[\W_]{0,2}".join(map(re.escape, word))
        return bool(re.search(rf"(?<![^\W_]){apart}(?![^\W_])", self._folded))

    def _has_pair(self, pair: str) -> bool:
        return len(pair) >= _MIN_PART and (pair in self._squeezed or self._is_started(pair))

    def _ends_with_start_of(self, word: str) -> bool:
        if self._is_started(word):
            return True
        if not (self._is_cut and word[:_MIN_CUT_PART] in self._squeezed):
            return False
        sizes = range(_MIN_CUT_PART, min(len(word), len(self._squeezed) + 1))
        return any(self._squeezed.endswith(word[:size]) for size in sizes)

    def _is_started(self, word: str) -> bool:
        """Return whether the last word of a text that may be cut is the start of a word."""
        return bool(self._last_word) and word.startswith(self._last_word)

    def _has_date(self, value: str) -> bool:
        match = _DATE.match(value)
        return match is not None and any(
            form in self._squeezed if form.isdigit() else re.search(form, self._folded)
            for form in _date_forms(*match.groups())
        )


def _may_be_cut(text: str) -> bool:
    """Return whether a text is so long, in characters or bytes, that it may be truncated."""
    return len(text.encode("utf-8", "replace")) >= _MIN_CUT_COMMENT


def _hidden(part: str) -> str:
    """Return a part of a text without its words, but with the punctuation around them."""
    inner = part.strip(punctuation)
    return HIDDEN if inner in ("", HIDDEN) else part.replace(inner, HIDDEN)


def _parts(value: str) -> Iterator[str]:
    words = _SEPARATORS.split(value)
    yield from words
    yield " ".join(filter(_squeezed, words[: 2 * _MAX_JOINED]))


def _joined(words: Sequence[str]) -> Iterator[str]:
    """Yield all pairs of words joined, and each word joined with the initial of another."""
    for first, second in permutations(words[:_MAX_JOINED], 2):
        yield from (first + second, first[0] + second, first + second[0])


def _date_forms(year: str, month: str, day: str) -> Iterator[str]:
    """Yield a date as eight digits in each order, and as patterns for all shorter forms."""
    name = _MONTHS[int(month) - 1] if 1 <= int(month) <= len(_MONTHS) else month
    any_year = f"(?:{year}|{year[2:]})"
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        yield "".join((year, month, day)[place] for place in order)
        for parts, separator in (
            ((year[2:], month, day), ""),
            ((any_year, f"0?{int(month)}", f"0?{int(day)}"), r"[\W_]+"),
            ((any_year, f"{name}[a-z]*", f"0?{int(day)}"), r"[\W_]*"),
        ):
            form = separator.join(parts[place] for place in order)
            yield rf"(?<!\d){form}(?!\d)"


def _folded(text: str) -> set[str]:
    """Return a text in lower case without accents, and with two letters for an umlaut."""
    if text.isascii():
        return {text.lower()}
    lower = unicodedata.normalize("NFC", text.casefold())
    forms = {form.translate(_NO_ACCENT) for form in (lower, lower.translate(_TWO_LETTERS))}
    parts = (unicodedata.normalize("NFKD", form).casefold() for form in forms)
    return {"".join(char for char in part if not unicodedata.combining(char)) for part in parts}


def _squeezed(text: str) -> str:
    """Return the letters and digits of a text."""
    return "".join(filter(str.isalnum, text))
