"""Table of the storage SOP classes and transfer syntaxes that a server accepts, in 80 columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_letters
from textwrap import wrap

from ..dicom.uids import name_of

WIDTH = 80
MAX_NAMED = 12
"""Maximum number of SOP classes that a row names. The JSON output names all."""

AcceptedSyntaxes = Mapping[str, tuple[str, ...]]
"""Accepted transfer syntaxes of each SOP class."""

_YES, _NO = "x", "."
_REFUSED = "not accepted"
_SYNTAX = "1.2.840.10008.1.2"
_FAMILIES = {
    "uncompressed": ("", ".1", ".2"),
    "RLE": (".5",),
    "JPEG": (".4.50", ".4.51"),
    "JPEG Lossless": (".4.57", ".4.70"),
    "JPEG-LS": (".4.80", ".4.81"),
    "JPEG 2000": (".4.90", ".4.91"),
    "HTJ2K": (".4.201", ".4.202", ".4.203"),
    "MPEG": tuple(f".4.{number}" for number in range(100, 109)),
}
"""Ends of the UIDs of transfer syntaxes, by compression (PS3.6 annex A)."""
_CLASS = "1.2.840.10008.5.1.4.1.1."
_COMMON = {
    "CT": "2",
    "enhanced CT": "2.1",
    "MR": "4",
    "enhanced MR": "4.1",
    "PT": "128",
    "NM": "20",
    "CR": "1",
    "DX": "1.1",
    "MG": "1.2",
    "breast tomosynthesis": "13.1.3",
    "XA": "12.1",
    "RF": "12.2",
    "US": "6.1",
    "US multi-frame": "3.1",
    "secondary capture": "7",
    "SR": "88.22",
    "KO": "88.59",
    "PR": "11.1",
    "SEG": "66.4",
    "RTSTRUCT": "481.3",
    "RTPLAN": "481.5",
    "RTDOSE": "481.2",
    "PDF": "104.1",
    "ECG": "9.1.1",
}
"""Ends of the UIDs of the storage SOP classes that most images have (PS3.4 B.5)."""


def common(accepted: AcceptedSyntaxes) -> Iterator[str]:
    """Yield the compressions that a server accepts for common SOP classes.

    One accepted transfer syntax of a compression is enough. SOP classes with the same compressions
    share a line.
    """
    groups: dict[str, list[str]] = {}
    for label, end in _COMMON.items():
        syntaxes = {uid.removeprefix(_SYNTAX) for uid in accepted.get(_CLASS + end, ())}
        found = [name for name, ends in _FAMILIES.items() if not syntaxes.isdisjoint(ends)]
        groups.setdefault(", ".join(found) or _REFUSED, []).append(label)
    yield "Common images (all SOP classes and transfer syntaxes: -v):"
    for text, labels in sorted(groups.items(), key=lambda group: group[0] == _REFUSED):
        yield from wrapped("  ", f"{', '.join(labels)}: {text}", indent=4)


def by_class(accepted: AcceptedSyntaxes, proposed: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a table of SOP classes and transfer syntaxes.

    SOP classes with the same accepted transfer syntaxes share a row, and transfer syntaxes with
    the same rows share a column. `proposed` are all transfer syntaxes.
    """
    rows = _rows(accepted)
    columns = _columns([syntaxes for syntaxes, _ in rows], proposed)
    refused = columns.pop((False,) * len(rows), [])
    if not columns:
        yield "No storage SOP class is accepted."
        return
    letters = ascii_letters[26:] + ascii_letters[:26]
    gap = " " if len(columns) <= len(letters) // 2 else ""
    yield "Accepted (x) storage SOP classes (rows) and transfer syntaxes (columns):"
    yield ""
    yield f"      {gap.join(letters[: len(columns)])}"
    for index in range(len(rows)):
        marks = gap.join(_YES if pattern[index] else _NO for pattern in columns)
        yield f"{index + 1:4}  {marks}"
    yield ""
    largest = max(rows, key=lambda row: len(row[1]))
    rest = "all {} storage SOP classes" if len(rows) == 1 else "the {} other SOP classes"
    for index, row in enumerate(rows):
        is_rest = row is largest and len(row[1]) > MAX_NAMED
        text = rest.format(len(row[1])) if is_rest else _names(row[1], MAX_NAMED)
        yield from wrapped(f"{index + 1:4}  ", text)
    for letter, syntaxes in zip(letters, columns.values(), strict=False):
        yield from wrapped(f"{letter:>4}  ", _names(syntaxes))
    if refused:
        yield ""
        yield from wrapped("Not accepted for any SOP class: ", _names(refused), indent=6)


def wrapped(label: str, text: str, indent: int = 0) -> list[str]:
    """Return a label and a text as lines of the width; only a long word exceeds it."""
    return wrap(
        text,
        WIDTH,
        initial_indent=label,
        subsequent_indent=" " * (indent or len(label)),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _rows(accepted: AcceptedSyntaxes) -> list[tuple[tuple[str, ...], list[str]]]:
    """Group SOP classes by their transfer syntaxes; rejected SOP classes are last."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for sop_class, syntaxes in accepted.items():
        groups.setdefault(syntaxes, []).append(sop_class)
    return sorted(groups.items(), key=lambda row: (not row[0], -len(row[1])))


def _columns(
    rows: Iterable[tuple[str, ...]], proposed: Sequence[str]
) -> dict[tuple[bool, ...], list[str]]:
    """Group transfer syntaxes by the rows that accept them."""
    sets = [frozenset(row) for row in rows]
    columns: dict[tuple[bool, ...], list[str]] = {}
    for syntax in proposed:
        columns.setdefault(tuple(syntax in row for row in sets), []).append(syntax)
    return columns


def _names(uids: Sequence[str], limit: int | None = None) -> str:
    shown = [name_of(uid) for uid in uids[:limit]]
    if more := len(uids) - len(shown):
        shown.append(f"and {more} more")
    return "; ".join(shown)
