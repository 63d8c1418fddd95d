"""Rows of CSV (RFC 4180) that are one line each, and that no spreadsheet runs.

A cell that a spreadsheet would take for a formula gets an apostrophe in front of it,
which is removed where this package reads the row again.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import TextIO

from ..text import printable

_FORMULA_STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"
"""Also in full width, as some spreadsheets take them. Tab and line breaks are no longer there."""
_SEPARATOR = "\x1f"
"""Not printable, so that no cell has it that is."""
_FORMULA = re.compile(rf"(?:\A|{_SEPARATOR})'*[{re.escape(_FORMULA_STARTS)}]")
"""Finds a formula in cells that are joined."""


def write_row(file: TextIO, cells: Iterable[str]) -> None:
    """Write a row, its cells printable; raises OSError where the file takes it not."""
    row = list(cells)
    # Most rows are as they should be, which is faster to tell of all cells at once.
    if not "".join(row).isprintable() or _FORMULA.search(_SEPARATOR.join(row)):
        row = list(map(_written, row))
    csv.writer(file, lineterminator="\n").writerow(row)


def read_rows(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the rows that `write_row` has written; raises csv.Error for something else."""
    for cells in csv.reader(lines, strict=True):
        yield list(map(_read, cells))


def _written(cell: str) -> str:
    text = printable(cell)
    return f"'{text}" if _is_formula(text) else text


def _read(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def _is_formula(text: str) -> bool:
    """Tell whether text starts a formula, or would without the apostrophes before it."""
    return text.lstrip("'").startswith(tuple(_FORMULA_STARTS))
