"""CSV rows (RFC 4180) of one line each, without spreadsheet formulas.

A cell that a spreadsheet would run as a formula gets a leading apostrophe. The apostrophe is
removed when this package reads the row.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from typing import TextIO

from ..text import printable

_FORMULA_STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"
"""Includes full-width forms, which some spreadsheets accept. Tabs and line breaks are escaped."""
_SEPARATOR = "\x1f"
"""Not printable, so it cannot be in a printable cell."""
_FORMULA = re.compile(rf"(?:\A|{_SEPARATOR})'*[{re.escape(_FORMULA_STARTS)}]")
"""Finds a formula in joined cells."""


def write_row(file: TextIO, cells: Iterable[str]) -> None:
    """Write a row with printable cells; raise OSError if it cannot be written."""
    row = list(cells)
    # Most rows need no escaping. One check of all cells together is faster.
    if not "".join(row).isprintable() or _FORMULA.search(_SEPARATOR.join(row)):
        row = list(map(_escape, row))
    csv.writer(file, lineterminator="\n").writerow(row)


def read_rows(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield rows that were written by `write_row`; raise csv.Error for any other text."""
    for cells in csv.reader(lines, strict=True):
        yield list(map(_unescape, cells))


def _escape(cell: str) -> str:
    text = printable(cell)
    return f"'{text}" if _is_formula(text) else text


def _unescape(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def _is_formula(text: str) -> bool:
    """Return whether text is a formula, ignoring leading apostrophes."""
    return text.lstrip("'").startswith(tuple(_FORMULA_STARTS))
