"""Text from outside, made fit for one line."""


def printable(text: str) -> str:
    """Return `text` with a question mark for each character that is not printable.

    Names and labels may hold line breaks, or sequences that control a terminal.
    """
    return "".join(char if char.isprintable() else "?" for char in text)
