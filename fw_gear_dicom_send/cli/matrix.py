"""Which storage SOP classes a server accepts in which transfer syntaxes, in 80 columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_letters
from textwrap import wrap

from ..dicom.uids import name_of

WIDTH = 80
MAX_NAMED = 12
"""SOP classes of a row that are named; JSON names them all."""

Taken = Mapping[str, tuple[str, ...]]
"""The transfer syntaxes that are accepted, by SOP class."""

_YES, _NO = "x", "."


def by_class(accepted: Taken, proposed: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a table: a row for SOP classes that are accepted alike.

    A column is for transfer syntaxes that are. `proposed` are all transfer syntaxes in question.
    """
    rows = _rows(accepted)
    columns = _columns([syntaxes for syntaxes, _ in rows], proposed)
    refused = columns.pop((False,) * len(rows), [])
    if not columns:
        yield "No storage SOP class is accepted."
        return
    letters = ascii_letters[26:] + ascii_letters[:26]
    gap = " " if len(columns) <= len(letters) // 2 else ""
    yield "Storage SOP classes (rows) and transfer syntaxes (columns), x where accepted:"
    yield ""
    yield f"      {gap.join(letters[: len(columns)])}"
    for index in range(len(rows)):
        marks = gap.join(_YES if pattern[index] else _NO for pattern in columns)
        yield f"{index + 1:4}  {marks}"
    yield ""
    largest = max(rows, key=lambda row: len(row[1]))
    for index, row in enumerate(rows):
        is_rest = row is largest and len(row[1]) > MAX_NAMED
        text = _rest(len(row[1]), len(rows)) if is_rest else _names(row[1], MAX_NAMED)
        yield from folded(f"{index + 1:4}  ", text)
    for letter, syntaxes in zip(letters, columns.values(), strict=False):
        yield from folded(f"{letter:>4}  ", _names(syntaxes))
    if refused:
        yield ""
        yield from folded("Accepted with no SOP class: ", _names(refused), indent=6)


def folded(label: str, text: str, indent: int = 0) -> list[str]:
    """Return a text behind a label, in lines that fit where its words do."""
    return wrap(
        text,
        WIDTH,
        initial_indent=label,
        subsequent_indent=" " * (indent or len(label)),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _rows(accepted: Taken) -> list[tuple[tuple[str, ...], list[str]]]:
    """Return SOP classes by what they are accepted in, those that are not accepted last."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for sop_class, syntaxes in accepted.items():
        groups.setdefault(syntaxes, []).append(sop_class)
    return sorted(groups.items(), key=lambda row: (not row[0], -len(row[1])))


def _columns(
    rows: Iterable[tuple[str, ...]], proposed: Sequence[str]
) -> dict[tuple[bool, ...], list[str]]:
    """Return transfer syntaxes by the rows that they are accepted in."""
    sets = [frozenset(row) for row in rows]
    columns: dict[tuple[bool, ...], list[str]] = {}
    for syntax in proposed:
        columns.setdefault(tuple(syntax in row for row in sets), []).append(syntax)
    return columns


def _rest(number: int, rows: int) -> str:
    """Say which SOP classes the largest row has, without their names."""
    if rows == 1:
        return f"all {number} storage SOP classes"
    return f"{number} SOP classes, those that are in no other row"


def _names(uids: Sequence[str], limit: int | None = None) -> str:
    shown = [name_of(uid) for uid in uids[:limit]]
    if more := len(uids) - len(shown):
        shown.append(f"and {more} more")
    return "; ".join(shown)
