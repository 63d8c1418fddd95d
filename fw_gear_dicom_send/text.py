"""Text from outside, made fit for one line, and texts for people."""

import re
from unicodedata import category

_RAW_BYTES = range(0xDC80, 0xDD00)
"""What `os.fsdecode` and `surrogateescape` make of bytes that are not UTF-8 (PEP 383)."""


def printable(text: str) -> str:
    """Return `text` with a backslash escape for each character that is not printable.

    Such are line breaks, sequences that control a terminal, characters that change the
    direction of writing, and bytes that are no text at all. Text that is printable, so
    also what this returns, stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def natural_key(text: str) -> tuple[tuple[str, int, str], ...]:
    """Return what sorts names as people do: series 2 before series 10, whatever their case."""
    # Digits are compared by their length first, as Python reads no number of 5,000 digits.
    return tuple(
        (words.lower(), len(digits.lstrip("0")), digits.lstrip("0"))
        for words, digits in re.findall(r"([^0-9]*)([0-9]*)", text)
    )


def sort_key(name: str) -> tuple[tuple[tuple[str, int, str], ...], str]:
    """Return what sorts names of files as people do, always in the same order."""
    return natural_key(name), name


def duration(seconds: float) -> str:
    """Return a time for people: 4.2 s, 3 min 5 s, 2 h 10 min."""
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
