"""Helpers that make text printable, and format and sort it for people."""

import re
from datetime import datetime
from unicodedata import category

MEGABYTE = 1e6
"""Bytes of a megabyte (MB)."""
_RAW_BYTES = range(0xDC80, 0xDD00)
"""Surrogates of `os.fsdecode` for bytes that are not UTF-8 (PEP 383)."""


def printable(text: str) -> str:
    """Return `text` with a backslash escape for each character that is not printable.

    These are line breaks, terminal control sequences, characters that change the writing
    direction, and undecodable bytes. Printable text is returned unchanged.
    """
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def natural_key(text: str) -> tuple[tuple[str, int, str], ...]:
    """Return a sort key for natural order: series 2 before series 10, ignoring case."""
    # Digits are compared by length first: Python does not parse a number of 5,000 digits.
    return tuple(
        (words.lower(), len(digits.lstrip("0")), digits.lstrip("0"))
        for words, digits in re.findall(r"([^0-9]*)([0-9]*)", text)
    )


def sort_key(name: str) -> tuple[tuple[tuple[str, int, str], ...], str]:
    """Return a sort key for natural order in which different names never tie."""
    return natural_key(name), name


def sentence(text: str) -> str:
    """Return a text with a capital first letter and a full stop; an empty text stays empty."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}." if text else ""


def quantity(number: int, noun: str) -> str:
    """Return a number with its noun: 1 image, 2,000 images."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def day(time: datetime | None) -> str:
    """Return the date of a time: 2031-05-17."""
    return f"{time:%Y-%m-%d}" if time else "an unreadable date"


def duration(seconds: float) -> str:
    """Return a duration in words: 4.2 s, 3 min 5 s, 2 h 10 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def _shown(char: str) -> str:
    if char.isprintable() or category(char) == "Zs":
        return char
    if ord(char) in _RAW_BYTES:
        return f"\\x{ord(char) & 0xFF:02x}"
    return char.encode("unicode_escape").decode()
