"""Text from outside, made fit for one line."""

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


def _shown(char: str) -> str:
    if char.isprintable() or category(char) == "Zs":
        return char
    if ord(char) in _RAW_BYTES:
        return f"\\x{ord(char) & 0xFF:02x}"
    return char.encode("unicode_escape").decode()
